"""The transformers engine: any model that :func:`real.load` takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from more_itertools import chunked
from torch import LongTensor, Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LogitsProcessor

from real.engines.engine import Row, likeliest, log_law, recorded
from real.models.load import LanguageModel
from real.records.record import Decoding, RecordedText
from real.records.tokenizer import tokenizer_hash
from real.text.passes import final_hidden, head_logits
from real.text.prompting import encode_prompt
from real.text.sample import GumbelRace, generate, row_generators, stop_tokens

_BATCH = 16
_HEAD_ROWS = 64  # positions of one head product


class HuggingFaceEngine:
    """A :class:`~real.models.load.LanguageModel` as an engine; see :class:`real.engines.Engine`."""

    rounding = 0.0

    def __init__(self, lm: LanguageModel) -> None:
        facts = lm.provenance
        self.lm = lm
        self.name = lm.name
        self.description = f"transformers {facts.get('transformers')}, {facts.get('dtype', 'float32')}"
        self.weights: str | None = facts.get("sha256") or (facts.get("content") or lm.content)["weights"]
        self.tokenizer_sha256: str | None = tokenizer_hash(lm.tokenizer.get_vocab())
        self.context_length = lm.context_length
        self.vocabulary: int | None = lm.model.config.get_text_config().vocab_size

    def encode(self, text: str) -> list[int]:
        return encode_prompt(self.lm, text)

    def scored(self, decoding: Decoding) -> Decoding:
        return decoding

    def draw(
        self, rows: Sequence[Row], new_tokens: int, decoding: Decoding, seed: int, top: int
    ) -> Iterator[RecordedText]:
        # A penalty counts the tokens of a row, and padding would count: then prompts of one length only.
        alike = decoding.repetition_penalty != 1.0 or not self.lm.checks.padded
        groups = groupby(rows, key=lambda row: len(row.prompt_ids) if alike else 0)
        stops = stop_tokens(self.lm)
        for batch in (batch for _, group in groups for batch in chunked(group, 2 * _BATCH)):
            law = _Law(decoding)
            winner = _Winner(law, top)
            numbers = [row.number for row in batch]
            race = [GumbelRace(1.0, row_generators(seed, numbers))] if decoding.temperature else []
            prompts = [row.prompt_ids for row in batch]
            drawn = generate(self.lm, prompts, new_tokens, [law, *race, winner])
            for index, (row, ids) in enumerate(zip(batch, drawn, strict=True)):
                yield winner.text(index, row, ids, ids[-1] in stops)

    def score(self, texts: Iterable[RecordedText], decoding: Decoding, top: int) -> Iterator[RecordedText]:
        for batch in chunked(texts, _BATCH):
            # the last token predicts nothing that is asked for
            rows = [torch.tensor([*text.prompt_ids, *text.ids][:-1]) for text in batch]
            hidden = final_hidden(self.lm, pad_sequence(rows, batch_first=True), _BATCH)
            for text, states in zip(batch, hidden, strict=True):
                start = len(text.prompt_ids) - 1
                yield recorded(text, self._laws(text, states[start : start + len(text.ids)], decoding), top)

    def _laws(self, text: RecordedText, hidden: Tensor, decoding: Decoding) -> Tensor:
        prefixes = [[*text.prompt_ids, *text.ids[:step]] for step in range(len(text.ids))]
        parts = [
            log_law(
                head_logits(self.lm, hidden[start : start + _HEAD_ROWS]).cpu(),
                decoding,
                prefixes[start : start + _HEAD_ROWS],
            )
            for start in range(0, len(hidden), _HEAD_ROWS)
        ]
        return torch.cat(parts)


class _Law(LogitsProcessor):
    """Before the race: logits become the log-probabilities of what is drawn from, and the last are kept."""

    def __init__(self, decoding: Decoding) -> None:
        self.decoding = decoding
        self.law: Tensor | None = None

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        prefixes = input_ids.tolist() if self.decoding.repetition_penalty != 1.0 else ()
        self.law = log_law(scores, self.decoding, prefixes)
        return self.law


class _Winner(LogitsProcessor):
    """After the race: what the law said of its winner, step by step."""

    def __init__(self, law: _Law, top: int) -> None:
        self.law, self.top = law, top
        self.values: list[Tensor] = []
        self.best: list[Any] = []

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        law = self.law.law
        assert law is not None
        self.values.append(law.gather(1, scores.argmax(1, keepdim=True)).clamp(max=0).cpu())
        if self.top:
            values, ids = likeliest(law, self.top)
            self.best.append((ids.tolist(), values.tolist()))
        return scores

    def text(self, row: int, one: Row, ids: Sequence[int], stopped: bool) -> RecordedText:
        """The record of row number ``row`` of the batch."""
        values = torch.cat(self.values, 1)[row, : len(ids)].tolist()
        known = None
        if self.top:
            known = tuple(
                tuple(zip(tokens[row], logs[row], strict=True)) for tokens, logs in self.best[: len(ids)]
            )
        return RecordedText(one.prompt, one.prompt_ids, tuple(ids), tuple(values), stopped, None, known)
