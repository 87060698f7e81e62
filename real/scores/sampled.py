"""Any score in [0, 1] of written texts: dense samples are scored once, every variant reads them once (K4).

What is drawn is kept on disk, so a scorer that fails costs no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.records.record import RecordError
from real.records.tokenizer import tokenizer_hash
from real.scores.accepted import Accepted, cut
from real.scores.blocks import identity, in_blocks, ranges
from real.tasks.source import Asked, Scorer, TaskSource
from real.text.likelihood import log_probabilities
from real.text.sample import Samples, pack, sample
from theory.sequences.scores import ScoredTexts, deciding_log_weights

_ROWS = 32  # of one batch of texts


@dataclass(frozen=True)
class Draw:
    """How the dense model writes: texts per question, temperature, seed."""

    samples: int = 4
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.temperature > 0:
            raise ValueError(
                f"expected samples of at least 1 and a positive temperature, got {self.samples} and "
                f"{self.temperature}"
            )


class ScorerError(ValueError):
    """A scorer that raised, or gave something that is no score."""


@dataclass(frozen=True)
class Judged:
    """Dense texts of a task, and what is scored of each.

    scores: float64 ``(N,)``. decided: int64 ``(N,)``, tokens up to the stop; what follows is not scored (K5).
    """

    samples: Samples
    texts: tuple[str, ...]
    scores: Tensor
    decided: Tensor


@dataclass(frozen=True)
class Scored(Judged):
    """log_prob: float64 ``(N, n)``, of the drawn tokens under the dense model."""

    log_prob: Tensor


def scored(
    lm: LanguageModel, source: TaskSource, scorer: Scorer, draw: Draw = Draw(), folder: Path | None = None
) -> Scored:
    """:func:`judged` texts with their log-probabilities in the dense model: one pass more.

    In half precision they are those of the evaluation that drew the texts: another one is another law (K10).
    """
    found = judged(lm, source, scorer, draw, folder)
    log_prob = found.samples.log_prob
    if log_prob is None:
        log_prob = kept_log_probabilities(lm, found.samples, folder)
    return Scored(found.samples, found.texts, found.scores, found.decided, log_prob)


def graded(lm: LanguageModel, source: TaskSource) -> Scored:
    """Texts that are judged already, with the log-probabilities that their record keeps.

    These are raised by what rounding may have taken: weights fall, so every limit stays valid.

    Raises
    ------
    RecordError
        Another tokenizer made them.
    """
    known = source.graded
    assert known is not None
    if known.tokenizer_sha256 not in (None, tokenizer_hash(lm.tokenizer.get_vocab())):
        raise RecordError(
            f"{source.name} was recorded with another tokenizer than that of {lm.name}: the same token ids "
            "mean different text"
        )
    every = [(index, text) for index, one in enumerate(source.questions) for text in one.item]
    rows = [(index, list(text.prompt_ids)) for index, text in every]
    samples = pack(lm, rows, [list(text.ids) for _, text in every], known.temperature, known.seed)
    kept = [torch.tensor(text.logprobs, dtype=torch.float64) + known.rounding for _, text in every]
    return Scored(
        samples,
        tuple(str(lm.tokenizer.decode(list(text.ids), skip_special_tokens=True)) for _, text in every),
        torch.tensor([text.score for _, text in every], dtype=torch.float64),
        samples.lengths - samples.prompt_lengths,
        torch.nn.utils.rnn.pad_sequence(kept, batch_first=True),
    )


def judged(
    lm: LanguageModel, source: TaskSource, scorer: Scorer, draw: Draw = Draw(), folder: Path | None = None
) -> Judged:
    """Let the dense model answer every question and score what it wrote.

    ``scorer`` is given the text up to its first stop, stripped, and the question. Texts are kept in
    ``folder`` (default: the cache), as soon as a batch of them is written.

    Raises
    ------
    ScorerError
        The scorer raises, or gives no number in [0, 1]: one sentence that names the question and the text.
    """
    drawn = _drawn(lm, source, draw, folder)
    texts = [drawn.continuation(row).tolist() for row in range(len(drawn))]
    return Judged(drawn, *judge(lm, source, scorer, texts, drawn.prompt.tolist()))


def scorer_of(source: TaskSource) -> Scorer:
    """The task's own scorer, or whether a text is a right answer.

    Raises
    ------
    ValueError
        The task asks for no text, or a question has no right answer.
    """
    if source.scorer is not None:
        return source.scorer
    if source.has_options or source.endings:
        raise ValueError(
            f"task {source.name!r} asks for a choice: its options are compared, no text is drawn and judged"
        )
    require_answers(source)
    if source.after:
        raise ValueError(
            f"task {source.name!r} has answers after a chain of thought, which a forecast reads off; to "
            "compare drawn texts, name a scorer"
        )

    def right(text: str, one: Asked) -> float:
        return float(Accepted(one.answers, source.stops, one.pattern).is_right(text.encode()))

    return right


def require_answers(source: TaskSource) -> None:
    """Raise ValueError unless every question has a right answer."""
    missing = [index for index, one in enumerate(source.questions) if not one.answers and one.pattern is None]
    if missing:
        raise ValueError(
            f"task {source.name!r}, question {missing[0] + 1}: no right answer is given, so none can be read "
            "off; give answers, or a scorer that judges sampled texts"
        )


def judge(
    lm: LanguageModel,
    source: TaskSource,
    scorer: Scorer,
    texts: Sequence[Sequence[int]],
    prompt: Sequence[int],
) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """What was written (token ids) as text, its scores and its tokens up to the stop, see :class:`Judged`."""
    written = [_text(lm, source, list(ids)) for ids in texts]
    scores = [
        _score(scorer, source, question, text) for question, (text, _) in zip(prompt, written, strict=True)
    ]
    return (
        tuple(text for text, _ in written),
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor([tokens for _, tokens in written]),
    )


def some_rows(samples: Samples, start: int, end: int) -> tuple[Tensor, Samples]:
    """Rows of the prompts from ``start`` to ``end``: their numbers, and they themselves, prompts from 0."""
    rows = ((samples.prompt >= start) & (samples.prompt < end)).nonzero().squeeze(1)
    some = replace(
        samples,
        tokens=samples.tokens[rows],
        prompt_lengths=samples.prompt_lengths[rows],
        lengths=samples.lengths[rows],
        prompt=samples.prompt[rows] - start,
        log_prob=None,
    )
    return rows, some


def read_with(other: LanguageModel, dense: Scored, start: int, end: int) -> ScoredTexts:
    """The weights, in a variant, of the dense texts of some prompts: one teacher-forced pass."""
    rows, some = some_rows(dense.samples, start, end)
    log_ratio = log_probabilities(other, some)
    log_ratio = log_ratio - dense.log_prob[rows, : log_ratio.shape[1]]
    return ScoredTexts(deciding_log_weights(log_ratio, dense.decided[rows]), dense.scores[rows], some.prompt)


def kept_log_probabilities(lm: LanguageModel, samples: Samples, folder: Path | None = None) -> Tensor:
    """:func:`log_probabilities` block by block, kept in ``folder`` (default: the cache)."""
    spans = ranges(0, int(samples.prompt.max()) + 1)
    parts = [some_rows(samples, *span)[1] for span in spans]
    owner = identity(lm, "real.scores.likelihood", samples.temperature)
    facts = [
        [owner, part.tokens.tolist(), part.prompt_lengths.tolist(), part.lengths.tolist()] for part in parts
    ]
    found, _ = in_blocks(
        facts, lambda index: log_probabilities(lm, parts[index]).tolist(), "reading dense texts", folder
    )
    rows = [torch.tensor(row, dtype=torch.float64) for block in found for row in block]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def _score(scorer: Scorer, source: TaskSource, index: int, text: str) -> float:
    where = f"task {source.name!r}, question {index + 1}: the scorer"
    try:
        found = float(scorer(text, source.questions[index]))
    except Exception as error:
        raise ScorerError(f"{where} raised {type(error).__name__} ({error}) on {text[:60]!r}") from error
    if not 0 <= found <= 1:
        raise ScorerError(f"{where} gave {found:g} for {text[:60]!r}; expected a number from 0 to 1")
    return found


def _text(lm: LanguageModel, source: TaskSource, tokens: list[int]) -> tuple[str, int]:
    """What a row wrote before its first stop, and after how many tokens that stop was there."""
    whole = str(lm.tokenizer.decode(tokens, skip_special_tokens=True))
    if not any(stop in whole for stop in source.stops):
        return whole.strip(), len(tokens)
    low, high = 0, len(tokens)  # the stop is not there after low tokens, and is there after high
    while high - low > 1:
        middle = (low + high) // 2
        part = str(lm.tokenizer.decode(tokens[:middle], skip_special_tokens=True))
        low, high = (low, middle) if any(stop in part for stop in source.stops) else (middle, high)
    return cut(whole, source.stops).strip(), high


def _drawn(lm: LanguageModel, source: TaskSource, draw: Draw, folder: Path | None) -> Samples:
    """Texts of every question, a batch of rows at a time."""
    prompts = [list(ids) for ids in source.prompts(lm)]
    spans = ranges(0, len(prompts), max(1, _ROWS // draw.samples))
    owner = identity(lm, "real.text.sample", draw.temperature, draw.seed, source.horizon, draw.samples)

    def make(index: int) -> dict[str, Any]:
        start, end = spans[index]
        first = start * draw.samples
        fresh = sample(
            lm, prompts[start:end], source.horizon, draw.samples, draw.temperature, draw.seed, first_row=first
        )
        texts = [fresh.continuation(row).tolist() for row in range(len(fresh))]
        return {"texts": texts, "log_prob": None if fresh.log_prob is None else fresh.log_prob.tolist()}

    facts = [[owner, start, prompts[start:end]] for start, end in spans]
    found, _ = in_blocks(facts, make, "dense texts", folder)
    rows = [(index, ids) for index, ids in enumerate(prompts) for _ in range(draw.samples)]
    packed = pack(lm, rows, [text for block in found for text in block["texts"]], draw.temperature, draw.seed)
    if found[0]["log_prob"] is None:
        return packed
    kept = [torch.tensor(row, dtype=torch.float64) for block in found for row in block["log_prob"]]
    padded = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)
    return replace(packed, log_prob=padded[:, : packed.horizon])
