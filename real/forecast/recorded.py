"""A forecast from two records: what the log-probabilities of drawn tokens say, and what they cannot say.

Any two programs can have written the records. The log-ratios along the dense texts give the total variation
of n tokens, the survival of exact agreement and the KL divergence (J1); ``top`` brackets what a single step
needs the vocabulary for. Texts are read one pair at a time; what is kept of a text is a few numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from real.forecast.text_drift import LEVEL, HalfLife, Interval, doublings
from real.records import Header, RecordedText, read_pair
from theory import Band, kl_terms, survival_weights, tv_terms
from theory.drift.partial import PartialDrift, partial_drift
from theory.sequences.betting import betting_band

_MOST_VALUES = 1 << 20  # prompts times tokens up to which a curve is kept at every n
_PER_TOKEN_CAP = 8.0  # nats; a mean of lower bounds per token is clipped here for a limit without assumptions
_RESAMPLES = 2000


@dataclass(frozen=True)
class RecordedForecast:
    """What two records say of the second model. Bands are float64 ``(m,)`` at ``tokens`` (m,) tokens.

    sequence_tv, survival: see :class:`~real.forecast.text_drift.Forecast`; limits hold for each n.
    kl: ``(m,)`` mean KL(P_n||Q_n) in nats (estimate). kl_per_token: its mean per drawn token; the lower limit
    is valid, the upper a bootstrap over prompts. acceptance: probability that a drafted token is accepted,
    None without ``top``. greedy_identical: leading tokens that greedy decoding keeps, of each text, int64
    ``(N,)`` with the texts' lengths; None unless the text is greedy and the second record has ``top``.
    rounding: largest error of a log-ratio in nats, by which every limit is already widened.
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
    acceptance: Interval | None
    greedy_identical: tuple[Tensor, Tensor] | None
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
        range(1, size.horizon + 1) if len(size.prompts) * size.horizon <= _MOST_VALUES else doublings(size.horizon)
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
    """Sums over the texts of each prompt, float64 ``(prompts, m)``, from which means over prompts follow."""

    def __init__(self, tokens: Tensor, size: _Size, rounding: float) -> None:
        self.tokens, self.size, self.rounding = tokens, size, rounding
        shape = (len(size.prompts), len(tokens))
        self.count = torch.zeros(shape[0], 1, dtype=torch.float64)
        # each three times: as written, and at the two ends of what was rounded away
        self.tv = torch.zeros(3, *shape, dtype=torch.float64)
        self.survival = torch.zeros(3, *shape, dtype=torch.float64)
        self.kl = torch.zeros(shape, dtype=torch.float64)
        names = ("kl_per_token", "identical", "identical_low", "identical_high", "kl_low", "tv_low", "tv_high")
        self.scalar = {name: torch.zeros(shape[0], 1, dtype=torch.float64) for name in names}
        self.greedy: list[int] = []
        self.lengths: list[int] = []

    def add(self, one: RecordedText, two: RecordedText, rounding: tuple[float, float]) -> None:
        """Add one text under both models."""
        row = self.size.prompts[one.prompt]
        ratio = torch.tensor(two.logprobs, dtype=torch.float64) - torch.tensor(one.logprobs, dtype=torch.float64)
        length = len(ratio)
        places = self.tokens.clamp(max=length) - 1  # after its end a text stays as it is
        ends = (ratio, ratio - self.rounding, ratio + self.rounding)
        for index, values in enumerate(ends):
            self.tv[index, row] += tv_terms(values)[places]
            weights = survival_weights(values)
            self.survival[index, row] += weights[places]
            self.scalar[("identical", "identical_low", "identical_high")[index]][row] += weights.sum()
        self.kl[row] += kl_terms(ratio)[places]
        self.scalar["kl_per_token"][row] -= ratio.mean()
        self.count[row] += 1
        self.lengths.append(length)
        if two.top is not None:
            same = [max(step, key=lambda pair: pair[1])[0] for step in two.top]
            agree = torch.tensor([best == token for best, token in zip(same, two.ids, strict=True)])
            self.greedy.append(int(agree.long().cumprod(0).sum()))
        if self.size.top:
            self._add_steps(row, _steps(one, two, rounding))

    def _add_steps(self, row: int, steps: list[PartialDrift]) -> None:
        for name, field in (("kl_low", "kl_lower"), ("tv_low", "tv_lower"), ("tv_high", "tv_upper")):
            self.scalar[name][row] += sum(getattr(step, field) for step in steps) / len(steps)

    def forecast(self, dense: Header, other: Header, level: float) -> RecordedForecast:
        """Bands over prompts."""
        tv = _widened(self.tv / self.count, (2, 1), level)
        survival = _widened(self.survival / self.count, (1, 2), level)
        mean = {name: values / self.count for name, values in self.scalar.items()}
        horizon = self.size.horizon
        kept = torch.stack([mean[name] for name in ("identical", "identical_low", "identical_high")]) / horizon
        identical = _interval(_widened(kept.clamp(max=1), (1, 2), level), horizon)
        greedy = dense.decoding.temperature == 0 and len(self.greedy) == self.size.texts
        return RecordedForecast(
            dense=dense,
            other=other,
            texts=self.size.texts,
            prompts=len(self.size.prompts),
            level=level,
            tokens=self.tokens,
            sequence_tv=tv,
            survival=survival,
            kl=(self.kl / self.count).mean(0),
            kl_per_token=self._kl(mean, tv, level),
            identical_tokens=identical,
            half_life=_half_life(self.tokens, survival),
            acceptance=self._acceptance(mean, level),
            greedy_identical=(torch.tensor(self.greedy), torch.tensor(self.lengths)) if greedy else None,
            rounding=self.rounding,
            missing=self._missing(greedy),
        )

    def _kl(self, mean: dict[str, Tensor], tv: Band, level: float) -> Interval:
        """Mean, valid lower limit, bootstrap upper limit of the KL per token.

        Without ``top`` a step's KL is seen through its log-ratios alone, which have no lower bound; then
        KL(P_n||Q_n) >= -log(1 - TV^2) (Bretagnolle and Huber) gives the limit.
        """
        values = mean["kl_per_token"][:, 0]
        if self.size.top:
            capped = betting_band((mean["kl_low"] / _PER_TOKEN_CAP).clamp(max=1), level)
            lower = float(capped.lower) * _PER_TOKEN_CAP
        else:
            lower = float(-torch.log1p(-tv.lower[-1] ** 2)) / self.size.horizon
        generator = torch.Generator().manual_seed(0)
        means = torch.stack(
            [values[torch.randint(len(values), (len(values),), generator=generator)].mean() for _ in range(_RESAMPLES)]
        )
        upper = float(torch.quantile(means, (1 + level) / 2)) + self.rounding
        centre = float(values.mean())
        return Interval(centre, min(centre, lower), max(centre, upper))

    def _acceptance(self, mean: dict[str, Tensor], level: float) -> Interval | None:
        if not self.size.top:
            return None
        low, high = (betting_band(1 - mean[name], level) for name in ("tv_high", "tv_low"))
        return Interval(float(low.mean + high.mean) / 2, float(low.lower), float(high.upper))

    def _missing(self, greedy: bool) -> tuple[str, ...]:
        absent = ["multiple choice", "retrieval", "identical tokens under shared noise"]
        if not self.size.top:
            absent.append("drift of single steps (record with --top)")
        if not greedy:
            absent.append("greedy text (record at --temperature 0 with --top)")
        return tuple(absent)


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
    """Mean of the values as written; limits from the ends ``order`` (low, high) of ``(3, prompts, m)``."""
    if torch.equal(ends[order[0]], ends[order[1]]):
        return _band(ends[0], level)
    low, high = (_band(ends[index], level) for index in order)
    return Band(ends[0].mean(0), low.lower, high.upper)


def _band(values: Tensor, level: float) -> Band:
    """:func:`betting_band` a few columns at a time, so that memory grows with the prompts alone."""
    step = max(1, _MOST_VALUES // len(values) // 16)
    parts = [betting_band(few, level) for few in torch.split(values, step, dim=1)]
    return Band(*(torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "lower", "upper")))


def _interval(band: Band, factor: float) -> Interval:
    return Interval(*(float(getattr(band, name)) * factor for name in ("mean", "lower", "upper")))


def _half_life(tokens: Tensor, survival: Band) -> HalfLife:
    """First tabulated n at which survival, and its limits, are below one half; all three curves fall."""

    def first(curve: Tensor) -> int | None:
        below = (curve < 0.5).nonzero()
        return int(tokens[below[0]]) if len(below) else None

    return HalfLife(first(survival.mean), first(survival.lower), first(survival.upper))
