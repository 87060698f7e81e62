"""How far the safe forms of the ``Stable`` functions are from their definitions, in float64 (statement
I4).
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np
import sympy as sp

from theory.formulas.formula import Formula
from theory.formulas.safe_forms import Stable

DIGITS = 700
"""Enough for masses of 1e-100 and oscillations of 1e-12 together."""
ALLOWED = 1e-13
"""Relative error that every safe form must keep, beside the error that rounding its arguments causes."""


@dataclass(frozen=True)
class Accuracy:
    """Largest relative error of one function, and where."""

    function: str
    points: int
    error: float
    arguments: tuple[float, ...]


def accuracy(function: type[Stable]) -> Accuracy:
    """Compare the two forms at ``function.points()``.

    The definition is evaluated at the exact points; float64 sees them rounded.  The error allowed by the
    rounding of each argument, half an ulp times the function's slope, is subtracted.
    """
    points = function.points()
    formula = Formula(function(*sp.symbols(f"x:{len(points[0])}", real=True)))
    rounded = np.array(points, dtype=np.float64).T
    computed = formula(**dict(zip(formula.symbols, rounded, strict=True)))
    worst, where = 0.0, rounded[:, 0]
    with mpmath.workdps(DIGITS):
        for point, near, value in zip(points, rounded.T, computed, strict=True):
            exact = [mpmath.mpf(x.numerator) / x.denominator for x in point]
            truth = mpmath.re(formula.exact(**dict(zip(formula.symbols, exact, strict=True))))
            if abs(truth) < 1e-290:
                continue  # float64 has no relative accuracy left near its smallest number
            seen = mpmath.re(formula.exact(**dict(zip(formula.symbols, map(mpmath.mpf, near), strict=True))))
            if sum(point[:2]) == 1 and len(point) == 3:
                seen = truth  # masses: the smaller is exact and the larger determined by it
            error = min(abs(value - truth), abs(value - seen)) / abs(truth)
            if not error <= worst:
                worst, where = float(error), near
    return Accuracy(function.__name__, len(points), worst, tuple(map(float, where)))
