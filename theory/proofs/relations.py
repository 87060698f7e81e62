"""Checks of statements about more than one pair (p, q): noise, heads, option sets, rankings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from theory.formulas.claims import Claim
from theory.formulas.safe_forms import Expression
from theory.instances.instance import DIGITS
from theory.instances.random_vectors import Array
from theory.proofs.step import TOLERANCE, Method, Step, StepFailedError, computed, require

Relation = tuple[Any, str, Any]


def within(claim: Claim, value: Any, **symbols: Any) -> Iterator[Relation]:
    """The relations that a claim asserts of one exact value of its quantity."""
    for bound in claim.bounds:
        limit = bound.exact(**symbols)
        yield (value, "<=", limit) if bound.side == "upper" else (limit, "<=", value)


def related(
    text: str,
    relations: Callable[[], Iterable[Relation]],
    method: Method = Method.SAMPLED,
    *,
    tolerance: Any = TOLERANCE,
    equation: Expression | None = None,
) -> Step:
    """Relations ``(left, "=" or "<=", right)``, evaluated at ``DIGITS`` digits."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for left, relation, right in relations():
                require(left, relation, right, tolerance)
                count += 1
        return f"{count} cases"

    return computed(text, method, check, equation)


def simulated(text: str, samples: Callable[[], Iterable[tuple[Array, float]]]) -> Step:
    """Means of samples against predicted means: within five standard errors, with fixed seeds."""

    def check() -> str:
        worst = 0.0
        for sample, predicted in samples():
            error = float(sample.std()) / math.sqrt(sample.size)
            worst = max(worst, abs(float(sample.mean()) - predicted) / error)
        if worst > 5:
            raise StepFailedError(f"a mean is {worst:.1f} standard errors away")
        return f"largest deviation {worst:.1f} standard errors (5 allowed)"

    return computed(text, Method.SIMULATED, check)


def rarely(text: str, events: Callable[[], Iterable[tuple[NDArray[np.bool_], float]]]) -> Step:
    """Frequencies of events against upper bounds of their probability, five standard errors allowed."""

    def check() -> str:
        count = 0
        for happened, bound in events():
            count += 1
            allowance = 5 * math.sqrt(bound * (1 - bound) / happened.size) if bound < 1 else 0.0
            if float(happened.mean()) > bound + allowance:
                raise StepFailedError(f"frequency {happened.mean():.3g} exceeds {bound:.3g}")
        return f"{count} frequencies below their bound"

    return computed(text, Method.SIMULATED, check)
