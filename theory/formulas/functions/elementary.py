"""Functions of one or two numbers that the bounds are written in; ``theory.formulas.safe_forms`` says what
they are.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from theory.formulas.safe_forms import Expression, Stable, choose, even_series, power_series


class phi(Stable):
    """(e^x - 1 - x)/x^2: increasing and positive, 1/2 at 0."""

    nargs = 1
    latex_name = r"\varphi"
    domain = ((-1e4, 700.0),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return (sp.exp(x) - 1 - x) / x**2

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return choose(
            (
                power_series(x, lambda k: sp.Rational(1, sp.factorial(k + 2)), 18),
                sp.Abs(x) < sp.Rational(7, 10),
            ),
            ((expm1(x) - x) / x**2, True),
        )


class phi_reverse(Stable):
    """(1 + (x - 1) e^x)/x^2: increasing and positive, 1/2 at 0."""

    nargs = 1
    latex_name = r"\overleftarrow{\varphi}"
    domain = ((-1e4, 700.0),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return (1 + (x - 1) * sp.exp(x)) / x**2

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        series = power_series(x, lambda k: sp.Rational(k + 1, sp.factorial(k + 2)), 21)
        return choose((series, sp.Abs(x) < 1), ((1 + (x - 1) * sp.exp(x)) / x**2, True))


class sinhc_excess(Stable):
    """sinh(x)/x - 1."""

    nargs = 1
    latex_name = r"\mathrm{sinhc}_1"
    domain = ((0.0, 700.0),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return sp.sinh(x) / x - 1

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        series = x * x * even_series(x, lambda k: sp.Rational(1, sp.factorial(2 * k + 3)), 12)
        return choose((series, sp.Abs(x) < 1), (sp.sinh(x) / x - 1, True))


class log_sinhc(Stable):
    """S(x) = log(sinh(x)/x): even and convex."""

    nargs = 1
    latex_name = "S"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return sp.log(sp.sinh(x) / x)

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        size = sp.Abs(x)
        return choose(
            (log1p(sinhc_excess(x)), size < 1), (size + log1p(-sp.exp(-2 * size)) - sp.log(2 * size), True)
        )


class coth_excess(Stable):
    """x coth(x) - 1."""

    nargs = 1
    latex_name = r"\mathrm{cothx}_1"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return x * sp.cosh(x) / sp.sinh(x) - 1

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        series = x * x * even_series(x, lambda k: sp.Rational(2 * k + 2, sp.factorial(2 * k + 3)), 12)
        return choose((series / (1 + sinhc_excess(x)), sp.Abs(x) < 1), (x * (1 + 2 / expm1(2 * x)) - 1, True))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        argument = printer.parenthesize(self.args[0], 100)
        text = rf"{argument}\coth {argument} - 1"
        return rf"\left({text}\right)^{{{exp}}}" if exp else rf"\left({text}\right)"


class sech_deficit(Stable):
    """1 - sech(x) = tanh(x) tanh(x/2)."""

    nargs = 1
    latex_name = r"(1-\mathrm{sech})"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return 1 - 1 / sp.cosh(x)

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return sp.tanh(x) * sp.tanh(x / 2)


class log_cosh(Stable):
    """log cosh(x)."""

    nargs = 1
    latex_name = r"\log\cosh"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return sp.log(sp.cosh(x))

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        size = sp.Abs(x)
        small = log1p(2 * sp.sinh(x / 2) ** 2)
        return choose((small, size < 1), (size + log1p(sp.exp(-2 * size)) - sp.log(2), True))


class kl_max(Stable):
    """Largest KL divergence at oscillation R: the logarithm of Specht's ratio."""

    nargs = 1
    latex_name = r"\mathrm{KL}_{\max}"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, R: Expression) -> Expression:
        return sp.log((sp.exp(R) - 1) / R) - 1 + R / (sp.exp(R) - 1)

    @classmethod
    def safe(cls, R: Expression) -> Expression:
        return log_sinhc(R / 2) + coth_excess(R / 2)


class gudermann(Stable):
    """gd(x) = 2 arctan tanh(x/2): cos gd x = sech x, tan gd x = sinh x."""

    nargs = 1
    latex_name = r"\mathrm{gd}"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return 2 * sp.atan(sp.tanh(x / 2))

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return cls.definition(x)


class growth(Stable):
    """(e^x - 1)/x: 1 at 0; its square is the factor by which T2 errs (x = R and x = -R)."""

    nargs = 1
    latex_name = r"\gamma"
    domain = ((-1e4, 700.0),)

    @classmethod
    def definition(cls, x: Expression) -> Expression:
        return (sp.exp(x) - 1) / x

    @classmethod
    def safe(cls, x: Expression) -> Expression:
        return choose((sp.Integer(1), sp.Eq(x, 0)), (expm1(x) / x, True))


class phi_growth(Stable):
    """log(1 + v phi(x)): Bennett's bound on a centred cumulant, v the variance and x the extreme value."""

    nargs = 2
    latex_name = r"\ell_\varphi"
    domain = ((0.0, 1e4), (-1e4, 1e4))

    @classmethod
    def definition(cls, variance: Expression, x: Expression) -> Expression:
        return sp.log(1 + variance * (sp.exp(x) - 1 - x) / x**2)

    @classmethod
    def safe(cls, variance: Expression, x: Expression) -> Expression:
        scale = x + sp.log(variance) - 2 * sp.log(x)
        return choose(
            (log1p(variance * phi(x)), x < 600),
            (scale + log1p(sp.exp(-scale)), scale > 0),
            (log1p(sp.exp(scale)), True),
        )


class js_max(Stable):
    """Largest Jensen-Shannon divergence at oscillation R: log 2 minus the entropy of (sigma(R/2),
    sigma(-R/2)).
    """

    nargs = 1
    latex_name = r"\mathrm{JS}_{\max}"
    domain = ((0.0, 1e4),)

    @classmethod
    def definition(cls, R: Expression) -> Expression:
        e = sp.exp(-R / 2)
        return sp.log(2) - sp.log(1 + e) - R / 2 * e / (1 + e)

    @classmethod
    def safe(cls, R: Expression) -> Expression:
        t, e = sp.tanh(R / 4), sp.exp(-R / 2)
        series = t * t * even_series(t, lambda k: sp.Rational(1, (2 * k + 1) * (2 * k + 2)), 14)
        return choose((series, R < 1), (sp.log(2) - log1p(e) - R / 2 * e / (1 + e), True))
