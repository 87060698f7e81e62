"""Confidence limits by betting: exact at every sample size, for values of any size, narrow where they
hardly vary (K4).

A gambler who stakes the fraction c on high values has, after X_1 .. X_m >= 0 with mean mu, the wealth
Π_i (1 - c + c X_i/mu), of mean 1. So has the average over fixed stakes, G(mu). G falls as mu grows; by
Markov G(mu) >= 1/alpha with probability at most alpha, and the least mu below that is a lower limit. Only
X >= 0 is used: values need no upper bound, and an upper limit is a lower limit of another nonnegative value
(1 - x for x in [0, 1]).

Rows are the independent units. Three kinds of sample have the same limits:

- *drawn prompts*: rows are prompts (average each one's texts first), independent with one law;
- *listed prompts*: rows are texts, independent, each with a mean of its own; the limit is for the average of
  those means, because Π(1 - c + c mu_i/mu) <= 1 when mu is the average of the mu_i (AM-GM). The stakes must
  not depend on the row (K4x);
- rows drawn *without replacement* from a list (negatively associated).

Drawn prompts may also be added until a verdict falls (Ville): fix the stakes first, see ``design``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from theory.sequences.confidence import Band, check_level, check_rows

WHOLE_STAKE = 0.4
"""Weight of the stake c = 1. It alone reaches the price of prompts (K0) where nothing moved."""
_LARGEST_FRACTION = 0.5  # the other stakes start no higher, so that ten prompts still have some below 1
_STEPS = 200
_SETTLED = 1e-12  # of log mu; the limit is rounded down by as much
_LOG_ZERO = -1e300  # log 0 without the nan of inf - inf


def stakes(rows: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Stakes c in (0, 1] and their weights, each float64 ``(C,)``: the mixture G for ``rows`` rows (K4).

    c = 1 has weight 0.4; the rest is shared equally by sqrt(2 log(2/alpha)/rows) 2^j below 1. The smallest
    suits values in [0, 1] of the largest variance, so the width falls like 1/sqrt(rows).

    Raises
    ------
    ValueError
        If rows is below 1 or alpha is outside (0, 1).
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; expected at least 1")
    check_level(alpha, "alpha")
    least = min(_LARGEST_FRACTION, math.sqrt(2 * math.log(2 / alpha) / rows))
    fractions = [least * 2**j for j in range(math.ceil(-math.log2(least)))]
    fractions = [c for c in fractions if c < 1]
    weights = [(1 - WHOLE_STAKE) / len(fractions)] * len(fractions)
    return (
        torch.tensor([*fractions, 1.0], dtype=torch.float64),
        torch.tensor([*weights, WHOLE_STAKE], dtype=torch.float64),
    )


def lower_limit(values: Tensor, alpha: float, design: int | None = None) -> Tensor:
    """Lower confidence limit of the mean of each column of ``values`` ``(rows, n)``; float64 ``(n,)`` (K4).

    Wrong with probability at most ``alpha``, for each column by itself. Values are >= 0, of any size;
    infinity is read as the largest float64, and a cap on the values keeps the limit valid.

    Parameters
    ----------
    values
        ``(rows, n)``, rows independent: prompts (averaged over their texts), or the texts of listed prompts.
    alpha
        One-sided error.
    design
        Number of rows that the stakes are meant for; by default all rows. With one ``design`` fixed before
        the first row, the limits after 1, 2, 3, .. drawn prompts are all correct together with probability
        1 - alpha, so a program may stop as soon as it likes the answer. Not for listed prompts.

    Raises
    ------
    ValueError
        If a value is negative or nan, there is no row, or alpha is outside (0, 1).

    Examples
    --------
    >>> import torch
    >>> round(float(lower_limit(torch.ones(29, 1), 0.05)), 3)  # 29 prompts, nothing moved
    0.881
    """
    values = check_rows(values)
    fractions, weights = stakes(len(values) if design is None else design, alpha)
    logs = _logs(values)
    found = (logs > _LOG_ZERO).any(0)
    logs = torch.where(found, logs, 0.0)
    goal = math.log(1 / alpha)
    # log G is convex and falling in log mu, so Newton's steps from the left never pass the root: every
    # iterate is a valid limit. The start is where the smallest stake on the largest value is enough.
    start = goal - weights[0].log() - fractions[0].log() - (len(values) - 1) * torch.log1p(-fractions[0])
    place = logs.amax(0) - start
    for _ in range(_STEPS):
        wealth, slope = _log_wealth(logs, place, fractions, weights)
        step = (wealth - goal) / slope
        place = place + step
        if bool((step <= _SETTLED).all()):
            break
    return torch.where(found, torch.exp(place - _SETTLED), 0.0)


def log_e_value(values: Tensor, mean: float, alpha: float, design: int | None = None) -> Tensor:
    """log G(mean) of each column of ``values`` ``(rows, n)`` >= 0; float64 ``(n,)`` (K4).

    e^it is an e-value against "the true mean is at most ``mean``": its expectation is then at most 1. For
    "the loss is at least eps" use the values 1 - f + w f and the mean 1 - eps (K11). ``alpha`` and ``design``
    choose the stakes, as in :func:`lower_limit`.

    Raises
    ------
    ValueError
        As :func:`lower_limit`; or if mean is not positive and finite.
    """
    if not (0 < mean < math.inf):
        raise ValueError(f"mean is {mean}; expected a positive finite number")
    values = check_rows(values)
    place = torch.full_like(values[0], math.log(mean))
    return _log_wealth(_logs(values), place, *stakes(len(values) if design is None else design, alpha))[0]


def betting_band(values: Tensor, level: float = 0.95) -> Band:
    """Confidence interval for the mean of each column of ``values`` ``(rows, n)`` in [0, 1] (K4, J1).

    Both limits are :func:`lower_limit`, of x and of 1 - x, with half of the error each. Hoeffding's interval
    ignores how small or how steady the values are; this one does not.

    Source: betting confidence sets (Waudby-Smith and Ramdas), with a fixed mixture of stakes.

    Raises
    ------
    ValueError
        If values leave [0, 1], have no row, or level is outside (0, 1).
    """
    values = check_rows(values, low=0, high=1)
    alpha = (1 - check_level(level)) / 2
    return Band(values.mean(0), lower_limit(values, alpha), 1 - lower_limit(1 - values, alpha))


def signed_band(values: Tensor, level: float = 0.95) -> Band:
    """:func:`betting_band` for values in [-1, 1], such as the Le Cam pair of K7.

    Raises
    ------
    ValueError
        If values leave [-1, 1], have no row, or level is outside (0, 1).
    """
    values = check_rows(values, low=-1, high=1)
    alpha = (1 - check_level(level)) / 2
    return Band(values.mean(0), lower_limit(1 + values, alpha) - 1, 1 - lower_limit(1 - values, alpha))


def _logs(values: Tensor) -> Tensor:
    return values.clamp(max=torch.finfo(torch.float64).max).log().clamp(min=_LOG_ZERO)


def _log_wealth(logs: Tensor, place: Tensor, fractions: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """log G and minus its derivative by log mu at log mu = ``place`` ``(n,)``; each ``(n,)``."""
    wealths, slopes = [], []
    for fraction, weight in zip(fractions, weights, strict=True):
        won = fraction.log() + logs - place
        total = torch.logaddexp(torch.log1p(-fraction), won)
        wealths.append(weight.log() + total.sum(0))
        slopes.append(torch.exp(won - total).sum(0))
    wealth, slope = torch.stack(wealths), torch.stack(slopes)
    return torch.logsumexp(wealth, 0), (torch.softmax(wealth, 0) * slope).sum(0)
