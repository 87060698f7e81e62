"""Relations at high precision on the adversarial instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from theory.formulas.safe_forms import Expression
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.proofs.step import TOLERANCE, Method, Relation, Step, hold


def sampled(
    text: str,
    sides: Callable[[Instance], Iterable[Relation]],
    *,
    instances: Callable[[], Iterable[Instance]] = adversarial,
    equation: Expression | None = None,
    tolerance: Any = TOLERANCE,
) -> Step:
    """Relations ``(left, "=" or "<=", right)`` at ``DIGITS`` digits on the adversarial instances."""

    def check() -> str:
        count = hold(lambda: (r for instance in instances() for r in sides(instance)), tolerance)
        return f"{count} cases at {DIGITS} digits"

    return Step(text, Method.SAMPLED, check, equation)
