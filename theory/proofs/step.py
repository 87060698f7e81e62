"""A proof step: a sentence, an equation, and a check that ``verify`` re-runs, labelled with how it was
checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import mpmath

from theory.formulas.safe_forms import Expression
from theory.instances.instance import DIGITS

TOLERANCE = mpmath.mpf(10) ** -25
"""Relative tolerance of equalities and inequalities evaluated at ``DIGITS`` digits."""


Relation = tuple[Any, str, Any]
"""``(left, "=" or "<=", right)``."""


class Method(StrEnum):
    """How a step is checked; nothing is called proved that was only sampled."""

    SYMBOLIC = "proved symbolically"
    SERIES = "proved by series expansion"
    INTERVAL = "proved by interval arithmetic on the stated box"
    SAMPLED = "sampled at high precision"
    ENUMERATED = "enumerated in full on small cases"
    SIMULATED = "simulated with a fixed seed"
    ARGUED = "argued in words, not machine-checked"


class StepFailedError(ArithmeticError):
    """A step's check did not come out."""


@dataclass(frozen=True)
class Step:
    """One step; ``check`` returns a short account of what it saw and raises ``StepFailedError`` otherwise."""

    text: str
    method: Method
    check: Callable[[], str] = field(repr=False)
    equation: Expression | None = None


def require(left: Any, relation: str, right: Any, tolerance: Any = TOLERANCE) -> None:
    """Raise ``StepFailedError`` unless the relation holds up to a relative tolerance."""
    allowance = tolerance * max(abs(left), abs(right)) + mpmath.mpf(10) ** -100
    holds = abs(left - right) <= allowance if relation == "=" else left <= right + allowance
    if not holds:
        raise StepFailedError(f"{mpmath.nstr(left, 17)} {relation} {mpmath.nstr(right, 17)} is false")


def hold(relations: Callable[[], Iterable[Relation]], tolerance: Any = TOLERANCE) -> int:
    """Require every relation, evaluated at ``DIGITS`` digits; how many there are."""
    count = 0
    with mpmath.workdps(DIGITS):
        for left, relation, right in relations():
            require(left, relation, right, tolerance)
            count += 1
    return count


def computed(text: str, method: Method, check: Callable[[], str], equation: Expression | None = None) -> Step:
    """A step with its own check, for enumerations and simulations."""
    return Step(text, method, check, equation)


def argument(text: str, equation: Expression | None = None) -> Step:
    """A step in words; ``verify`` reports that it has no machine check."""
    return Step(text, Method.ARGUED, lambda: "words only", equation)
