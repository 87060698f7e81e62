"""Factors of the bounds: functions of R or a log-ratio, positive and decreasing."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from theory.formulas.functions.elementary import coth_excess, js_max, sech_deficit, sinhc_excess
from theory.formulas.safe_forms import Expression, Stable, choose, even_series


class erf_ratio(Stable):
    """sqrt(pi) erf(x)/(2 x): 1 at 0, decreasing."""

    nargs = 1
    latex_name = r"\mathrm{e}_1"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return sp.sqrt(sp.pi) * sp.erf(x) / (2 * x)

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        series = even_series(x, lambda k: sp.Rational((-1) ** k, sp.factorial(k) * (2 * k + 1)), 12)
        return choose((series, x < sp.Rational(1, 2)), (sp.sqrt(sp.pi) * sp.erf(x) / (2 * x), True))


class gauss_weight(Stable):
    """int_0^1 (1 - u) exp(-R^2 u^2/4) du: the lower factor of -log cos against Var_w; 1/2 at 0."""

    nargs = 1
    latex_name = r"g_-"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, R: Expression) -> Expression:
        return sp.sqrt(sp.pi) * sp.erf(R / 2) / R - 2 * (1 - sp.exp(-(R**2) / 4)) / R**2

    @classmethod
    def safe(cls, R: Expression) -> Expression:
        def coefficient(k: int) -> Expression:
            return sp.Rational((-1) ** k, sp.factorial(k) * (2 * k + 1) * (2 * k + 2))

        direct = sp.sqrt(sp.pi) * sp.erf(R / 2) / R + 2 * expm1(-(R**2) / 4) / R**2
        return choose((even_series(R / 2, coefficient, 20), R < 2), (direct, True))


class coth_weight(Stable):
    """(R coth R - 1)/R^2: 1/3 at 0, decreasing."""

    nargs = 1
    latex_name = r"h_1"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, R: Expression) -> Expression:
        return (R * sp.cosh(R) / sp.sinh(R) - 1) / R**2

    @classmethod
    def safe(cls, R: Expression) -> Expression:
        series = even_series(R, lambda k: sp.Rational(2 * k + 2, sp.factorial(2 * k + 3)), 12)
        return choose((series / (1 + sinhc_excess(R)), R < 1), (coth_excess(R) / R**2, True))


class csch_weight(Stable):
    """(1 - R/sinh R)/R^2: 1/6 at 0, decreasing."""

    nargs = 1
    latex_name = r"h_0"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, R: Expression) -> Expression:
        return (1 - R / sp.sinh(R)) / R**2

    @classmethod
    def safe(cls, R: Expression) -> Expression:
        series = even_series(R, lambda k: sp.Rational(1, sp.factorial(2 * k + 3)), 12)
        direct = (1 - 2 * R * sp.exp(-R) / (1 - sp.exp(-2 * R))) / R**2
        return choose((series / (1 + sinhc_excess(R)), R < 1), (direct, True))


class tanh_ratio(Stable):
    """tanh(x)/x: 1 at 0, decreasing."""

    nargs = 1
    latex_name = r"\mathrm{tanhc}"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return sp.tanh(x) / x

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return choose((sp.Integer(1), sp.Eq(x, 0)), (sp.tanh(x) / x, True))


class js_ratio(Stable):
    """phi_JS/phi_H at tanh(x/2): Jensen-Shannon per squared Hellinger at log-ratio x; from 1 down to log
    2.
    """

    nargs = 1
    latex_name = r"\rho"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return js_max.definition(2 * x) / sech_deficit.definition(x / 2)

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return choose((sp.Integer(1), x <= 0), (js_max(2 * x) / sech_deficit(x / 2), True))


class js_of_hellinger(Stable):
    """Jensen-Shannon of the swap pair whose squared Hellinger distance is h: h - h^2/6 + ..., log 2 at 1."""

    nargs = 1
    latex_name = r"\psi"
    domain = ((0.0, 1.0),)

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        return [*super().points(), (Fraction("0.0299"),), (Fraction("0.0301"),)]

    @classmethod
    def definition(cls, h: Expression) -> Expression:
        t = sp.sqrt(h * (2 - h))
        return ((1 + t) * sp.log(1 + t) + (1 - t) * sp.log(1 - t)) / 2

    @classmethod
    def safe(cls, h: Expression) -> Expression:
        square = h * (2 - h)
        series = square * even_series(
            sp.sqrt(square), lambda k: sp.Rational(1, (2 * k + 1) * (2 * k + 2)), 14
        )
        e = ((1 - h) / (1 + sp.sqrt(square))) ** 2  # (1 - t)/(1 + t)
        direct = sp.log(2) - log1p(e) + sp.log(e) * e / (1 + e)
        return choose((series, h < sp.Rational(3, 100)), (direct, h < 1), (sp.log(2), True))
