"""Functions that textbook formulas compute badly: one elementary definition each, and one form safe in
float64.

A ``Stable`` function is an ordinary sympy function.  Its ``definition`` is what it *is*: derivations, high
precision and interval arithmetic use only that.  Its ``safe`` form is how float64 should compute it: near
0 a polynomial, for large arguments a form without overflow.  NumPy and JavaScript code is generated from
``safe``; ``theory verify`` compares the two at high precision.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any, ClassVar

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.codegen.rewriting import expm1_opt, log1p_opt, optimize

Expression = Any  # sympy's classes are untyped


class Stable(sp.Function):
    """A function with an elementary ``definition`` and a ``safe`` form; subclasses give both and a LaTeX
    name.
    """

    latex_name: ClassVar[str]
    domain: ClassVar[tuple[tuple[float, float], ...]]
    """Range of each argument in which the safe form is meant to be used."""

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        """Arguments at which ``verify`` compares the two forms: exact numbers over the domain."""
        return list(product(*(spread(*bounds) for bounds in cls.domain)))

    @classmethod
    def definition(cls, *arguments: Expression) -> Expression:
        """The elementary expression that defines the function."""
        raise NotImplementedError

    @classmethod
    def safe(cls, *arguments: Expression) -> Expression:
        """An equal expression without cancellation or overflow in float64."""
        raise NotImplementedError

    def fdiff(self, argindex: int = 1) -> Expression:
        variables = sp.symbols(f"x:{len(self.args)}", positive=True)
        derivative = elementary(self.definition(*variables)).diff(variables[argindex - 1])
        return derivative.subs(dict(zip(variables, self.args, strict=True)))

    def _eval_evalf(self, precision: int) -> Expression:
        return self.definition(*self.args)._eval_evalf(4 * precision)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        arguments = ", ".join(printer.doprint(argument) for argument in self.args)
        name = rf"{{{self.latex_name}}}^{{{exp}}}" if exp else self.latex_name
        return rf"{name}\left({arguments}\right)"


MAGNITUDES = (
    *(10.0**k for k in range(-12, 4, 2)),
    *(
        0.3,
        0.499,
        0.501,
        0.699,
        0.701,
        0.999,
        1.001,
        1.999,
        2.001,
        3.0,
        30.0,
        499.0,
        501.0,
        599.0,
        601.0,
        699.0,
    ),
    *(720.0, 1500.0, 1e4),
)
"""Sizes of arguments, including both sides of every switch between branches."""


def spread(low: float, high: float) -> list[Fraction]:
    """Hard arguments between two numbers, of both signs where allowed."""
    return [Fraction(s * x) for s in (-1, 1) for x in MAGNITUDES if low <= s * x <= high]


def elementary(expression: Expression) -> Expression:
    """``expression`` with every ``Stable`` function, ``expm1`` and ``log1p`` replaced by its definition."""
    expression = sp.sympify(expression)
    while expression.atoms(Stable):
        expression = expression.replace(
            lambda e: isinstance(e, Stable), lambda e: e.definition(*e.args), simultaneous=False
        )
    return expression.replace(expm1, lambda x: sp.exp(x) - 1).replace(log1p, lambda x: sp.log(1 + x))


def careful(expression: Expression) -> Expression:
    """1 - e^-x and log(1 - x) lose a small x: written with ``expm1`` and ``log1p`` they keep it."""
    return optimize(expression, (expm1_opt, log1p_opt)) if isinstance(expression, sp.Expr) else expression


def even_series(x: Expression, coefficient: Any, terms: int) -> Expression:
    """``sum of coefficient(k) x^(2k)``, k = 0 .. terms-1, in Horner's form."""
    square, total = x * x, sp.Integer(0)
    for k in reversed(range(terms)):
        total = sp.Rational(coefficient(k)) + square * total if total != 0 else sp.Rational(coefficient(k))
    return total


def power_series(x: Expression, coefficient: Any, terms: int) -> Expression:
    """``sum of coefficient(k) x^k``, k = 0 .. terms-1, in Horner's form."""
    total = sp.Rational(coefficient(terms - 1))
    for k in reversed(range(terms - 1)):
        total = sp.Rational(coefficient(k)) + x * total
    return total


def choose(*branches: tuple[Expression, Any]) -> Expression:
    """Unevaluated ``Piecewise``: sympy must not reorder or fold numerical branches."""
    return sp.Piecewise(*branches, evaluate=False)
