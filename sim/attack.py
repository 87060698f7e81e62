"""Search for the worst case of a theorem: how close to its bound, or beyond it, can a quantity be driven?

Gradient ascent in float64 climbs the logarithm of the tightness over logits and perturbation at a fixed
oscillation, from random starts and from the theorem's witnesses. Nelder-Mead then polishes the best point
of each small vocabulary, because many bounds have kinks. The final points are measured by
``theory.measure``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from mpmath import mp
from scipy.optimize import minimize
from torch import Tensor

from sim.differentiable import columns
from sim.exact import TOLERANCE, ExactDraw, exact_tightness
from sim.families.base import log_uniform
from sim.families.witness import embed, logit_witnesses, witness_pair
from sim.reducers import Array
from theory.checking import claims_on_drift
from theory.families import catalogue
from theory.measure import measure
from theory.theorem import Bound, Claim, Theorem, column

VOCABULARIES = (2, 3, 8, 64, 1024, 32768)
OSCILLATIONS = (0.2, 8.0)
ENTRIES = 2**18
"""Logits per batch of starts; large vocabularies get fewer starts."""
MOST_STARTS = 48
POLISHED_VOCABULARY = 8
POLISHED_ENOUGH = 1 - 1e-9
WITNESS_RANGE = (0.01, 20.0)
"""Witness parameters that the differentiable forms resolve."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """One side of one claim."""

    key: str
    claim: Claim
    side: str

    @property
    def bound(self) -> Bound:
        """The bound under attack."""
        bound = self.claim.upper if self.side == "upper" else self.claim.lower
        assert bound is not None
        return bound

    def log_tightness(self, values: dict[str, Array]) -> Array:
        """log of quantity/upper or lower/quantity; -inf where the bound says nothing."""
        with np.errstate(all="ignore"):
            quantity = self.claim.measured(**values)
            small, large = (quantity, self.bound(**values))[:: 1 if self.side == "upper" else -1]
            said = np.isfinite(large) & np.isfinite(small) & (small > 0) & (large > 0)
            return np.where(said, np.log(np.where(said, small / large, 1.0)), -np.inf)


def targets(theorem: Theorem) -> list[Target]:
    """Both sides of every claim that a drift can be checked against.

    Raises
    ------
    ValueError
        If the theorem has none: it is about sequences, heads or noise, or it is an estimate.
    """
    found = [
        Target(key, claim, bound.side)
        for key, claim in claims_on_drift(theorem)
        for bound in claim.bounds
        if not claim.exact
    ]
    if not found:
        raise ValueError(
            f"theorem {theorem.id} ({theorem.name}) has no inequality in measured columns to attack"
        )
    return found


def attack(
    name: str,
    vocabularies: Sequence[int] = VOCABULARIES,
    seed: int = 0,
    steps: int = 300,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Best tightness found per claim, side and vocabulary size.

    Parameters
    ----------
    name
        Id or name of a theorem.
    vocabularies
        Vocabulary sizes, at least 2.
    steps
        Gradient steps from each start; half as many evaluations per variable for Nelder-Mead.

    Returns
    -------
    DataFrame
        claim, side, status, vocabulary, start ("random" or "witness"), method, oscillation, tightness, and
        ``excess`` = tightness - 1, in high precision where float64 sees
        more than 1 (positive means a violation).
    """
    theorem = catalogue[name]
    if min(vocabularies, default=0) < 2 or steps < 1:
        raise ValueError(
            f"vocabularies {list(vocabularies)}, steps {steps}; required: at least 2, at least 1"
        )
    rows = []
    for number, target in enumerate(targets(theorem)):
        for vocabulary in vocabularies:
            if progress:
                progress(f"{target.key} {target.side} V={vocabulary}")
            key = (number, vocabulary)
            rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
            best = max(_candidates(theorem, target, vocabulary, rng, steps), key=lambda f: f.tightness)
            excess = _excess(target, best)
            rows.append({
                "claim": target.key, "side": target.side, "status": str(theorem.status),
                "vocabulary": vocabulary, "start": best.start, "method": best.method,
                "oscillation": float(np.ptp(best.delta)), "tightness": 1 + excess, "excess": excess,
            })  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Found:
    start: str
    method: str
    z: Array
    delta: Array
    tightness: float


def _candidates(
    theorem: Theorem, target: Target, vocabulary: int, rng: np.random.Generator, steps: int
) -> list[_Found]:
    found = []
    starts = {"random": _random_starts(vocabulary, rng), "witness": _witness_starts(theorem, vocabulary)}
    for start, (z, delta) in starts.items():
        if len(z) == 0:
            continue
        found.append(_best(target, start, "none", z, delta))
        found.append(_best(target, start, "gradient", *_climb(target, z, delta, steps)))
    best = max(found, key=lambda f: f.tightness)
    if vocabulary <= POLISHED_VOCABULARY and best.tightness < POLISHED_ENOUGH:
        found.append(_polish(target, best, steps * vocabulary))
    return found


def _best(target: Target, start: str, method: str, z: Array, delta: Array) -> _Found:
    tightness = np.exp(_measured(target, z, delta))
    k = int(np.argmax(tightness))
    return _Found(start, method, z[k], delta[k], float(tightness[k]))


def _measured(target: Target, z: Array, delta: Array) -> Array:
    drift = measure(torch.from_numpy(z), torch.from_numpy(z + delta))
    return target.log_tightness({name: column(drift, name).numpy() for name in target.claim.columns})


def _random_starts(vocabulary: int, rng: np.random.Generator) -> tuple[Array, Array]:
    rows = max(2, min(MOST_STARTS, ENTRIES // vocabulary))
    z = log_uniform(rng, 0.1, 5.0, rows) * rng.standard_normal((rows, vocabulary))
    oscillation = log_uniform(rng, *OSCILLATIONS, rows)
    return z, _with_oscillation(rng.standard_normal((rows, vocabulary)), oscillation)


def _witness_starts(theorem: Theorem, vocabulary: int) -> tuple[Array, Array]:
    pairs = [
        embed(*witness_pair(witness, float(parameter)), vocabulary)
        for witness in logit_witnesses([theorem])
        for parameter in witness.parameters
        if WITNESS_RANGE[0] <= float(parameter) <= WITNESS_RANGE[1]
        and len(witness_pair(witness, float(parameter))[0]) <= vocabulary
    ]
    if not pairs:
        return np.empty((0, vocabulary)), np.empty((0, vocabulary))
    return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def _with_oscillation(direction: Array, oscillation: Array | float) -> Array:
    low, high = direction.min(axis=-1, keepdims=True), direction.max(axis=-1, keepdims=True)
    scaled: Array = oscillation * (direction - low) / (high - low)
    return scaled


def _climb(target: Target, z0: Array, delta0: Array, steps: int) -> tuple[Array, Array]:
    """Adam on the log-tightness over z and delta, delta's oscillation kept; best point of each row."""
    oscillation = torch.from_numpy(np.ptp(delta0, axis=-1)[:, None])
    z, shape = (torch.tensor(x, requires_grad=True) for x in (z0, delta0))
    optimiser = torch.optim.Adam([z, shape], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, best_z, best_delta = np.full(len(z0), -np.inf), z0.copy(), delta0.copy()
    for _ in range(steps):
        low, high = shape.amin(-1, keepdim=True), shape.amax(-1, keepdim=True)
        delta = oscillation * (shape - low) / (high - low)
        values = columns(z, delta, target.claim.columns)
        height, slope = _height_and_slope(target, {name: v.detach().numpy() for name, v in values.items()})
        better = height > best
        best[better] = height[better]
        best_z[better], best_delta[better] = z.detach().numpy()[better], delta.detach().numpy()[better]
        # The chain rule: automatic up to the columns, central differences within the theorem's formula.
        surrogate = sum(torch.from_numpy(slope[name]) @ values[name] for name in slope)
        assert isinstance(surrogate, Tensor)
        optimiser.zero_grad()
        torch.autograd.backward(-surrogate)
        for leaf in (z, shape):
            assert leaf.grad is not None
            leaf.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimiser.step()
        schedule.step()
    return best_z, best_delta


def _height_and_slope(target: Target, values: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    height = target.log_tightness(values)
    slopes = {}
    for name, value in values.items():
        step = 1e-6 * np.abs(value) + 1e-300
        up, down = (target.log_tightness({**values, name: value + s * step}) for s in (1, -1))
        with np.errstate(all="ignore"):
            slopes[name] = np.nan_to_num((up - down) / (2 * step), nan=0.0, posinf=0.0, neginf=0.0)
    return height, slopes


def _polish(target: Target, found: _Found, evaluations: int) -> _Found:
    """Nelder-Mead from a found point, for the kinks that gradients cannot climb."""
    vocabulary, oscillation = len(found.z), float(np.ptp(found.delta))

    def point(x: Array) -> tuple[Array, Array]:
        return x[None, :vocabulary], _with_oscillation(x[None, vocabulary:], oscillation)

    def depth(x: Array) -> float:
        return -float(_measured(target, *point(x))[0])

    start = np.concatenate([found.z, found.delta])
    result = minimize(
        depth, start, method="Nelder-Mead",
        options={"maxfev": evaluations, "adaptive": True, "xatol": 1e-10, "fatol": 1e-13},
    )  # fmt: skip
    polished = _best(target, found.start, "nelder-mead", *point(result.x))
    return max(found, polished, key=lambda f: f.tightness)


def _excess(target: Target, found: _Found) -> float:
    """Tightness - 1 in high precision where float64 reports more than 1, else the float64 difference."""
    if found.tightness <= 1:
        return found.tightness - 1
    draw = ExactDraw(found.z.tolist(), (found.z + found.delta).tolist(), 1.0)
    with mp.workdps(draw.digits):
        excess = exact_tightness(target.claim, target.side, draw) - 1
        return 0.0 if abs(excess) < TOLERANCE else float(excess)
