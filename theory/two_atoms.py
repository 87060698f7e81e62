"""The laws that attain the variance-range bounds: two atoms at distance R.

``up`` is the mass on the larger value of delta and ``down`` = 1 - up; both are passed, because either may
be far smaller than the rounding error of the other.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from theory.functions import Expression, Stable, choose, phi, spread

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


class OfEdge(Stable):
    """A function of (variance, edge): one atom of a centred law, anywhere from far out to close to the
    mean.
    """

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        shares = [Fraction(share) for share in (1e-20, 1e-3, 0.3, 1.0, 100.0)]
        return [(share * x * x, x) for share in shares for x in spread(-100.0, 100.0)]


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
            (two_atom_kl(q_down, q_up, R), R < LARGE),
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


class chord_up(Stable):
    """Upper mass of the two-atom law whose log(q/p) takes just the values rho_plus and -rho_minus."""

    nargs = 2
    latex_name = r"t_\rho"
    domain = ((0.0, 300.0), (0.0, 300.0))

    @classmethod
    def definition(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        return (1 - sp.exp(-rho_minus)) / (sp.exp(rho_plus) - sp.exp(-rho_minus))

    @classmethod
    def safe(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        mass = sp.exp(-rho_plus) * expm1(-rho_minus) / expm1(-rho_minus - rho_plus)
        return choose((sp.Integer(0), rho_minus + rho_plus <= 0), (mass, True))


class chord_down(Stable):
    """Lower mass of the same law."""

    nargs = 2
    latex_name = r"(1-t_\rho)"
    domain = ((0.0, 300.0), (0.0, 300.0))

    @classmethod
    def definition(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        return (sp.exp(rho_plus) - 1) / (sp.exp(rho_plus) - sp.exp(-rho_minus))

    @classmethod
    def safe(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        mass = expm1(-rho_plus) / expm1(-rho_minus - rho_plus)
        return choose((sp.Integer(1), rho_minus + rho_plus <= 0), (mass, True))


class chord_tv(Stable):
    """Total variation of that law."""

    nargs = 2
    latex_name = r"\mathrm{TV}_\rho"
    domain = ((0.0, 1e4), (0.0, 1e4))

    @classmethod
    def definition(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        low, high = sp.exp(-rho_minus), sp.exp(rho_plus)
        return (1 - low) * (high - 1) / (high - low)

    @classmethod
    def safe(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        value = -expm1(-rho_minus) * (expm1(-rho_plus) / expm1(-rho_minus - rho_plus))
        return choose((sp.Integer(0), rho_minus + rho_plus <= 0), (value, True))


class chord_kl(Stable):
    """KL(p||q) of that law; with its arguments exchanged, KL(q||p)."""

    nargs = 2
    latex_name = r"\mathrm{KL}_\rho"
    domain = ((0.0, 1e4), (0.0, 1e4))

    @classmethod
    def definition(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        low, high = sp.exp(-rho_minus), sp.exp(rho_plus)
        return ((high - 1) * rho_minus - (1 - low) * rho_plus) / (high - low)

    @classmethod
    def safe(cls, rho_minus: Expression, rho_plus: Expression) -> Expression:
        up, down = chord_up(rho_minus, rho_plus), chord_down(rho_minus, rho_plus)
        span = rho_minus + rho_plus
        return choose((two_atom_kl(up, down, span), span < LARGE), (down * rho_minus - up * rho_plus, True))


def _turn(up: Expression, down: Expression) -> Expression:
    """u_0: the oscillation at which tilting has made the two atoms equal."""
    return sp.log(down / up)


class capped_variance(OfLightMass):
    """Largest variance of delta under q by (variance, R): the two-atom value until the atoms are equal,
    then R^2/4.
    """

    nargs = 3
    latex_name = r"v^*"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return R**2 * bernoulli_variance(up, down, sp.Min(R, _turn(up, down)))

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return choose((sp.Integer(0), sp.Or(R <= 0, up <= 0)), (cls.definition(up, down, R), True))


class capped_kl_reverse(OfLightMass):
    """Upper bound of KL(q||p) by (variance, R): the two-atom value, continued quadratically beyond u_0."""

    nargs = 3
    latex_name = r"\overleftarrow{\kappa}^*"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        u = _turn(up, down)
        excess = sp.Max(R - u, 0)
        return two_atom_kl_reverse(up, down, sp.Min(R, u)) + excess * (2 * R - excess) / 8

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return choose((sp.Integer(0), sp.Or(R <= 0, up <= 0)), (cls.definition(up, down, R), True))


class capped_log_bc(OfLightMass):
    """Upper bound of -log BC by (variance, R), likewise continued; at 2R with the masses of r, of -log
    cos.
    """

    nargs = 3
    latex_name = r"\beta^*"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return _capped_kl(up, down, R) / 2 - _capped_kl(up, down, R / 2)

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        return choose(
            (sp.Integer(0), sp.Or(R <= 0, up <= 0)),
            (two_atom_log_bc(up, down, R), _turn(up, down) >= R),
            (cls.definition(up, down, R), True),
        )


def _capped_kl(up: Expression, down: Expression, y: Expression) -> Expression:
    u = _turn(up, down)
    excess = sp.Max(y - u, 0)
    return two_atom_kl(up, down, sp.Min(y, u)) + (down - up) / 2 * excess + excess**2 / 8


class tilt_tv(OfLightMass):
    """Upper bound of TV by (variance, R): half the length of the path of p under tilting, at the largest
    speed.
    """

    nargs = 3
    latex_name = r"\tau"

    @classmethod
    def definition(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        u = _turn(up, down)
        step = sp.Min(R, u)
        return sp.atan(sp.sinh(step / 4) / sp.cosh(u / 2 - step / 4)) + sp.Max(R - u, 0) / 4

    @classmethod
    def safe(cls, up: Expression, down: Expression, R: Expression) -> Expression:
        u = _turn(up, down)
        step = sp.Min(R, u)
        ratio = -sp.exp((step - u) / 2) * expm1(-step / 2) / (1 + sp.exp(step / 2 - u))
        return choose((sp.Integer(0), sp.Or(R <= 0, up <= 0)), (sp.atan(ratio) + sp.Max(R - u, 0) / 4, True))


def _edge_masses(variance: Expression, x: Expression) -> tuple[Expression, Expression]:
    """Masses of x and of -variance/x in the centred two-atom law with this variance."""
    total = x * x + variance
    return variance / total, x * x / total


class edge_kl(OfEdge):
    """KL(p||q) of the centred two-atom law with the given variance and one atom at x (of either sign)."""

    nargs = 2
    latex_name = "F"

    @classmethod
    def definition(cls, variance: Expression, x: Expression) -> Expression:
        return sp.log((x**2 * sp.exp(-variance / x) + variance * sp.exp(x)) / (x**2 + variance))

    @classmethod
    def safe(cls, variance: Expression, x: Expression) -> Expression:
        here, there = _edge_masses(variance, x)
        return choose(
            (sp.Integer(0), sp.Or(variance <= 0, sp.Eq(x, 0))),
            (two_atom_kl(here, there, x + variance / x), x > 0),
            (two_atom_kl(there, here, -x - variance / x), True),
        )


class edge_kl_reverse(OfEdge):
    """KL(q||p) of the same law."""

    nargs = 2
    latex_name = r"\overleftarrow{F}"

    @classmethod
    def definition(cls, variance: Expression, x: Expression) -> Expression:
        here, there = _edge_masses(variance, x)
        return two_atom_kl_reverse(here, there, x + variance / x)

    @classmethod
    def safe(cls, variance: Expression, x: Expression) -> Expression:
        here, there = _edge_masses(variance, x)
        return choose(
            (sp.Integer(0), sp.Or(variance <= 0, sp.Eq(x, 0))),
            (two_atom_kl_reverse(here, there, x + variance / x), x > 0),
            (two_atom_kl_reverse(there, here, -x - variance / x), True),
        )


class edge_log_cos(OfEdge):
    """-log cos(p,q) of the law whose weights r are the centred two-atom law."""

    nargs = 2
    latex_name = "G"

    @classmethod
    def definition(cls, variance: Expression, x: Expression) -> Expression:
        here, there = _edge_masses(variance, x)
        return two_atom_log_bc(here, there, 2 * (x + variance / x))

    @classmethod
    def safe(cls, variance: Expression, x: Expression) -> Expression:
        here, there = _edge_masses(variance, x)
        return choose(
            (sp.Integer(0), sp.Or(variance <= 0, sp.Eq(x, 0))),
            (two_atom_log_bc(here, there, 2 * (x + variance / x)), x > 0),
            (two_atom_log_bc(there, here, 2 * (-x - variance / x)), True),
        )
