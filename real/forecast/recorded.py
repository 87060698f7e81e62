"""A forecast from two records: what the log-probabilities of drawn tokens say, and what they cannot say.

Any two programs can have written the records. The log-ratios along the dense texts give the total variation
of n tokens, the survival of exact agreement and the KL divergence (J1); ``top`` brackets what a single step
needs the vocabulary for. Texts are read one pair at a time; what is kept of a text is a few numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real.forecast.text_drift import LEVEL, HalfLife, Interval, doublings
from real.records import Header, RecordedText, read_pair
from theory import Band, survival_weights, tv_terms
from theory.drift.partial import PartialDrift, partial_drift
from theory.sequences.betting import betting_band, lower_limit
from theory.sequences.scores import ScoreBand, ScoredTexts, score_band

_MOST_VALUES = 1 << 14  # prompts times tokens up to which a curve is kept at every n
_RESAMPLES = 2000


@dataclass(frozen=True)
class RecordedForecast:
    """What two records say of the second model. Bands are float64 ``(m,)`` at ``tokens`` (m,) tokens.

    sequence_tv, survival: see :class:`~real.forecast.text_drift.Forecast`; limits hold for each n.
    kl: ``(m,)`` mean KL(P_n||Q_n) in nats (estimate). kl_per_token: its mean per drawn token; the lower limit
    is valid, the upper a bootstrap over prompts. acceptance: probability that a token drafted by the second
    model is accepted, 1 - TV of a step. step_tv: mean over the steps of an interval that holds their total
    variation for certain, None without ``top``. greedy_identical: leading tokens that greedy decoding keeps,
    of each text, int64 ``(N,)``, and the texts' lengths; None unless the text is greedy and the second
    record has ``top``. score: limits of the second model's mean score (K4); None unless every dense text is
    scored. rounding: largest error of a log-ratio in nats; every limit is widened by it.
    """

    dense: Header
    other: Header
    texts: int
    prompts: int
    level: float
    tokens: Tensor
    sequence_tv: Band
    survival: Band
    kl: Tensor
    kl_per_token: Interval
    identical_tokens: Interval
    half_life: HalfLife
    acceptance: Interval
    step_tv: tuple[float, float] | None
    greedy_identical: tuple[Tensor, Tensor] | None
    score: ScoreBand | None
    rounding: float
    missing: tuple[str, ...]

    @property
    def horizon(self) -> int:
        """Longest text in tokens."""
        return int(self.tokens[-1])


def forecast_records(dense: str | Path, other: str | Path, level: float = LEVEL) -> RecordedForecast:
    """Compare the dense record with another model's record of the same texts.

    Raises
    ------
    RecordError
        The two must not be compared; see :func:`real.records.read_pair`.
    """
    first, second, pairs = read_pair(dense, other)
    size = _size(pairs)
    tokens = torch.tensor(
        range(1, size.horizon + 1)
        if len(size.prompts) * size.horizon <= _MOST_VALUES
        else doublings(size.horizon)
    )
    sums = _Sums(tokens, size, rounding=first.rounding + second.rounding)
    for one, two in read_pair(dense, other)[2]:
        sums.add(one, two, (first.rounding, second.rounding))
    return sums.forecast(first, second, level)


@dataclass(frozen=True)
class _Size:
    """prompts: place of each prompt's number in the tables, and its texts. top: every text of both has it."""

    texts: int
    prompts: dict[int, int]
    horizon: int
    top: bool


def _size(pairs: Iterator[tuple[RecordedText, RecordedText]]) -> _Size:
    prompts: dict[int, int] = {}
    texts, horizon, top = 0, 0, True
    for one, two in pairs:
        prompts.setdefault(one.prompt, len(prompts))
        texts, horizon = texts + 1, max(horizon, len(one.ids))
        top = top and one.top is not None and two.top is not None
    return _Size(texts, prompts, horizon, top)


class _Sums:
    """What is kept: sums over the texts of a prompt, float64 ``(prompts, m)``, a few numbers of each text."""

    def __init__(self, tokens: Tensor, size: _Size, rounding: float) -> None:
        self.tokens, self.size, self.rounding = tokens, size, rounding
        rows = len(size.prompts)
        # as written, and at the lower and upper end of what was rounded away, where anything was
        self.ends = (0.0, -rounding, rounding) if rounding else (0.0,)
        shapes = {name: (len(self.ends), rows, len(tokens)) for name in ("tv", "survival")}
        shapes |= {name: (len(self.ends), rows, 1) for name in ("identical", "accepted")}
        # two unbiased estimators: -log ratio, and ratio - 1 - log ratio, which is never negative; the second
        # once more with log-ratios as near to 0 as rounding allows
        shapes |= {"kl": (2, rows, len(tokens)), "kl_per_token": (3 if rounding else 2, rows, 1)}
        if size.top:
            shapes["step_tv"] = (2, rows, 1)
        self.sums = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
        self.count = torch.zeros(rows, 1, dtype=torch.float64)
        self.greedy, self.lengths, self.prompts = array("q"), array("q"), array("q")
        self.log_weights, self.scores = array("d"), array("d")

    def add(self, one: RecordedText, two: RecordedText, rounding: tuple[float, float]) -> None:
        """Add one text under both models."""
        row, sums = self.size.prompts[one.prompt], self.sums
        ratio = torch.tensor(two.logprobs, dtype=torch.float64) - torch.tensor(
            one.logprobs, dtype=torch.float64
        )
        places = self.tokens.clamp(max=len(ratio)) - 1  # after its end a text stays as it is
        for end, shift in enumerate(self.ends):
            values = ratio + shift
            weights = survival_weights(values)
            sums["tv"][end, row] += tv_terms(values)[places]
            sums["survival"][end, row] += weights[places]
            sums["identical"][end, row] += weights.sum() / self.size.horizon
            sums["accepted"][end, row] += values.clamp(max=0).exp().mean()
        near = torch.nn.functional.softshrink(ratio, self.rounding)
        terms = (-ratio, torch.expm1(ratio) - ratio, torch.expm1(near) - near)
        for kind in range(len(sums["kl_per_token"])):
            sums["kl_per_token"][kind, row] += terms[kind].mean()
        for kind in range(len(sums["kl"])):
            sums["kl"][kind, row] += terms[kind].cumsum(0)[places]
        self.count[row] += 1
        self.prompts.append(row)
        self.lengths.append(len(ratio))
        # every limit of a score falls with the weights, so their lower ends are what rounding leaves certain
        self.log_weights.append(float((ratio - self.rounding).sum()))
        if one.score is not None:
            self.scores.append(one.score)
        if two.top is not None:
            self.greedy.append(_departure(two))
        if self.size.top:
            steps = _steps(one, two, rounding)
            for end, name in enumerate(("tv_lower", "tv_upper")):
                sums["step_tv"][end, row] += sum(getattr(step, name) for step in steps) / len(steps)

    def forecast(self, dense: Header, other: Header, level: float) -> RecordedForecast:
        """Bands over prompts; the sums become means."""
        mean = {name: values.div_(self.count) for name, values in self.sums.items()}
        survival = _widened(mean["survival"], (1, 2), level)
        kind, per_token = _kl(mean["kl_per_token"][:, :, 0], self.rounding, level)
        greedy = dense.decoding.temperature == 0 and len(self.greedy) == self.size.texts
        return RecordedForecast(
            dense=dense,
            other=other,
            texts=self.size.texts,
            prompts=len(self.size.prompts),
            level=level,
            tokens=self.tokens,
            sequence_tv=_widened(mean["tv"], (2, 1), level),
            survival=survival,
            kl=mean["kl"][kind].mean(0),
            kl_per_token=per_token,
            identical_tokens=_interval(_widened(mean["identical"], (1, 2), level), self.size.horizon),
            half_life=_half_life(self.tokens, survival),
            acceptance=_interval(_widened(mean["accepted"], (1, 2), level)),
            step_tv=_step_tv(mean["step_tv"]) if self.size.top else None,
            greedy_identical=(_column(self.greedy), _column(self.lengths)) if greedy else None,
            score=self._score(level),
            rounding=self.rounding,
            missing=self._missing(greedy),
        )

    def _score(self, level: float) -> ScoreBand | None:
        if len(self.scores) < self.size.texts:
            return None
        texts = ScoredTexts(_column(self.log_weights), _column(self.scores), _column(self.prompts))
        return score_band(texts, level)

    def _missing(self, greedy: bool) -> tuple[str, ...]:
        absent = ["multiple choice", "retrieval", "identical tokens under shared noise"]
        if not self.size.top:
            absent.append("certain limits on single steps (record with --top)")
        if len(self.scores) < self.size.texts:
            absent.append("score (write 'score' into every line of the dense record)")
        if not greedy:
            absent.append("greedy text (record at --temperature 0 with --top)")
        return tuple(absent)


def _column(values: array[Any]) -> Tensor:
    return torch.from_numpy(np.array(values))


def _step_tv(ends: Tensor) -> tuple[float, float]:
    low, high = ends.mean((1, 2)).tolist()
    return low, high


def _departure(text: RecordedText) -> int:
    """Leading tokens that are each the most likely one."""
    assert text.top is not None
    best = (max(step, key=lambda known: known[1])[0] for step in text.top)
    same = [token == drawn for token, drawn in zip(best, text.ids, strict=True)]
    return next((n for n, held in enumerate(same) if not held), len(same))


def _kl(values: Tensor, rounding: float, level: float) -> tuple[int, Interval]:
    """The less noisy of two estimators of KL per token, means ``(2 or 3, prompts)`` in, and its interval.

    The lower limit is that of the never negative estimator, valid whatever the models. With cut laws (top-k)
    that one estimates less than KL, never more.
    """
    spread = values[:2].var(1) if values.shape[1] > 1 else torch.zeros(2)
    kind = 1 if spread[1] <= spread[0] else 0
    lower = float(lower_limit(values[-1].unsqueeze(1), (1 - level) / 2))
    chosen = values[kind]
    generator = torch.Generator().manual_seed(0)
    picks = (torch.randint(len(chosen), (len(chosen),), generator=generator) for _ in range(_RESAMPLES))
    upper = torch.quantile(torch.stack([chosen[pick].mean() for pick in picks]), (1 + level) / 2)
    mean = float(chosen.mean())
    return kind, Interval(mean, min(mean, lower), max(mean, float(upper) + rounding))


def _steps(one: RecordedText, two: RecordedText, rounding: tuple[float, float]) -> list[PartialDrift]:
    """Bracketed drift of every step; the drawn token is known to both."""
    assert one.top is not None
    assert two.top is not None
    steps = zip(one.top, two.top, one.ids, one.logprobs, two.logprobs, strict=True)
    return [
        partial_drift(dict(mine) | {token: p}, dict(theirs) | {token: q}, rounding)
        for mine, theirs, token, p, q in steps
    ]


def _widened(ends: Tensor, order: tuple[int, int], level: float) -> Band:
    """Mean of the values as written; limits from the ends ``order`` (low, high) of ``(3, prompts, m)``.

    Where nothing was rounded there are no ends beside the values, ``(1, prompts, m)``.
    """
    if len(ends) == 1:
        return _band(ends[0], level)
    low, high = (_band(ends[index], level) for index in order)
    return Band(ends[0].mean(0), low.lower, high.upper)


def _band(values: Tensor, level: float) -> Band:
    """:func:`betting_band` a few columns at a time, so that memory grows with the prompts alone."""
    step = max(1, _MOST_VALUES // len(values))
    parts = [betting_band(few, level) for few in torch.split(values, step, dim=1)]
    return Band(*(torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "lower", "upper")))


def _interval(band: Band, factor: float = 1.0) -> Interval:
    return Interval(*(float(getattr(band, name)) * factor for name in ("mean", "lower", "upper")))


def _half_life(tokens: Tensor, survival: Band) -> HalfLife:
    """First tabulated n at which survival, and its limits, are below one half; all three curves fall."""

    def first(curve: Tensor) -> int | None:
        below = (curve < 0.5).nonzero()
        return int(tokens[below[0]]) if len(below) else None

    return HalfLife(first(survival.mean), first(survival.lower), first(survival.upper))
