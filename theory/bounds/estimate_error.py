"""How good an estimate is guaranteed to be: its certified relative error as a function of the oscillation.

``relative_error("T3", R)`` says: the estimate is within this fraction of the exact value for every pair with
oscillation at most R.  ``largest_oscillation("T3", 0.1)`` is the inverse: within 10 % whenever R is at
most this. The factors are those of C5 (T2, T3) and D2 (product weights, on the scale of -log cos); none is
typed here.
"""

from __future__ import annotations

from functools import cache

import scipy.optimize
import sympy as sp

from theory.formulas.claims import Claim
from theory.formulas.formula import Formula
from theory.formulas.safe_forms import Expression
from theory.names import lookup
from theory.statements.catalogue import catalogue

LARGEST = 300.0
"""Oscillations up to which the inverse is looked for."""

_SOURCES = {"T2": ("C5", "cosdist_p"), "T3": ("C5", "kl"), "D2": ("D2", "cosdist_p")}


@cache
def error_factors(estimate: str) -> tuple[Formula, Formula]:
    """Lower and upper bound of exact value over estimate, as formulas in the oscillation alone.

    Raises
    ------
    UnknownNameError
        If ``estimate`` is not ``"T2"``, ``"T3"`` or ``"D2"``.
    """
    theorem, quantity = lookup("estimate", estimate, _SOURCES)
    claim = next(claim for claim in catalogue[theorem].claims if claim.name == quantity)
    return _factor(claim, "lower"), _factor(claim, "upper")


def _factor(claim: Claim, side: str) -> Formula:
    bound = getattr(claim, side)
    assert claim.estimate is not None
    return Formula(sp.cancel(_linear(bound.expression) / _linear(claim.estimate.expression)))


def _linear(expression: Expression) -> Expression:
    """An expression 1 - e^(-x) is compared on the scale of x."""
    remainder = 1 - expression
    return -remainder.args[0] if isinstance(remainder, sp.exp) else expression


def relative_error(estimate: str, R: float) -> float:
    """Guaranteed |exact/estimate - 1| for every pair with oscillation at most ``R``; increasing in ``R``.

    Raises
    ------
    ValueError
        If ``R`` is negative, or the estimate unknown.
    """
    if not R >= 0:
        raise ValueError(f"R must be at least 0, got {R}")
    lower, upper = error_factors(estimate)
    return max(1 - float(lower(oscillation=R)), float(upper(oscillation=R)) - 1)


def largest_oscillation(estimate: str, error: float) -> float:
    """Largest R for which the estimate is guaranteed to be within ``error`` of the exact value.

    Raises
    ------
    ValueError
        If ``error`` is not between 0 and the error at R = 300.
    """
    reachable = relative_error(estimate, LARGEST)
    if not 0 < error < reachable:
        raise ValueError(f"error must be positive and below {reachable:.3g}, got {error}")
    return float(
        scipy.optimize.brentq(lambda R: relative_error(estimate, R) - error, 0.0, LARGEST, xtol=1e-14)
    )
