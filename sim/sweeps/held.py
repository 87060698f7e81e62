"""Hold draws against every measurable claim of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from sim.exact import ExactDraw, violated
from sim.logits.draws import Draws
from sim.reducers import Tally
from theory.arrays import Array
from theory.bounds.check import check, claims_on_drift
from theory.drift.measure import measure
from theory.formulas.claims import Claim
from theory.statements.catalogue import catalogue
from theory.theorems.theorem import Theorem, column

Mask = NDArray[np.bool_]
MOVED = 0.1
"""Smallest slacks are taken over oscillations from here on: as R goes to 0 most bounds become equalities."""


@dataclass(frozen=True)
class Held:
    """One row of a tally: a claim, its key (as ``theory.check`` names it) and its theorem."""

    key: str
    theorem: Theorem
    claim: Claim
    bounded: bool


@cache
def held_claims() -> tuple[Held, ...]:
    """Every claim with a bound or an estimate in the columns of a drift, in the catalogue's order."""
    rows = []
    for theorem in catalogue:
        bounded = dict(claims_on_drift(theorem))
        rows += [Held(key, theorem, claim, True) for key, claim in bounded.items()]
        rows += [
            Held(f"{theorem.id}~{claim.name}", theorem, claim, False)
            for claim in theorem.claims
            if claim.estimate is not None and claim.measurable and claim not in bounded.values()
        ]
    return tuple(rows)


def hold(tally: Tally, draws: Draws) -> list[dict[str, object]]:
    """Add one batch of draws to ``tally``; return a record of every confirmed violation."""
    drift = measure(draws.logits, draws.perturbed, draws.temperature)
    still, moved = unmoved(draws), (drift.oscillation >= MOVED).numpy()
    judge = cache(partial(exact_row, draws))
    checks = check(drift)
    found: list[dict[str, object]] = []
    for index, held in enumerate(held_claims()):
        values = {name: column(drift, name).numpy() for name in held.claim.columns}
        quantity = np.broadcast_to(held.claim.measured(**values), (len(draws.logits),))
        if held.claim.estimate is not None:
            _add_estimate(tally, index, quantity, held.claim.estimate(**values))
        if not held.bounded:
            tally.draws[index] += quantity.size
            continue
        result = checks[held.key]
        # Symbols of a claim are positive: p = q, where formulas are 0/0, is outside of it.
        flagged = result.violated.numpy() & ~still
        upper = np.full(quantity.shape, np.inf) if result.upper_slack is None else result.upper_slack.numpy()
        lower = np.full(quantity.shape, np.inf) if result.lower_slack is None else result.lower_slack.numpy()
        tally.draws[index] += int((np.isfinite(upper) | np.isfinite(lower) | flagged).sum())
        tally.suspicious[index] += int(flagged.sum())
        broken = [row for row in np.flatnonzero(flagged).tolist() if violated(held.claim, judge(row))]
        tally.violations[index] += len(broken)
        found += [_record(held, draws, row) for row in broken]
        with np.errstate(invalid="ignore"):
            _add_tightness(tally, index, "upper", quantity, quantity + upper, ~flagged, moved)
            _add_tightness(tally, index, "lower", quantity - lower, quantity, ~flagged, moved)
    return found


def _add_tightness(
    tally: Tally, index: int, side: str, small: Array, large: Array, sound: Mask, moved: Mask
) -> None:
    """Ratios of the smaller to the larger side; a bound that rounding pushed past the truth counts as 1."""
    said = sound & np.isfinite(small) & np.isfinite(large) & (large > 0)
    tally.add_tightness(index, side, np.clip(small[said] / large[said], 0.0, 1.0), moved[said])


def _add_estimate(tally: Tally, index: int, quantity: Array, estimate: Array) -> None:
    estimate = np.broadcast_to(estimate, quantity.shape)
    said = (quantity > 0) & (estimate > 0) & np.isfinite(quantity) & np.isfinite(estimate)
    tally.add_estimate(index, quantity[said], estimate[said])


def unmoved(draws: Draws) -> Mask:
    """Rows whose logits all changed by exactly the same number, so that p = q in exact arithmetic."""
    z, changed = draws.logits.numpy(), draws.perturbed.numpy()
    high = changed - z
    back = high + z
    low = (changed - back) - (z - (back - high))  # changed - z = high + low exactly (Knuth's two-sum)
    return np.asarray(((high == high[:, :1]) & (low == low[:, :1])).all(axis=1))


def exact_row(draws: Draws, row: int) -> ExactDraw:
    """One row in high precision."""
    return ExactDraw(draws.logits[row].tolist(), draws.perturbed[row].tolist(), draws.temperature)


def _record(held: Held, draws: Draws, row: int) -> dict[str, object]:
    return {
        "claim": held.key,
        "base": draws.base,
        "perturbation": draws.perturbation,
        "vocabulary": draws.logits.shape[1],
        "row": row,
        "temperature": draws.temperature,
    }
