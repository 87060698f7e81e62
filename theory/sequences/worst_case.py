"""The largest total variation two autoregressive models can reach when step t moves logits by at most R_t.

An adversary picks, step by step and knowing the prefix, two next-token laws at Hilbert distance (oscillation
of the log-ratio) at most ``R_t``. With ``y`` the log-likelihood ratio of the prefix, the value of the game

    ``f(y) = sup_A P(A) - e^y Q(A)``

solves a backward recursion (theorem J2) whose inner maximiser has two atoms. ``f`` is decreasing in ``y`` and
convex in ``e^y``. Two evaluations on one grid enclose it:

* lower: the adversary may only use grid points, so the value is achieved by an actual pair of models;
* upper: the chord of a convex function lies above it, and against a piecewise linear ``f`` the inner maximum
  has a closed form on every cell, so it is taken over *all* moves. The gap is of second order in the cell.

``f(0)`` is the total variation, ``f(epsilon)`` the optimal privacy curve delta(epsilon) of the sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.arrays import Array

_FAR = 40.0
"""Log-ratios beyond this have probability below e^-40 under one of the models: the window ends there."""
_LARGEST = 80.0
"""From this oscillation on the worst total variation of one step rounds to 1."""
_FINEST = 1e-9
"""Smallest cell: neighbouring grid points must differ in float64."""
_ROUNDING = 1e-14
"""Allowance per step for the rounding of one recursion step on values in [0, 1]."""


@dataclass(frozen=True)
class WorstCase:
    """Enclosure of ``f(y) = sup_A P(A) - e^y Q(A)`` over all pairs of models within the budgets.

    Attributes
    ----------
    threshold
        Grid of ``y``, shape ``(m,)``, symmetric about 0.
    lower, upper
        ``lower <= f <= upper`` on that grid, shape ``(m,)``; ``lower`` is achieved by a pair of models.
    """

    threshold: Array
    lower: Array
    upper: Array

    @property
    def tv(self) -> tuple[float, float]:
        """Lower and upper value of the largest total variation of the two sequence laws."""
        middle = len(self.threshold) // 2
        return float(self.lower[middle]), float(self.upper[middle])


def worst_case(budgets: Sequence[float] | Array, cells: int = 32) -> WorstCase:
    """Worst case after ``len(budgets)`` steps, step t within ``budgets[t]``, in this order.

    The order matters: of two budgets the second adds nothing below half of the first (J2).

    Parameters
    ----------
    budgets
        Oscillation allowed at each step, the supremum over prefixes; shape ``(n,)``, finite, nonnegative.
    cells
        Grid cells per largest budget. Budgets that are no multiple of a cell are rounded down for ``lower``
        and treated exactly for ``upper``.

    Raises
    ------
    ValueError
        If a budget is negative or not finite, or ``cells < 2``.
    """
    game = _Game.of(budgets, cells)
    lower, upper = game.end(), game.end()
    for budget in game.budgets[::-1]:
        lower, upper = game.lower_step(lower, budget), game.upper_step(upper, budget)
    return WorstCase(game.threshold, lower, np.minimum(upper, 1.0))


def worst_case_tv(budget: float, steps: int, cells: int = 32) -> tuple[Array, Array]:
    """Lower and upper value of the largest total variation after 0, 1, .., ``steps`` equal steps.

    Returns
    -------
    Two arrays of shape ``(steps + 1,)``.
    """
    game = _Game.of(np.full(steps, budget), cells)
    lower, upper = game.end(), game.end()
    middle = len(lower) // 2
    values = [(lower[middle], upper[middle])]
    for budget in game.budgets:
        lower, upper = game.lower_step(lower, budget), game.upper_step(upper, budget)
        values.append((lower[middle], min(upper[middle], 1.0)))
    bounds = np.array(values)
    return bounds[:, 0], bounds[:, 1]


@dataclass(frozen=True)
class _Game:
    """The grid ``y = -m h, .., m h`` and the two recursion steps on it."""

    budgets: Array
    cell: float
    threshold: Array

    @classmethod
    def of(cls, budgets: Sequence[float] | Array, cells: int) -> _Game:
        allowed = np.asarray(budgets, dtype=np.float64)
        if allowed.ndim != 1 or not np.isfinite(allowed).all() or (allowed < 0).any():
            raise ValueError(f"budgets must be a list of finite numbers >= 0, got {budgets!r}")
        if cells < 2:
            raise ValueError(f"cells must be at least 2, got {cells}")
        allowed = np.minimum(allowed, _LARGEST)
        cell = max(float(allowed.max(initial=0.0)) / cells, _FINEST)
        half = math.ceil(min(float(allowed.sum()), _FAR) / cell)
        return cls(allowed, cell, np.arange(-half, half + 1, dtype=np.float64) * np.float64(cell))

    def end(self) -> Array:
        """``f`` when no step is left: ``(1 - e^y)_+``."""
        return np.maximum(-np.expm1(self.threshold), 0.0)

    def lower_step(self, f: Array, budget: float) -> Array:
        """Best move between grid points: up by ``(reach - j)`` cells or down by ``j``."""
        reach = math.floor(budget / self.cell * (1 + 1e-12))
        # f decreases: its last values continue it from below, to the left by f[0] and to the right by 0
        padded = np.concatenate([np.full(reach, f[0]), f, np.zeros(reach)])
        size, best = len(f), f
        for j in range(1, reach):
            up = math.expm1(j * self.cell) / math.expm1(reach * self.cell)
            value = up * padded[2 * reach - j :][:size] + (1 - up) * padded[reach - j :][:size]
            best = np.maximum(best, value)
        return np.maximum(best - _ROUNDING, 0.0)

    def upper_step(self, f: Array, budget: float) -> Array:
        """Best move of any size against the chords of ``f``.

        Moving down by ``u`` (ratio ``m = e^-u``) or up by ``budget - u`` lands in two fixed cells while ``u``
        runs over one piece. There the value is ``alpha + beta m + gamma / m`` with ``beta, gamma <= 0``.
        """
        if budget == 0.0 or budget >= _LARGEST:
            return f if budget == 0.0 else np.ones_like(f)
        pad = math.ceil(budget / self.cell) + 1
        size = len(f)
        half = size // 2 + pad
        ratio = np.exp(np.arange(-half, half + 1) * self.cell)
        # slopes in e^y lie between -1 and 0, so f is at most this to the left and to the right of the window
        left = f[0] + (ratio[pad] - ratio[:pad])
        padded = np.concatenate([left, f, np.full(pad, f[-1])])
        slope = np.diff(padded) / np.diff(ratio)
        here, growth, best = np.exp(self.threshold), math.exp(budget), f
        for start, stop, down, up in self._pieces(budget):
            low, high = slice(pad + down, pad + down + size), slice(pad + up, pad + up + size)
            f_low, slope_low = padded[:-1][low], slope[low]
            f_high, slope_high = padded[:-1][high], slope[high]
            at_low, at_high = ratio[:-1][low], ratio[:-1][high]
            bend = np.maximum(growth * here * (slope_high - slope_low), np.finfo(float).tiny)
            intercept = (f_low - slope_low * at_low) - (f_high - slope_high * at_high)
            m = np.sqrt(np.maximum(intercept, 0.0) / bend).clip(math.exp(-stop), math.exp(-start))
            weight = np.minimum((1 - m) / (m * math.expm1(budget)), 1.0)
            value_low = f_low + slope_low * (here * m - at_low)
            value_high = f_high + slope_high * (here * m * growth - at_high)
            best = np.maximum(best, weight * value_high + (1 - weight) * value_low)
        return best + _ROUNDING

    def _pieces(self, budget: float) -> list[tuple[float, float, int, int]]:
        """Intervals of ``u`` with the cells (relative to y) of ``y - u`` and of ``y + budget - u``."""
        whole = math.floor(budget / self.cell)
        rest = budget - whole * self.cell
        pieces = []
        for j in range(whole + 1):
            if rest > 0:
                pieces.append((j * self.cell, j * self.cell + rest, -j - 1, whole - j))
            if j < whole:
                pieces.append((j * self.cell + rest, (j + 1) * self.cell, -j - 1, whole - j - 1))
        return pieces
