"""How many prompts a verdict needs (K0), and which of many verdicts stand together (K11)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from theory.sequences.betting import log_e_value
from theory.sequences.confidence import check_level

_IN_SIGHT = 1 << 20  # rows; farther than that no number is named


def prompts_needed(limit: float, alpha: float = 0.05) -> int:
    """Least number of prompts with which *any* method can certify "loss <= limit", error ``alpha`` (K0).

    log(1/alpha)/-log(1 - limit), rounded up: a share ``limit`` of destroyed prompts stays unseen with
    probability (1 - limit)^m.

    Raises
    ------
    ValueError
        If limit or alpha is outside (0, 1).

    Examples
    --------
    >>> [prompts_needed(limit) for limit in (0.15, 0.1, 0.05)]
    [19, 29, 59]
    """
    return math.ceil(math.log(check_level(alpha, "alpha")) / math.log1p(-check_level(limit, "limit")) - 1e-9)


def rows_needed(values: Tensor, mean: float, alpha: float = 0.05) -> int | None:
    """About how many independent rows like ``values`` ``(rows,)`` certify "the mean is above ``mean``" (K4).

    An estimate: the observed rows are repeated until :func:`log_e_value` reaches log(1/alpha) with the stakes
    of that many rows. ``values`` are >= 0, such as the X⁺ of
    :func:`theory.sequences.scores.change_rows` with mean 1 - eps. None if no number up to a million does.

    Raises
    ------
    ValueError
        If a value is negative or nan, there is no row, mean is not positive, or alpha is outside (0, 1).

    Examples
    --------
    >>> [rows_needed(torch.ones(1), 1 - limit) for limit in (0.15, 0.1, 0.05)]  # planned before anything ran
    [23, 32, 72]
    """
    goal = -math.log(check_level(alpha, "alpha"))
    seen = values.reshape(-1, 1)

    def enough(count: int) -> bool:
        whole, rest = divmod(count, len(seen))
        again = torch.cat([seen] * whole + [seen[:rest]])
        return float(log_e_value(again, mean, alpha)) >= goal

    low, high = 0, 1
    while not enough(high):
        if high >= _IN_SIGHT:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def fixed_sequence(log_e_values: Tensor, alpha: float = 0.05) -> int:
    """How many hypotheses, in an order fixed *before* looking, are rejected: those before the first that is
    not.

    Along a ladder of specs from mild to strong no correction is needed: some wrong rejection has probability
    at most ``alpha`` (K11 i). ``log_e_values`` is ``(s,)``.
    """
    goal = -math.log(check_level(alpha, "alpha"))
    return int((_checked(log_e_values) >= goal).long().cumprod(0).sum())


def e_bh(log_e_values: Tensor, alpha: float = 0.05) -> Tensor:
    """Which of s hypotheses are rejected, bool ``(s,)``: expected share of wrong ones <= ``alpha`` (K11 ii).

    The k largest e-values with k the largest number such that the k-th is at least s/(k alpha); valid however
    the e-values depend on each other, as they do when all specs are tried on the same prompts.

    Examples
    --------
    >>> e_bh(torch.log(torch.tensor([50.0, 1.0, 60.0, 30.0])), alpha=0.1).tolist()
    [True, False, True, True]
    """
    logs = _checked(log_e_values)
    ordered = logs.sort(descending=True).values
    needed = math.log(len(logs)) - math.log(check_level(alpha, "alpha"))
    passed = ordered + torch.arange(1, len(logs) + 1, dtype=torch.float64).log() >= needed
    if not bool(passed.any()):
        return torch.zeros(len(logs), dtype=torch.bool)
    return logs >= ordered[int(passed.nonzero().max())]


def bonferroni(log_e_values: Tensor, alpha: float = 0.05) -> Tensor:
    """Which of s hypotheses are rejected, bool ``(s,)``; *any* wrong one: at most ``alpha`` (K11 iii)."""
    logs = _checked(log_e_values)
    return logs >= math.log(len(logs)) - math.log(check_level(alpha, "alpha"))


def _checked(log_e_values: Tensor) -> Tensor:
    if log_e_values.ndim != 1 or not len(log_e_values) or bool(torch.isnan(log_e_values).any()):
        raise ValueError(
            f"log_e_values has shape {tuple(log_e_values.shape)}; expected (s,), s >= 1, without nan"
        )
    return log_e_values.double()
