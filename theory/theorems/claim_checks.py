"""How one claim is tried: on hard instances, near p = q, and where it says that it is monotone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import mpmath
from mpmath import mpf

from theory.formulas.claims import Bound, Claim, Estimate, Side
from theory.formulas.safe_forms import elementary
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.proofs.step import StepFailedError, require

Values = Mapping[str, Any]

ATTAINED = mpf(10) ** -6
"""A witness must come this close to its bound, and so must some instance to a bound without one."""
NUDGE = mpf(10) ** -6
SHRUNK = (mpf(10) ** -6, mpf(10) ** -9)
"""Factors by which a change is made small before an estimate is compared with what it estimates."""
SLOPE = 1000
"""Largest relative error of an estimate per power of that factor."""


def exact_bound(bound: Bound, values: Values) -> Any | None:
    """The bound at high precision, or None where its hypothesis fails."""
    if not within_hypothesis(bound, values):
        return None
    with mpmath.workdps(3 * DIGITS):  # masses of 1e-174 must survive a difference from 1
        return mpmath.re(bound.exact(**values))


def within_hypothesis(bound: Bound, values: Values) -> bool:
    """Whether the bound says anything at these values."""
    if bound.when is None:
        return True
    condition = {symbol: values[symbol.name] for symbol in bound.when.free_symbols}
    return bool(elementary(bound.when).subs(condition))


def columns_of(claim: Claim, instances: Callable[[], Iterable[Instance]] = adversarial) -> Iterable[Values]:
    """Values of a measurable claim's symbols on hard instances."""
    return (instance.columns(claim.columns) for instance in instances())


def check_claim(claim: Claim, rows: Iterable[Values]) -> tuple[int, dict[Side, Any]]:
    """Both bounds at high precision: how many cases, and how close each side came to equality.

    Raises
    ------
    StepFailedError
        On a violation.
    """
    count = 0
    closest: dict[Side, Any] = {bound.side: mpf(0) for bound in claim.bounds}
    with mpmath.workdps(DIGITS):
        for values in rows:
            value = claim.measured.exact(**values)
            for bound in claim.bounds:
                limit = exact_bound(bound, values)
                if limit is None:
                    continue
                count += 1
                low, high = (value, limit) if bound.side == "upper" else (limit, value)
                require(low, "<=", high)
                if high > 0:
                    closest[bound.side] = max(closest[bound.side], low / high)
                elif low < 0:
                    closest[bound.side] = max(closest[bound.side], high / low)
    return count, closest


def check_monotone(claim: Claim, rows: Iterable[Values]) -> str:
    """The declared signs: nudge one statistic at a time."""
    count = 0
    with mpmath.workdps(DIGITS):
        for here in rows:
            for bound in claim.bounds:
                for name in (*bound.increasing, *bound.decreasing):
                    # A wider range or a smaller other statistic is always possible.
                    factor = 1 + NUDGE if name in ("oscillation", "rho_plus", "rho_minus") else 1 - NUDGE
                    there = {**here, name: here[name] * factor}
                    low, high = sorted((here, there), key=lambda values: values[name])
                    if name in bound.decreasing:
                        low, high = high, low
                    pair = exact_bound(bound, low), exact_bound(bound, high)
                    if pair[0] is not None and pair[1] is not None:
                        count += 1
                        require(pair[0], "<=", pair[1])
    return f"{count} nudges of a statistic"


def check_estimate(claim: Claim) -> str:
    """An estimate in the columns of a drift: its relative error vanishes with the change, at its order."""
    estimate, count = claim.estimate, 0
    assert estimate is not None
    with mpmath.workdps(DIGITS):
        for factor, instance in shrunk():
            values = instance.columns(claim.columns)
            guess = estimate.exact(**values)
            if guess != 0:
                count += 1
                _close(estimate, guess, claim.measured.exact(**values), SLOPE * factor**estimate.order)
    return f"{count} small changes, relative error of order {estimate.order}"


def _close(estimate: Estimate, guess: Any, value: Any, allowed: Any) -> None:
    error = abs(value / guess - 1)
    if not error <= allowed:
        raise StepFailedError(
            f"{estimate.expression} is off by {mpmath.nstr(error, 5)}, allowed {mpmath.nstr(allowed, 3)}"
        )


@cache
def shrunk() -> tuple[tuple[Any, Instance], ...]:
    """Every third hard instance of moderate oscillation with its change made small."""
    with mpmath.workdps(DIGITS):
        moderate = [x for x in adversarial() if 0.5 <= x.column("oscillation") <= 2][::3]
        return tuple(
            (factor, Instance(x.z, [factor * d for d in x.delta])) for x in moderate for factor in SHRUNK
        )
