"""Numbers with 95 % confidence limits: what every verdict is drawn from.

The independent units of a run are its prompts, the blocks of one long text, and the items of a task. Values
at the positions of one prompt are not independent, so a statistic is computed for each unit by itself and
Student's interval laid over the units (Ibragimov and Müller's group estimates: valid when the groups differ
in variance, never too short at this level). Shares of answers have Jeffreys' limits. No interval has width
zero because everything observed was equal: shares are never narrower than Wilson's interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, t

LEVEL = 0.95
BLOCKS = 8  # of one long text
_DRAWS = 4000


@dataclass(frozen=True)
class Limits:
    """A value with the confidence limits ``low <= value <= high``; infinite where nothing limits it."""

    value: float
    low: float
    high: float

    def above(self, threshold: float) -> bool | None:
        """Whether the number exceeds ``threshold``; None if the limits allow either."""
        return True if self.low > threshold else False if self.high <= threshold else None

    def below(self, threshold: float) -> bool | None:
        """Whether the number lies under ``threshold``; None if the limits allow either."""
        return True if self.high < threshold else False if self.low >= threshold else None

    def map(self, increasing: Callable[[float], float]) -> Limits:
        """The limits of an increasing function of the number."""
        return Limits(increasing(self.value), increasing(self.low), increasing(self.high))

    def __sub__(self, other: Limits) -> Limits:
        """Difference of two independent numbers: distances to the limits add in squares."""
        return Limits(
            self.value - other.value,
            self.value - other.value - math.hypot(self.value - self.low, other.high - other.value),
            self.value - other.value + math.hypot(self.high - self.value, other.value - other.low),
        )

    def __format__(self, spec: str) -> str:
        """``f"{limits:.2f}"`` gives ``0.42 [0.31, 0.55]``."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def student(values: Iterable[float], whole: float | None = None, level: float = LEVEL) -> Limits:
    """Limits of the mean of independent ``values``; they always hold ``whole``, the pooled statistic.

    Fewer than two finite values limit nothing.
    """
    found = np.array([value for value in values if math.isfinite(value)])
    centre = float(found.mean()) if len(found) else math.nan
    value = centre if whole is None else whole
    if len(found) < 2:
        return Limits(value, -math.inf, math.inf)
    half = float(t.ppf((1 + level) / 2, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    return Limits(value, min(value, centre - half), max(value, centre + half))


def over(frame: pd.DataFrame, statistic: Callable[[pd.DataFrame], float], unit: str = "prompt") -> Limits:
    """``statistic`` of the frame, with limits from its value in each ``unit`` (a column) by itself."""
    return student((statistic(part) for _, part in frame.groupby(unit)), statistic(frame))


def geometric(
    frame: pd.DataFrame, statistic: Callable[[pd.DataFrame], float], unit: str = "prompt"
) -> Limits:
    """As ``over`` for a positive statistic, on its logarithm."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return over(frame, lambda part: float(np.log(statistic(part))), unit).map(_exp)


def mean_ratio(above: ArrayLike, below: ArrayLike, unit: ArrayLike) -> Limits:
    """Mean of one positive column over that of another, with limits over units.

    What ``geometric`` says of that statistic, hundreds of times faster.
    """
    places, _ = pd.factorize(np.asarray(unit))
    top, bottom = (np.bincount(places, np.asarray(column, dtype=float)) for column in (above, below))
    with np.errstate(divide="ignore", invalid="ignore"):
        return student(np.log(top / bottom), float(np.log(top.sum() / bottom.sum()))).map(_exp)


def share(true: pd.Series, unit: pd.Series) -> Limits:
    """Share of cases in which ``true``, with limits over units, never narrower than Wilson's over cases."""
    cases = true.astype(float)
    between = student(cases.groupby(unit.to_numpy()).mean(), float(cases.mean()))
    wilson = proportion(int(cases.sum()), len(cases))
    return Limits(
        between.value, max(0.0, min(between.low, wilson.low)), min(1.0, max(between.high, wilson.high))
    )


def proportion(count: int, total: int, level: float = LEVEL) -> Limits:
    """Wilson's limits of a share of independent cases."""
    found = binomtest(count, total).proportion_ci(level, method="wilson")
    return Limits(count / total, float(found.low), float(found.high))


def decided_share(conditions: Iterable[bool | None]) -> Limits:
    """Share of a complete list of cases that are true; cases not decided may be either."""
    found = list(conditions)
    sure = sum(condition is True for condition in found) / len(found)
    open_ = sum(condition is None for condition in found) / len(found)
    return Limits(sure + open_ / 2, sure, sure + open_)


def average(parts: Sequence[Limits]) -> Limits:
    """Mean of independent numbers: distances to the limits add in squares."""
    value = float(np.mean([part.value for part in parts]))
    down = math.hypot(*(part.value - part.low for part in parts)) / len(parts)
    up = math.hypot(*(part.high - part.value for part in parts)) / len(parts)
    return Limits(value, value - down, value + up)


def blocks(step: pd.Series, count: int = BLOCKS) -> pd.Series:
    """Consecutive blocks of the steps of one long text, which stand for independent units."""
    return (step * count // (int(step.max()) + 1)).astype(int)


def paired_shares(
    kept: int, lost: int, gained: int, never: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draws of the shares of right answers (before, after) from Jeffreys' posterior of the paired outcomes.

    ``kept`` items were right before and after, ``lost`` only before, ``gained`` only after, ``never`` not
    at all.
    """
    counts = np.array([kept, lost, gained, never]) + 0.5
    draws = np.random.default_rng(seed).dirichlet(counts, _DRAWS)
    return draws[:, 0] + draws[:, 1], draws[:, 0] + draws[:, 2]


def of_draws(draws: NDArray[np.float64], value: float, level: float = LEVEL) -> Limits:
    """Equal-tailed limits of a posterior, widened to hold ``value``."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Limits(value, min(value, float(low)), max(value, float(high)))


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
