"""Climbing a bound's tightness in any world: gradient steps from many starts, Nelder-Mead for the kinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from sim.attacks.worlds import Given, World
from theory.arrays import Array
from theory.formulas.claims import Bound, Claim, Side

Values = dict[str, Array]


@dataclass(frozen=True)
class Target:
    """One side of one claim; ``sharp`` if the theorem has a witness that attains it."""

    key: str
    claim: Claim
    side: Side
    sharp: bool

    @property
    def bound(self) -> Bound:
        """The bound under attack."""
        bound = self.claim.upper if self.side == "upper" else self.claim.lower
        assert bound is not None
        return bound

    def log_tightness(self, values: Values) -> Array:
        """log of quantity/upper or lower/quantity (inverted where both are negative); -inf if undefined."""
        with np.errstate(all="ignore"):
            quantity, bound = np.broadcast_arrays(self.claim.measured(**values), self.bound(**values))
            small, large = (quantity, bound) if self.side == "upper" else (bound, quantity)
            ratio = np.where((small > 0) & (large > 0), small / large, 0.0)
            ratio = np.where((small < 0) & (large < 0), large / small, ratio)
            said = np.isfinite(small) & np.isfinite(large) & (ratio > 0)
            return np.where(said, np.log(np.where(said, ratio, 1.0)), -np.inf)


@dataclass(frozen=True)
class Starts:
    """Points of a world: free parameters, rows first, and the numbers that stay fixed."""

    free: Values
    oscillation: Array
    share: Array

    @property
    def given(self) -> Given:
        return Given(torch.from_numpy(self.oscillation), torch.from_numpy(self.share))

    def row(self, k: int) -> Starts:
        """One point, still with a leading axis."""
        here = slice(k, k + 1)
        return Starts({n: v[here] for n, v in self.free.items()}, self.oscillation[here], self.share[here])

    def at(self, free: Values) -> Starts:
        """The same budgets elsewhere."""
        return Starts(free, self.oscillation, self.share)


def height(world: World, target: Target, points: Starts) -> Array:
    """log-tightness of every point, ``(rows,)``."""
    with torch.no_grad():
        free = {name: torch.from_numpy(value) for name, value in points.free.items()}
        values = world.columns(free, points.given, target.claim.columns)
    return target.log_tightness({name: value.numpy() for name, value in values.items()})


def climb(world: World, target: Target, starts: Starts, steps: int) -> Starts:
    """Adam on the log-tightness over the free parameters; the best point of each row."""
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in starts.free.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best = np.full(len(starts.oscillation), -np.inf)
    best_free = {name: value.copy() for name, value in starts.free.items()}
    for _ in range(steps):
        values = world.columns(leaves, starts.given, target.claim.columns)
        moving = [name for name, value in values.items() if value.requires_grad]
        numbers = {name: value.detach().numpy() for name, value in values.items()}
        here, slope = target.log_tightness(numbers), _slope(target, numbers, moving)
        better = here > best
        best[better] = here[better]
        for name, leaf in leaves.items():
            best_free[name][better] = leaf.detach().numpy()[better]
        # The chain rule: automatic up to the symbols, central differences within the theorem's formula.
        terms = [torch.from_numpy(slope[name]) @ values[name] for name in moving]
        optimiser.zero_grad()
        torch.autograd.backward(-torch.stack(terms).sum())
        for leaf in leaves.values():
            if leaf.grad is not None:
                leaf.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimiser.step()
        schedule.step()
    return starts.at(best_free)


def _slope(target: Target, values: Values, moving: Sequence[str]) -> Values:
    slopes = {}
    for name in moving:
        value = values[name]
        step = 1e-6 * np.abs(value) + 1e-300
        up, down = (target.log_tightness({**values, name: value + s * step}) for s in (1, -1))
        with np.errstate(all="ignore"):
            slopes[name] = np.nan_to_num((up - down) / (2 * step), nan=0.0, posinf=0.0, neginf=0.0)
    return slopes


def polish(world: World, target: Target, point: Starts, evaluations: int) -> Starts:
    """Nelder-Mead from one point, for the kinks that gradients cannot climb."""
    names = sorted(point.free)
    shapes = [point.free[name].shape for name in names]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def unpack(x: Array) -> Starts:
        parts: Sequence[Array] = np.split(x, cuts)
        return point.at({n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)})

    def depth(x: Array) -> float:
        return -float(height(world, target, unpack(x))[0])

    start = np.concatenate([point.free[name].ravel() for name in names])
    result = minimize(
        depth, start, method="Nelder-Mead",
        options={"maxfev": evaluations, "adaptive": True, "xatol": 1e-10, "fatol": 1e-13},
    )  # fmt: skip
    return unpack(result.x)


def size_of(points: Starts) -> int:
    """Number of free parameters of one point."""
    return sum(int(np.prod(value.shape[1:])) for value in points.free.values())


def tensors(values: Values) -> dict[str, Tensor]:
    """The same arrays as tensors."""
    return {name: torch.from_numpy(value) for name, value in values.items()}
