"""Family C: bounds by a variance and the range."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.functions.elementary import phi, phi_growth
from theory.formulas.functions.two_atom_bounds import capped_variance, edge_kl
from theory.formulas.functions.two_atoms import bernoulli_variance, t_minus, t_plus, two_atom_kl
from theory.formulas.symbols import high_p, kl, kl_reverse, low_p, oscillation, var_p, var_q, var_r
from theory.instances.instance import Instance, moderate, tilted, variance
from theory.instances.two_atom_laws import VANISHING, Pair, reversed_pair, two_atoms
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
light, heavy = t_minus(var_p, R), t_plus(var_p, R)
light_q, heavy_q = t_minus(var_q, R), t_plus(var_q, R)
light_r, heavy_r = t_minus(var_r, R), t_plus(var_r, R)

_s = sp.Symbol("s", positive=True)
_sign = sp.Symbol("x", real=True, nonzero=True)
_v, _b, _u = sp.symbols("v b u", positive=True)


def rare_upper(R: Any) -> Pair:
    """p(upper) -> 0: the third cumulant is as large as it can be."""
    return two_atoms(mpmath.log(VANISHING) - R, R)


def rare_lower(R: Any) -> Pair:
    """p(lower) -> 0."""
    return two_atoms(-mpmath.log(VANISHING) + R, R)


def mostly_low(R: Any) -> Pair:
    """p(upper) = 1/(1 + e^(2R + 1)): even tilting r by 2R leaves the upper atom the lighter one."""
    return two_atoms(-2 * R - 1, R)


def mostly_high(R: Any) -> Pair:
    """p(upper) = 3/4."""
    return two_atoms(mpmath.log(3), R)


# --------------------------------------------------------------------------------------------------- C0


def _lipschitz(x: Instance) -> list[Relation]:
    """theta(s) = (2/R) arcosh(R/(2 sd_s)) moves by at most the change of s."""
    span = x.column("oscillation")
    grid = [mpf(k) / 4 for k in range(-4, 9)]
    theta = [
        2 / span * mpmath.acosh(max(mpf(1), span / (2 * mpmath.sqrt(variance(tilted(x, s), x.delta)))))
        for s in grid
    ]
    return [(abs(b - a), "<=", mpf(1) / 4 + mpf(10) ** -40) for a, b in pairwise(theta)]


_h = sp.Symbol("theta", positive=True)

C0 = Theorem(
    id="C0",
    name="tilt-comparison",
    title="How fast a variance can change under tilting",
    statement="Let v(s) be the variance of delta under weights tilted by e^(s delta). Then |v'| <= v "
    "sqrt(R^2 - 4v); equivalently "
    "theta(s) = (2/R) arcosh(R/(2 sqrt v)) is 1-Lipschitz. At s = 1 this bounds Var_q by Var_p on both "
    "sides.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(
                var_q,
                R**2 * bernoulli_variance(heavy, light, R),
                increasing=("var_p",),
                decreasing=("oscillation",),
            ),
            at_most(var_q, capped_variance(light, heavy, R), increasing=("var_p", "oscillation")),
        ),
    ),
    derivation=(
        argument("X centred with variance v, X <= b: 0 <= E (b - X)(X + v/b)^2 = bv - v^2/b - E X^3."),
        identity(
            "The polynomial, with E X = 0 and E X^2 = v: (b-x)(x+v/b)^2 - [bv - v^2/b - x^3] has mean 0",
            sp.expand((_b - _sign) * (_sign + _v / _b) ** 2)
            - (_b * _v - _v**2 / _b - _sign**3)
            - ((_b - 2 * _v / _b) * (_sign**2 - _v) + (2 * _v - _v**2 / _b**2) * _sign),
            sp.Integer(0),
        ),
        argument(
            "The bound b - v/b on the skewness increases in b, and b |a| >= v, b + |a| <= R give b <= b_+ "
            "= (R + sqrt(R^2-4v))/2."
        ),
        identity(
            "There it is sqrt(R^2 - 4v)",
            (R + sp.sqrt(R**2 - 4 * _v)) / 2 - _v / ((R + sp.sqrt(R**2 - 4 * _v)) / 2),
            sp.sqrt(R**2 - 4 * _v),
        ),
        identity(
            "With v = (R^2/4) sech^2(R theta/2): dv/dtheta = -v R tanh(R theta/2) and R^2 - 4v = R^2 "
            "tanh^2(R theta/2)",
            sp.Derivative(R**2 / 4 / sp.cosh(R * _h / 2) ** 2, _h) ** 2,
            (R**2 / 4 / sp.cosh(R * _h / 2) ** 2) ** 2 * (R**2 - 4 * (R**2 / 4 / sp.cosh(R * _h / 2) ** 2)),
        ),
        sampled("theta is 1-Lipschitz between tilts -1 .. 2", _lipschitz, instances=moderate),
    ),
    witnesses=(
        Witness("two atoms, upper one light", mostly_low, parameters=("0.1", "1", "3", "10")),
        Witness("two atoms, upper one heavy", mostly_high, side="lower", parameters=("0.1", "1", "3", "10")),
    ),
    source="new; a range-aware self-concordance",
)

# --------------------------------------------------------------------------------------------------- C1, C2

C1 = Theorem(
    id="C1",
    name="kl-bennett",
    title="KL by variance and extreme values (Bennett)",
    statement="With a = min delta - E_p delta and b = max delta - E_p delta: log(1 + Var_p phi(a)) <= "
    "KL(p||q) <= log(1 + Var_p phi(b)).",
    status=Status.VALID,
    claims=(
        between(
            at_least(kl, phi_growth(var_p, low_p), increasing=("var_p", "low_p")),
            at_most(kl, phi_growth(var_p, high_p), increasing=("var_p", "high_p")),
            estimate=var_p / 2,
        ),
    ),
    derivation=(
        identity("e^x = 1 + x + x^2 phi(x)", sp.exp(_u), 1 + _u + _u**2 * phi(_u)),
        argument("So E e^X = 1 + E X^2 phi(X) for X = delta - E_p delta, and phi is increasing."),
        identity(
            "phi is a mean of e^(sx) with positive weights, hence increasing: phi(x) = int_0^1 (1-s) "
            "e^(sx) ds",
            sp.Integral((1 - _s) * sp.exp(_s * _sign), (_s, 0, 1)),
            phi(_sign),
        ),
    ),
    limit=expansion("Var_p/2, T3", phi_growth(_u**2, sp.Integer(1) * _u), _u, _u**2 / 2 + _u**3 / 6),
    source="Bennett's inequality",
)

C2 = Theorem(
    id="C2",
    name="kl-variance-range",
    title="Sharp KL bounds by variance and range",
    statement="With v = Var_p, a and b the extremes of delta - E_p delta: F(a) <= KL(p||q) <= F(b), F(x) "
    "the KL of the centred "
    "two-atom law with variance v and an atom at x. Knowing R only: kappa(t_+; R) <= KL(p||q) <= "
    "kappa(t_-; R); with Var_q for Var_p the same of KL(q||p).",
    status=Status.SHARP,
    claims=(
        between(
            at_least(kl, two_atom_kl(heavy, light, R), increasing=("var_p",), decreasing=("oscillation",)),
            at_most(kl, two_atom_kl(light, heavy, R), increasing=("oscillation",)),
            estimate=var_p / 2,
        ),
        between(
            at_least(kl, edge_kl(var_p, low_p), increasing=("low_p",)),
            at_most(kl, edge_kl(var_p, high_p), increasing=("high_p",)),
            estimate=var_p / 2,
        ),
        between(
            at_least(
                kl_reverse,
                two_atom_kl(heavy_q, light_q, R),
                increasing=("var_q",),
                decreasing=("oscillation",),
            ),
            at_most(kl_reverse, two_atom_kl(light_q, heavy_q, R), increasing=("oscillation",)),
            estimate=var_q / 2,
        ),
    ),
    derivation=(
        argument(
            "Let P be the quadratic with P = e^x at b and P = e^x, P' = e^x at c = -v/b. Then e^x - P = "
            "e^xi (x-b)(x-c)^2/6 <= 0 "
            "for x <= b; E P depends on mean and variance only and is the value of the two-point law {b, c}."
        ),
        identity(
            "That law has mean 0 and variance v: masses v/(b^2+v) at b, b^2/(b^2+v) at -v/b",
            _v / (_b**2 + _v) * _b**2 + _b**2 / (_b**2 + _v) * (_v / _b) ** 2,
            _v,
        ),
        identity(
            "and its KL is kappa at span b + v/b",
            two_atom_kl(_v / (_b**2 + _v), _b**2 / (_b**2 + _v), _b + _v / _b),
            edge_kl(_v, _b),
        ),
        argument("F is increasing; b <= b_+ (C0) turns {b_+, -b_-} into t_-, a >= -b_+ turns into t_+."),
        argument("Exchanging p and q turns delta into -delta: R stays, Var_q takes the place of Var_p (D3)."),
    ),
    witnesses=(
        Witness("two atoms, upper one light", mostly_low),
        Witness("two atoms, upper one heavy", mostly_high, side="lower"),
        Witness("two atoms", mostly_high, claim=1),
        Witness("two atoms", mostly_low, side="lower", claim=1),
        Witness("two atoms exchanged", reversed_pair(mostly_low), claim=2),
        Witness("two atoms exchanged", reversed_pair(mostly_high), side="lower", claim=2),
    ),
    limit=expansion(
        "Var_p/2 with skewness b - v/b: kappa of masses u^2/(1+u^2) ... at b = u, v = u^2",
        edge_kl(_u**2, _u),
        _u,
        _u**2 / 2,
    ),
    source="Chebyshev-Markov-Krein; new in this form",
)

THEOREMS = (C0, C1, C2)
