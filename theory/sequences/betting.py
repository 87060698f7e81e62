"""A confidence band by betting: exact at every sample size, and narrow where the values hardly vary (J1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from theory.sequences.confidence import Band

_STAKES = torch.arange(1, 21, dtype=torch.float64) / 20
_HALVINGS = 50


def betting_band(values: Tensor, level: float = 0.95) -> Band:
    """Confidence interval for the mean of each column of ``values`` ``(clusters, n)`` in [0, 1].

    If the mean is mu, the wealth of a gambler who stakes the fraction c against high values,
    Π_i (1 - c (x_i - mu)/(1 - mu)), is a nonnegative martingale, and so is the average over stakes c; by
    Markov it reaches 2/alpha with probability at most alpha/2. The upper limit is the least mu at which it
    does (the wealth rises with mu), the lower limit the same for 1 - x. With all values 0 this is the exact
    binomial limit up to the average over stakes; Hoeffding's interval ignores how small the values are.

    Source: betting confidence sets (Waudby-Smith and Ramdas), with a fixed mixture of stakes.

    Raises
    ------
    ValueError
        If values leave [0, 1], have no cluster, or level is outside (0, 1).
    """
    if values.ndim != 2 or values.shape[0] < 1:
        raise ValueError(f"values has shape {tuple(values.shape)}; expected (clusters, n), clusters >= 1")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1")
    values = values.double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError("values leaves [0, 1]; expected values in [0, 1]")
    goal = math.log(2 / (1 - level))
    mean = values.mean(0)
    return Band(mean, 1 - _upper_limit(1 - values, goal), _upper_limit(values, goal))


def _upper_limit(values: Tensor, goal: float) -> Tensor:
    """Least mu in [mean, 1] at which the log-wealth reaches ``goal``, rounded up; ``(n,)``."""
    low, high = values.mean(0), torch.ones_like(values[0])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rejected = _log_wealth(values, middle) >= goal
        low, high = torch.where(rejected, low, middle), torch.where(rejected, middle, high)
    return high


def _log_wealth(values: Tensor, mean: Tensor) -> Tensor:
    """Log of the wealth averaged over stakes, ``(n,)``, if the true mean were ``mean`` ``(n,)``."""
    excess = (values - mean) / (1 - mean).clamp(min=1e-300)
    stakes = _STAKES.to(values.device).reshape(-1, 1, 1)
    wealth = torch.log1p((-stakes * excess).clamp(min=-1)).sum(1)
    return torch.logsumexp(wealth, 0) - math.log(len(_STAKES))
