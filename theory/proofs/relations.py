"""Checks of statements about more than one pair (p, q): noise, heads, option sets, rankings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.arrays import Array
from theory.formulas.claims import Claim
from theory.formulas.safe_forms import Expression
from theory.proofs.step import TOLERANCE, Method, Relation, Step, StepFailedError, computed, hold


def within(claim: Claim, value: Any, **symbols: Any) -> Iterator[Relation]:
    """The relations that a claim asserts of one exact value of its quantity."""
    for bound in claim.bounds:
        limit = bound.exact(**symbols)
        yield (value, "<=", limit) if bound.side == "upper" else (limit, "<=", value)


def asserted(claim: Claim, values: Mapping[str, Any]) -> Iterator[Relation]:
    """The relations that a claim asserts of values of all its symbols; there may be further ones."""
    value = claim.measured.exact(**{name: values[name] for name in claim.measured.symbols})
    for bound in claim.bounds:
        limit = bound.exact(**{name: values[name] for name in bound.symbols})
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
        return f"{hold(relations, tolerance)} cases"

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
