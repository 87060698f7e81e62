"""What every engine does, and the law that a way of decoding makes of logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import LongTensor, Tensor
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from real.records.record import Decoding, RecordedText

_BLOCK = 128  # entries of a law that are looked at together


class EngineError(OSError):
    """An engine that is not installed, cannot read a model, or cannot do what was asked."""


@dataclass(frozen=True)
class Row:
    """A text to draw: its number (which seeds its random numbers), and the number and ids of its prompt."""

    number: int
    prompt: int
    prompt_ids: tuple[int, ...]


class Engine(Protocol):
    """A model and the program that runs it.

    description: program, version, number format, for the record. weights: SHA-256 of the weights or what
    else tells them apart. tokenizer_sha256: see :mod:`real.records.tokenizer`; None if it cannot be known.
    rounding: largest error in nats that writing log-probabilities down has added before they arrive here.
    context_length: tokens of prompt and text. vocabulary: number of token ids; None if it cannot be known.
    """

    name: str
    description: str
    weights: str | None
    tokenizer_sha256: str | None
    rounding: float
    context_length: int
    vocabulary: int | None

    def encode(self, text: str) -> list[int]:
        """Token ids of one user turn (with chat template), or of plain text to continue."""
        ...

    def scored(self, decoding: Decoding) -> Decoding:
        """The decoding that log-probabilities of text drawn with ``decoding`` are of; best the same."""
        ...

    def draw(
        self, rows: Sequence[Row], new_tokens: int, decoding: Decoding, seed: int, top: int
    ) -> Iterator[RecordedText]:
        """Draw one text per row, in order, with the log-probabilities of the evaluation that drew it."""
        ...

    def score(self, texts: Iterable[RecordedText], decoding: Decoding, top: int) -> Iterator[RecordedText]:
        """The same texts, in order, with this model's log-probabilities under ``decoding``."""
        ...


def log_law(logits: Tensor, decoding: Decoding, prefixes: Sequence[Sequence[int]] = ()) -> Tensor:
    """Log-probabilities ``(n, V)``, float32, of the laws that ``decoding`` makes of logits ``(n, V)``.

    Greedy text (temperature 0) is scored at temperature 1. ``prefixes``, the n texts so far, are needed for
    a repetition penalty alone; tokens that a cut removes get -inf.
    """
    scores = logits.float()
    if decoding.repetition_penalty != 1.0:
        penalty: Any = RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty)
        rows = zip(scores, prefixes, strict=True)
        scores = torch.cat([penalty(torch.tensor([ids]).to(row.device), row[None]) for row, ids in rows])
    scores = scores / (decoding.temperature or 1.0)
    cuts: list[Any] = []
    if decoding.top_k is not None:
        cuts.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p is not None:
        cuts.append(TopPLogitsWarper(decoding.top_p))
    if decoding.min_p is not None:
        cuts.append(MinPLogitsWarper(decoding.min_p))
    none: Any = LongTensor()
    for cut in cuts:
        scores = cut(none, scores)
    return torch.log_softmax(scores, -1)


def likeliest(laws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest entries of each row of ``laws`` ``(n, V)`` and their ids, ``(n, count)`` each.

    What :meth:`torch.Tensor.topk` gives, several times faster on a processor for large vocabularies: they
    lie in the blocks whose largest entries are largest, and finding those is one pass. Which of equal entries
    are taken is not specified, as there.
    """
    whole = laws.shape[1] // _BLOCK * _BLOCK
    if laws.shape[1] < 2 * count * _BLOCK:
        best = laws.topk(min(count, laws.shape[1]), dim=1)
        return best.values, best.indices
    blocks = laws[:, :whole].reshape(len(laws), -1, _BLOCK).amax(2).topk(count, dim=1).indices
    places = (blocks.unsqueeze(2) * _BLOCK + torch.arange(_BLOCK, device=laws.device)).flatten(1)
    rest = torch.arange(whole, laws.shape[1], device=laws.device).expand(len(laws), -1)
    places = torch.cat([places, rest], 1)
    best = laws.gather(1, places).topk(count, dim=1)
    return best.values, places.gather(1, best.indices)


def recorded(text: RecordedText, log_probs: Tensor, top: int) -> RecordedText:
    """``text`` with log-probabilities taken from the laws ``(n, V)`` of its n steps.

    ``top`` most likely tokens are kept per step; tokens that ``text`` already lists are kept too, so that
    two records know the probabilities of the same tokens.
    """
    tokens = torch.tensor(text.ids).unsqueeze(1).to(log_probs.device)
    drawn = log_probs.gather(1, tokens).squeeze(1).clamp(max=0).tolist()
    known = None
    if top:
        values, ids = likeliest(log_probs, top)
        listed = text.top or ((),) * len(text.ids)
        known = tuple(
            _step(log_probs[step], ids[step].tolist(), values[step].tolist(), listed[step])
            for step in range(len(text.ids))
        )
    return RecordedText(text.prompt, text.prompt_ids, text.ids, tuple(drawn), text.stopped, text.score, known)


def _step(
    law: Tensor, tokens: list[int], values: list[float], listed: Sequence[tuple[int, float]]
) -> tuple[tuple[int, float], ...]:
    known = set(tokens)
    more = [token for token, _ in listed if token not in known]
    return (
        *zip(tokens, values, strict=True),
        *zip(more, law[torch.tensor(more, dtype=torch.long)].tolist(), strict=True),
    )


def score_texts(
    engine: Engine, texts: Iterable[RecordedText], decoding: Decoding, top: int
) -> Iterator[RecordedText]:
    """:meth:`Engine.score`, once every id is known to be the model's and every text to fit its context."""

    def fitting() -> Iterator[RecordedText]:
        for text in texts:
            length = len(text.prompt_ids) + len(text.ids)
            if length > engine.context_length:
                raise ValueError(
                    f"a text has {length} tokens; {engine.name} reads at most {engine.context_length}"
                )
            largest = max(*text.prompt_ids, *text.ids)
            if engine.vocabulary is not None and largest >= engine.vocabulary:
                raise ValueError(
                    f"a text holds token id {largest}; {engine.name} has {engine.vocabulary} tokens"
                )
            yield text

    yield from engine.score(fitting(), decoding, top)
