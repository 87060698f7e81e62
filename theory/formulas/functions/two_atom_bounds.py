"""Bounds in closed form whose extremal laws have two atoms, beyond the values of one given two-atom law.

``chord_*``: the law whose log-ratio takes its two extreme values.  ``capped_*`` and ``tilt_tv``: upper
bounds by variance and range.  ``edge_*``: centred laws with a given variance and one atom given.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp
from sympy.codegen.cfunctions import expm1

from theory.formulas.functions.two_atoms import (
    LARGE,
    OfLightMass,
    bernoulli_variance,
    log_odds,
    two_atom_kl,
    two_atom_kl_reverse,
    two_atom_log_bc,
)
from theory.formulas.safe_forms import Expression, Stable, choose, spread


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
        near = sp.And(span < LARGE, rho_plus < 1)  # further on ``up`` may be too small for a float
        return choose((two_atom_kl(up, down, span), near), (down * rho_minus - up * rho_plus, True))


def _turn(up: Expression, down: Expression) -> Expression:
    """u_0: the oscillation at which tilting has made the two atoms equal."""
    return -log_odds(up, down)  # down/up overflows where up is the least float


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


class OfEdge(Stable):
    """A function of (variance, edge): one atom of a centred law, anywhere from far out to close to the
    mean.
    """

    @classmethod
    def points(cls) -> list[tuple[Fraction, ...]]:
        shares = [Fraction(share) for share in (1e-20, 1e-3, 0.3, 1.0, 100.0)]
        points = [(share * x * x, x) for share in shares for x in spread(-100.0, 100.0)]
        points += [(Fraction("1e-230"), Fraction(x)) for x in ("1e-231", "-1e-231")]
        return list[tuple[Fraction, ...]](points)


def _edge_masses(variance: Expression, x: Expression) -> tuple[Expression, Expression]:
    """Masses of x and of -variance/x in the centred two-atom law with this variance."""
    other = variance / x  # no squares: x may be an atom's mass, far below the square root of the least float
    return other / (x + other), x / (x + other)


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
