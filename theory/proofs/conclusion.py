"""The last step of a derivation: what was derived is the formula of the claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import sympy as sp

from theory.formulas.claims import Claim
from theory.formulas.formula import Formula
from theory.formulas.safe_forms import Expression, elementary
from theory.proofs.step import Method, Step, StepFailedError
from theory.proofs.symbolic import vanishes


@dataclass(frozen=True)
class Conclusion(Step):
    """A step that compares a claim's formula with what its derivation gives."""

    claim: Callable[[], Claim] | None = None


def concludes(
    text: str, claim: Callable[[], Claim], part: Literal["lower", "upper", "estimate"], derived: Expression
) -> Conclusion:
    """A bound or the estimate of ``claim()`` is ``derived``, as the derivation builds it; by sympy.

    A formula that nothing attains has no witness to hold its constants; this step does.
    """

    def check() -> str:
        formula: Formula | None = getattr(claim(), part)
        difference = None if formula is None else elementary(sp.sympify(formula.expression - derived).doit())
        if difference is None or _plainly_not_zero(difference) or not vanishes(difference):
            raise StepFailedError(f"the {part} is not {derived}")
        return "the claim's formula is what was derived"

    return Conclusion(text, Method.SYMBOLIC, check, claim=claim)


def _plainly_not_zero(difference: Expression) -> bool:
    """Whether one point shows that it does not vanish; sympy may think for minutes about what is not zero."""
    symbols = sorted(difference.free_symbols, key=str)
    point = {symbol: sp.Rational(3 + 2 * k, 17 + 3 * k) for k, symbol in enumerate(symbols)}
    return bool(abs(sp.N(difference.subs(point), 50)) > 1e-30)
