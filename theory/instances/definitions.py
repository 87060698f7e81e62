"""The textbook definition of every quantity and statistic, as a sympy expression.

``measure`` evaluates the same numbers by formulas that survive rounding; this file says what they *are*.
The report prints these expressions, the explorer runs them as JavaScript, and the tests evaluate them at high
precision as the truth that ``measure`` is compared with.

Atoms run over ``i = 0 .. V-1``: ``p[i]`` dense, ``q[i]`` perturbed, ``z[i]`` dense logits, ``D[i]`` their
change, and ``delta[i] = D[i]/T``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sympy as sp
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.pycode import MpmathPrinter

V = sp.Symbol("V", integer=True, positive=True)
T = sp.Symbol("T", positive=True)
i = sp.Symbol("i", integer=True, nonnegative=True)
p = sp.IndexedBase("p", positive=True)
q = sp.IndexedBase("q", positive=True)
z = sp.IndexedBase("z", real=True)
D = sp.IndexedBase("D", real=True)
delta = sp.IndexedBase("delta", real=True)


def total(summand: sp.Expr) -> sp.Expr:
    """Sum of ``summand`` over all atoms."""
    return sp.Sum(summand, (i, 0, V - 1))


def mean(weight: sp.Expr, value: sp.Expr) -> sp.Expr:
    """Mean of ``value`` under weights proportional to ``weight``."""
    return total(weight * value) / total(weight)


def variance(weight: sp.Expr, value: sp.Expr) -> sp.Expr:
    """Variance of ``value`` under weights proportional to ``weight``."""
    return mean(weight, (value - mean(weight, value)) ** 2)


def cosine_distance(x: sp.Expr, y: sp.Expr) -> sp.Expr:
    """``1 - cos`` of two vectors given by their ``i``-th entries."""
    return 1 - total(x * y) / sp.sqrt(total(x**2) * total(y**2))


class Largest(sp.Function):
    """Maximum of an expression over the atoms ``i``."""

    nargs = 1

    def _latex(self, printer: Any) -> str:
        return rf"\max_i\left({printer.doprint(self.args[0])}\right)"


def _kl(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return total(a * sp.log(a / b))


_middle = (p[i] + q[i]) / 2
_centred_z = z[i] - mean(sp.Integer(1), z[i])
_centred_D = D[i] - mean(sp.Integer(1), D[i])
_projection = total(z[i] * D[i]) / total(z[i] ** 2)

PROBABILITY = sp.exp(z[i] / T) / total(sp.exp(z[i] / T))
PERTURBED_PROBABILITY = sp.exp((z[i] + D[i]) / T) / total(sp.exp((z[i] + D[i]) / T))

DEFINITIONS: Mapping[str, Any] = {
    "kl": _kl(p[i], q[i]),
    "kl_reverse": _kl(q[i], p[i]),
    "js": (_kl(p[i], _middle) + _kl(q[i], _middle)) / 2,
    "tv": total(sp.Abs(p[i] - q[i])) / 2,
    "hellinger_sq": 1 - total(sp.sqrt(p[i] * q[i])),
    "chi2": total((q[i] - p[i]) ** 2 / p[i]),
    "chi2_reverse": total((q[i] - p[i]) ** 2 / q[i]),
    "cosdist_p": cosine_distance(p[i], q[i]),
    "cosdist_z": cosine_distance(z[i], z[i] + D[i]),
    "cosdist_z_centred": cosine_distance(_centred_z, _centred_z + _centred_D),
    "oscillation": Largest(delta[i]) + Largest(-delta[i]),
    "rho_plus": Largest(sp.log(q[i] / p[i])),
    "rho_minus": Largest(sp.log(p[i] / q[i])),
    "low_p": -Largest(mean(p[i], delta[i]) - delta[i]),
    "high_p": Largest(delta[i] - mean(p[i], delta[i])),
    "low_r": -Largest(mean(p[i] ** 2, delta[i]) - delta[i]),
    "high_r": Largest(delta[i] - mean(p[i] ** 2, delta[i])),
    "p_max": Largest(p[i]),
    "p_rest": 1 - Largest(p[i]),
    "var_p": variance(p[i], delta[i]),
    "var_q": variance(q[i], delta[i]),
    "var_r": variance(p[i] ** 2, delta[i]),
    "var_w": variance(p[i] * q[i], delta[i]),
    "var_g": variance(sp.sqrt(p[i] * q[i]), delta[i]),
    "var_u": variance(sp.Integer(1), delta[i]),
    "entropy": -total(p[i] * sp.log(p[i])),
    "entropy_perturbed": -total(q[i] * sp.log(q[i])),
    "gini_p": total(p[i] ** 2),
    "gini_r": total(p[i] ** 4) / total(p[i] ** 2) ** 2,
    "parallel": _projection,
    "orthogonal_sq": total((D[i] - _projection * z[i]) ** 2) / total(z[i] ** 2),
    "norm_sq": total(z[i] ** 2),
}
"""One expression per column of ``Drift``, but for ``top1_agree`` and ``margin``, which order the atoms."""


class _MpmathPrinter(MpmathPrinter):
    def _print_Largest(self, expression: Largest) -> str:
        return f"max(({self._print(expression.args[0])}) for i in range(V))"


class _JavascriptPrinter(JavascriptCodePrinter):
    def _print_Sum(self, expression: sp.Sum) -> str:
        return f"total(V, (i) => {self._print(expression.function)})"

    def _print_Largest(self, expression: Largest) -> str:
        return f"largest(V, (i) => {self._print(expression.args[0])})"

    def _print_Indexed(self, expression: sp.Indexed) -> str:
        return f"{self._print(expression.base.label)}[{self._print(expression.indices[0])}]"


@cache
def high_precision(name: str) -> Callable[..., Any]:
    """The definition of column ``name`` as an mpmath function of the lists p, q, z, D, delta and V."""
    printer = _MpmathPrinter(
        {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}
    )
    return sp.lambdify([p, q, z, D, delta, V], DEFINITIONS[name], "mpmath", printer=printer)


def javascript(name: str) -> str:
    """The definition of column ``name`` as a JavaScript expression in the arrays p, q, z, D, delta and V.

    It calls ``total(V, f)`` and ``largest(V, f)``: sum and maximum of ``f(0) .. f(V - 1)``.
    """
    return _JavascriptPrinter().doprint(DEFINITIONS[name])
