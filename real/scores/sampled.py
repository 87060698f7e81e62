"""Any score in [0, 1] of written texts: dense samples are scored once, every variant reads them once (K4).

What is drawn is kept on disk, so a scorer that fails costs no text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.models.load import LanguageModel
from real.scores.accepted import cut
from real.tasks.source import Scorer, TaskSource
from real.text.likelihood import log_probabilities
from real.text.sample import Samples, pack, sample
from theory.sequences.scores import ScoredTexts, deciding_log_weights


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
    lm: LanguageModel,
    source: TaskSource,
    scorer: Scorer,
    *,
    samples: int = 4,
    temperature: float = 1.0,
    seed: int = 0,
    folder: Path | None = None,
) -> Scored:
    """:func:`judged` texts with their log-probabilities in the dense model: one pass more."""
    found = judged(lm, source, scorer, samples=samples, temperature=temperature, seed=seed, folder=folder)
    return Scored(
        found.samples, found.texts, found.scores, found.decided, log_probabilities(lm, found.samples)
    )


def judged(
    lm: LanguageModel,
    source: TaskSource,
    scorer: Scorer,
    *,
    samples: int = 4,
    temperature: float = 1.0,
    seed: int = 0,
    folder: Path | None = None,
) -> Judged:
    """Let the dense model answer every question ``samples`` times and score what it wrote.

    ``scorer`` is given the text up to its first stop, stripped, and the question. Texts are kept in
    ``folder`` (default: the cache).

    Raises
    ------
    ScorerError
        The scorer raises, or gives no number in [0, 1]: one sentence that names the question and the text.
    """
    prompts = [list(ids) for ids in source.prompts(lm)]
    drawn = _drawn(lm, prompts, source.horizon, samples, temperature, seed, folder)
    written = [_text(lm, source, drawn.continuation(row).tolist()) for row in range(len(drawn))]
    scores = [
        _score(scorer, source, int(prompt), text)
        for prompt, (text, _) in zip(drawn.prompt, written, strict=True)
    ]
    return Judged(
        samples=drawn,
        texts=tuple(text for text, _ in written),
        scores=torch.tensor(scores, dtype=torch.float64),
        decided=torch.tensor([tokens for _, tokens in written]),
    )


def read_with(other: LanguageModel, dense: Scored, start: int, end: int) -> ScoredTexts:
    """The weights, in a variant, of the dense texts of some prompts: one teacher-forced pass."""
    whole = dense.samples
    rows = ((whole.prompt >= start) & (whole.prompt < end)).nonzero().squeeze(1)
    some = replace(
        whole,
        tokens=whole.tokens[rows],
        prompt_lengths=whole.prompt_lengths[rows],
        lengths=whole.lengths[rows],
        prompt=whole.prompt[rows] - start,
    )
    log_ratio = log_probabilities(other, some)
    log_ratio = log_ratio - dense.log_prob[rows, : log_ratio.shape[1]]
    return ScoredTexts(deciding_log_weights(log_ratio, dense.decided[rows]), dense.scores[rows], some.prompt)


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


def _drawn(
    lm: LanguageModel,
    prompts: list[list[int]],
    horizon: int,
    samples: int,
    temperature: float,
    seed: int,
    folder: Path | None,
) -> Samples:
    name = content_key([lm.name, lm.provenance, prompts, horizon, samples, temperature, seed])
    place = (folder or cache_folder() / "texts") / f"{name[:16]}.json"
    kept = read_record(place)
    if kept is None:
        fresh = sample(lm, prompts, horizon, samples, temperature, seed)
        kept = [fresh.continuation(row).tolist() for row in range(len(fresh))]
        write_record(place, kept)
    rows = [(index, ids) for index, ids in enumerate(prompts) for _ in range(samples)]
    return pack(lm, rows, kept, temperature, seed)
