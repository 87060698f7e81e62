"""Finite-sample confidence bands over independent clusters (J1).

The unit that is independent is the prompt: average a cluster's samples and tokens first, then pass one row
per cluster. Intervals hold for every sample size, without a normal approximation.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Band:
    """Mean over clusters and a confidence interval around it; each float64 ``(n,)``."""

    mean: Tensor
    lower: Tensor
    upper: Tensor


def hoeffding_band(values: Tensor, level: float = 0.95) -> Band:
    """Hoeffding's interval for the mean of each column of ``values`` ``(clusters, n)`` in [0, 1].

    Half-width sqrt(log(2/alpha)/2m) with alpha = 1 - level, m clusters; valid for each column by itself.

    Raises
    ------
    ValueError
        If values leave [0, 1], have no cluster, or level is outside (0, 1).
    """
    values, alpha = check_rows(values, low=0, high=1), 1 - check_level(level)
    half = math.sqrt(math.log(2 / alpha) / (2 * values.shape[0]))
    return _band(values.mean(0), torch.full_like(values[0], half))


def empirical_bernstein_band(values: Tensor, level: float = 0.95) -> Band:
    """Empirical Bernstein interval for the mean of each column of ``values`` ``(clusters, n)`` in [0, 1].

    Half-width sqrt(2 v l/m) + 7 l/(3(m-1)) (Maurer and Pontil), v the sample variance, l = log(3/alpha): the
    interval can fail above, below, or in its estimate of the variance, so alpha is split in three. Beats
    Hoeffding where v is small; valid for each column by itself.

    Raises
    ------
    ValueError
        If values leave [0, 1], there are fewer than two clusters, or level is outside (0, 1).
    """
    values, alpha = check_rows(values, low=0, high=1, rows=2), 1 - check_level(level)
    m, log_term = values.shape[0], math.log(3 / alpha)
    half = torch.sqrt(2 * values.var(0) * log_term / m) + 7 * log_term / (3 * (m - 1))
    return _band(values.mean(0), half)


def dkw_band(values: Tensor, level: float = 0.95) -> Band:
    """Dvoretzky-Kiefer-Wolfowitz-Massart band for a survival curve, valid for all columns at once.

    ``values`` ``(clusters, n)`` are indicators 1{time >= 1..n} of one time per cluster, as
    :func:`survival_indicators` makes them. Half-width sqrt(log(2/alpha)/2m).

    Raises
    ------
    ValueError
        If a row is not a nonincreasing sequence of 0 and 1, or level is outside (0, 1).
    """
    values, alpha = check_rows(values, low=0, high=1), 1 - check_level(level)
    if bool(((values != 0) & (values != 1)).any()) or bool((values.diff(dim=1) > 0).any()):
        raise ValueError(
            "values has a row that is not a nonincreasing sequence of 0 and 1; expected indicators"
        )
    half = math.sqrt(math.log(2 / alpha) / (2 * values.shape[0]))
    return _band(values.mean(0), torch.full_like(values[0], half))


def survival_indicators(times: Tensor, horizon: int) -> Tensor:
    """1{time >= t} for t = 1..horizon, float64 ``(clusters, horizon)``, from times ``(clusters,)``."""
    if times.ndim != 1 or horizon < 1:
        raise ValueError(
            f"times has shape {tuple(times.shape)}, horizon is {horizon}; expected (clusters,) and >= 1"
        )
    return (times.unsqueeze(-1) >= torch.arange(1, horizon + 1, device=times.device)).double()


def _band(mean: Tensor, half_width: Tensor) -> Band:
    return Band(mean, (mean - half_width).clamp(min=0), (mean + half_width).clamp(max=1))


def check_rows(values: Tensor, low: float = 0, high: float = math.inf, rows: int = 1) -> Tensor:
    """Return ``values`` as float64; raise ValueError unless it is ``(rows, n)`` with all in [low, high]."""
    if values.ndim != 2 or values.shape[0] < rows:
        raise ValueError(
            f"values has shape {tuple(values.shape)}; expected (clusters, n), clusters >= {rows}"
        )
    values = values.double()
    if not bool(((values >= low) & (values <= high)).all()):
        allowed = f"[{low:g}, {high:g}]" if high < math.inf else f"numbers >= {low:g}"
        raise ValueError(f"values leaves {allowed}; expected values in {allowed}")
    return values


def check_level(level: float, name: str = "level") -> float:
    """Return ``level``; raise ValueError unless it is inside (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"{name} is {level}; expected a number between 0 and 1")
    return level
