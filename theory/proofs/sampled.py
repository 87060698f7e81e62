"""Relations at high precision on the adversarial instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import mpmath

from theory.formulas.safe_forms import Expression
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.proofs.step import TOLERANCE, Method, Step, require


def sampled(
    text: str,
    sides: Callable[[Instance], Iterable[tuple[Any, str, Any]]],
    *,
    instances: Callable[[], Iterable[Instance]] = adversarial,
    equation: Expression | None = None,
    tolerance: Any = TOLERANCE,
) -> Step:
    """Relations ``(left, "=" or "<=", right)`` at ``DIGITS`` digits on the adversarial instances."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for instance in instances():
                for left, relation, right in sides(instance):
                    count += 1
                    require(left, relation, right, tolerance)
        return f"{count} cases at {DIGITS} digits"

    return Step(text, Method.SAMPLED, check, equation)
