"""The laws that attain the variance-range bounds: two atoms at distance R.

``up`` is the mass on the larger value of delta and ``down`` = 1 - up; both are passed, because either may
be far smaller than the rounding error of the other.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from theory.formulas.functions.elementary import phi
from theory.formulas.safe_forms import Expression, Stable, choose, spread

STEEP = 30
"""Beyond this oscillation q_down e^R is not taken from q_down, which may be subnormal."""
LARGE = 300
"""Beyond this oscillation e^R is kept as a logarithm."""


MASSES = (1e-100, 1e-30, 1e-9, 1e-3, 0.1, 0.3, 0.499)


class OfMasses(Stable):
    """A function of (up, down, R), up + down = 1."""

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        light = [Fraction(mass) for mass in MASSES]
        pairs = [(mass, 1 - mass) for mass in light] + [(1 - mass, mass) for mass in light]
        return [(*pair, R) for pair in pairs for R in spread(0.0, 1e4)]


class OfLightMass(Stable):
    """A function of (up, down, R), up + down = 1, the upper atom being the lighter."""

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        return [(Fraction(mass), 1 - Fraction(mass), R) for mass in MASSES for R in spread(0.0, 1e4)]


class OfVariance(Stable):
    """A function of (variance, R), the variance at most R^2/4."""

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        shares = [Fraction(share) for share in (1e-30, 1e-9, 0.01, 0.1, 0.2)]
        return [(share * R * R, R) for share in shares for R in spread(0.0, 1e4)]


class t_minus(OfVariance):
    """Mass of the lighter of two atoms at distance R whose law has the given variance."""

    nargs = 2
    latex_name = "t_-"

    @classmethod
    def definition(cls, variance: Expression, R: Expression) -> Expression:
        return (1 - sp.sqrt(sp.Max(1 - 4 * variance / R**2, 0))) / 2

    @classmethod
    def safe(cls, variance: Expression, R: Expression) -> Expression:
        fraction = sp.Min(4 * (variance / R) / R, 1)
        light = fraction / (2 * (1 + sp.sqrt(1 - fraction)))
        return choose((sp.Integer(0), sp.Or(R <= 0, variance <= 0)), (light, True))


class t_plus(OfVariance):
    """Mass of the heavier of two atoms at distance R whose law has the given variance: 1 - t_minus."""

    nargs = 2
    latex_name = "t_+"

    @classmethod
    def definition(cls, variance: Expression, R: Expression) -> Expression:
        return (1 + sp.sqrt(sp.Max(1 - 4 * variance / R**2, 0))) / 2

    @classmethod
    def safe(cls, variance: Expression, R: Expression) -> Expression:
        heavy = (1 + sp.sqrt(1 - sp.Min(4 * (variance / R) / R, 1))) / 2
        return choose((sp.Integer(1), sp.Or(R <= 0, variance <= 0)), (heavy, True))


class two_atom_kl(OfMasses):
    """kappa: KL(p||q) of two atoms with mass ``up`` on the larger delta."""

    nargs = 3
    latex_name = r"\kappa"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return sp.log(down + up * sp.exp(R)) - up * R

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        moderate = log1p(up * R * R * down * (down * phi(down * R) + up * phi(-up * R)))
        log_up = choose((log1p(-down), down < sp.Rational(1, 2)), (sp.log(up), True))
        odds = R + log_up  # log of up e^R
        return choose(
            (sp.Integer(0), sp.Or(up <= 0, down <= 0)),
            (moderate, R < LARGE),
            (down * R + log_up + log1p(down * sp.exp(-odds)), odds > 0),
            (log1p(sp.exp(odds) - up) - up * R, True),
        )


class two_atom_tv(OfMasses):
    """Total variation of two atoms with mass ``up`` on the larger delta: q_up - p_up."""

    nargs = 3
    latex_name = r"\mathrm{TV}_2"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return up * sp.exp(R) / (down + up * sp.exp(R)) - up

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        lost = -expm1(-R)
        return choose(
            (sp.Integer(0), sp.Or(up <= 0, down <= 0)), (up * down * lost / (sp.exp(-R) + up * lost), True)
        )


class two_atom_kl_reverse(OfMasses):
    """KL(q||p) of two atoms: kappa of the reversed pair, whose upper atom has mass q_down."""

    nargs = 3
    latex_name = r"\overleftarrow{\kappa}"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return R * up * sp.exp(R) / (down + up * sp.exp(R)) - sp.log(down + up * sp.exp(R))

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        total = up + down * sp.exp(-R)
        q_up, q_down = up / total, down * sp.exp(-R) / total
        log_up = choose((log1p(-down), down < sp.Rational(1, 2)), (sp.log(up), True))
        odds = R + log_up
        return choose(
            (sp.Integer(0), sp.Or(up <= 0, down <= 0)),
            (two_atom_kl(q_down, q_up, R), sp.Or(R < STEEP, sp.And(R < LARGE, up < down))),
            (log1p(-down * expm1(-R) / total) - R * q_down, R < LARGE),
            (-R * q_down - log_up - log1p(down * sp.exp(-odds)), odds > 0),
            (R * sp.exp(odds) / (down + sp.exp(odds)) - log1p(sp.exp(odds) - up), True),
        )


class two_atom_spread(OfMasses):
    """Coefficient of variation of e^(delta/2) for two atoms: the tangent of the angle between sqrt(p) and
    sqrt(q).
    """

    nargs = 3
    latex_name = r"\mathrm{CV}"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return sp.sqrt(up * down) * (sp.exp(R / 2) - 1) / (down + up * sp.exp(R / 2))

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        lost = -expm1(-R / 2)
        spread = sp.sqrt(up * down) * (lost / (sp.exp(-R / 2) + up * lost))
        return choose((sp.Integer(0), sp.Or(up <= 0, down <= 0)), (spread, True))


class two_atom_log_bc(OfMasses):
    """-log of the Bhattacharyya coefficient of two atoms; at 2R, with the masses of r, it is -log
    cos(p,q).
    """

    nargs = 3
    latex_name = r"\beta"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return sp.log(down + up * sp.exp(R)) / 2 - sp.log(down + up * sp.exp(R / 2))

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return log1p(two_atom_spread(up, down, R) ** 2) / 2


class log_odds(Stable):
    """log(up/down), kept whole: sympy would turn exp(R + log x) back into x e^R, which overflows."""

    nargs = 2
    latex_name = r"\mathrm{logit}"
    domain = ((1e-12, 1.0), (1e-12, 1.0))

    @classmethod
    def definition(cls, up: Expression, down: Expression) -> Expression:
        return sp.log(up / down)

    @classmethod
    def safe(cls, up: Expression, down: Expression) -> Expression:
        return sp.log(up / down)


class bernoulli_variance(OfLightMass):
    """Variance of a coin with odds ``up e^R : down``."""

    nargs = 3
    latex_name = r"v"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return up * down * sp.exp(R) / (down + up * sp.exp(R)) ** 2

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        odds = choose((up * sp.exp(R) / down, R < LARGE), (sp.exp(R + log_odds(up, down)), True))
        return choose((sp.Integer(0), sp.Or(up <= 0, down <= 0)), (1 / ((1 + odds) * (1 + 1 / odds)), True))
