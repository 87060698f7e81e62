"""Symbolic material for derivations: finite distributions with symbols as masses, and formal moment
series.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.formulas.safe_forms import Expression

epsilon = sp.Symbol("epsilon", positive=True)
"""Bookkeeping scale of the perturbation: delta = epsilon x."""


def finite_law(size: int) -> tuple[list[Expression], list[sp.Symbol]]:
    """Masses p_1 .. p_V that sum to one (the last is eliminated) and free values x_1 .. x_V."""
    free = list(sp.symbols(f"p1:{size}", positive=True))
    return [*free, 1 - sum(free)], list(sp.symbols(f"x1:{size + 1}", real=True))


def mean(weights: Sequence[Expression], values: Sequence[Expression]) -> Expression:
    """Mean under weights that need not be normalised."""
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)


def variance(weights: Sequence[Expression], values: Sequence[Expression]) -> Expression:
    """Variance under weights that need not be normalised."""
    return mean(weights, [x**2 for x in values]) - mean(weights, values) ** 2


def taylor(expression: Expression, order: int) -> Expression:
    """Taylor polynomial in ``epsilon`` up to and including ``order``, by repeated differentiation."""
    total, derivative = sp.Integer(0), expression
    for k in range(order + 1):
        total += derivative.subs(epsilon, 0) * epsilon**k / sp.factorial(k)
        derivative = sp.diff(derivative, epsilon)
    return total


def central_moments(order: int) -> list[Expression]:
    """[1, 0, m2, m3, ...]: formal central moments of an arbitrary law, of any number of atoms."""
    return [sp.Integer(1), sp.Integer(0), *sp.symbols(f"m2:{order + 1}", real=True)]


def cumulant_series(order: int, scale: Expression = 1) -> Expression:
    """log E exp(scale epsilon x), x centred, as a polynomial in ``epsilon``: general V, to ``order``."""
    moments = central_moments(order)
    generating = sum((scale * epsilon) ** k * m / sp.factorial(k) for k, m in enumerate(moments))
    return sp.expand(sp.series(sp.log(generating), epsilon, 0, order + 1).removeO())


def cumulants(order: int) -> list[Expression]:
    """Cumulants 2 .. order in terms of central moments."""
    series = cumulant_series(order)
    return [sp.expand(series.coeff(epsilon, k) * sp.factorial(k)) for k in range(2, order + 1)]
