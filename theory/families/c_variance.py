"""Family C: bounds by a variance and the range."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.families.a_identities import Relations, tilted
from theory.functions import growth, phi, phi_growth, phi_reverse
from theory.instances import Instance, moderate, variance
from theory.steps import argument, expansion, identity, sampled
from theory.symbols import (
    cosdist_p,
    hellinger_sq,
    high_p,
    kl,
    kl_reverse,
    low_p,
    oscillation,
    tv,
    var_p,
    var_q,
    var_r,
)
from theory.theorem import Status, Theorem, Witness, at_least, at_most, between
from theory.two_atom_bounds import capped_kl_reverse, capped_log_bc, capped_variance, edge_kl
from theory.two_atom_laws import Pair, two_atoms
from theory.two_atoms import (
    bernoulli_variance,
    t_minus,
    t_plus,
    two_atom_kl,
    two_atom_kl_reverse,
    two_atom_log_bc,
    two_atom_tv,
)

R = oscillation
light, heavy = t_minus(var_p, R), t_plus(var_p, R)
light_r, heavy_r = t_minus(var_r, R), t_plus(var_r, R)

_s = sp.Symbol("s", positive=True)
_sign = sp.Symbol("x", real=True, nonzero=True)
_v, _b, _u = sp.symbols("v b u", positive=True)

VANISHING = mpf(10) ** -30
"""Mass of the vanishing atom in witnesses that only approach their bound."""


def rare_upper(R: Any) -> Pair:
    """p(upper) -> 0: the third cumulant is as large as it can be."""
    return two_atoms(mpmath.log(VANISHING) - R, R)


def rare_lower(R: Any) -> Pair:
    """p(lower) -> 0."""
    return two_atoms(-mpmath.log(VANISHING) + R, R)


def _mostly_low(R: Any) -> Pair:
    """p(upper) = 1/(1 + e^(2R + 1)): even tilting r by 2R leaves the upper atom the lighter one."""
    return two_atoms(-2 * R - 1, R)


def _mostly_high(R: Any) -> Pair:
    """p(upper) = 3/4."""
    return two_atoms(mpmath.log(3), R)


# --------------------------------------------------------------------------------------------------- C0


def _lipschitz(x: Instance) -> Relations:
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
        Witness("two atoms, upper one light", _mostly_low, parameters=("0.1", "1", "3", "10")),
        Witness("two atoms, upper one heavy", _mostly_high, side="lower", parameters=("0.1", "1", "3", "10")),
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
    "kappa(t_-; R).",
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
    ),
    witnesses=(
        Witness("two atoms, upper one light", _mostly_low),
        Witness("two atoms, upper one heavy", _mostly_high, side="lower"),
        Witness("two atoms", _mostly_high, claim=1),
        Witness("two atoms", _mostly_low, side="lower", claim=1),
    ),
    limit=expansion(
        "Var_p/2 with skewness b - v/b: kappa of masses u^2/(1+u^2) ... at b = u, v = u^2",
        edge_kl(_u**2, _u),
        _u,
        _u**2 / 2,
    ),
    source="Chebyshev-Markov-Krein; new in this form",
)

# --------------------------------------------------------------------------------------------------- C3, C4

C3 = Theorem(
    id="C3",
    name="variance-range-lower",
    title="Sharp lower bounds by variance and range",
    statement="With mass t_+ on the upper of two atoms at distance R with variance Var_p, the two-atom "
    "values bound from below: "
    "total variation, KL(q||p), the Jeffreys divergence and -log BC; with Var_r instead, -log cos.",
    status=Status.SHARP,
    claims=(
        at_least(tv, two_atom_tv(heavy, light, R), increasing=("var_p",), decreasing=("oscillation",)),
        at_least(
            kl_reverse,
            two_atom_kl_reverse(heavy, light, R),
            increasing=("var_p",),
            decreasing=("oscillation",),
        ),
        at_least(
            kl + kl_reverse,
            R * two_atom_tv(heavy, light, R),
            increasing=("var_p",),
            decreasing=("oscillation",),
        ),
        at_least(
            hellinger_sq,
            1 - sp.exp(-two_atom_log_bc(heavy, light, R)),
            increasing=("var_p",),
            decreasing=("oscillation",),
        ),
        at_least(
            cosdist_p,
            1 - sp.exp(-two_atom_log_bc(heavy_r, light_r, 2 * R)),
            increasing=("var_r",),
            decreasing=("oscillation",),
        ),
    ),
    derivation=(
        argument("Each of the last four is an integral of K'' against a non-negative kernel on s >= 0 (A1)."),
        argument(
            "Insert C0's lower comparison, which is exactly the K'' of the two-atom law with mass t_+ above."
        ),
        argument(
            "Total variation: J = E_p (L-1) log L <= R TV, because (L-1) log L <= rho_+ (L-1)_+ + rho_- "
            "(1-L)_+ ; so TV >= J/R."
        ),
        sampled(
            "J <= R TV",
            lambda x: [
                (x.column("kl") + x.column("kl_reverse"), "<=", x.column("oscillation") * x.column("tv")),
            ],
        ),
    ),
    witnesses=tuple(
        Witness("two atoms, upper one heavy", _mostly_high, side="lower", claim=k) for k in range(5)
    ),
    source="new",
)

C4 = Theorem(
    id="C4",
    name="variance-range-upper",
    title="Closed upper bounds by variance and range",
    statement="The two-atom values with mass t_- above, continued quadratically once tilting has made the "
    "atoms equal, bound from "
    "above: KL(q||p), -log BC (with Var_p) and -log cos (with Var_r). Exact when u_0 >= R, respectively 2R, "
    "u_0 = log(t_+/t_-).",
    status=Status.SHARP,
    claims=(
        at_most(kl_reverse, capped_kl_reverse(light, heavy, R), increasing=("var_p", "oscillation")),
        at_most(
            hellinger_sq, 1 - sp.exp(-capped_log_bc(light, heavy, R)), increasing=("var_p", "oscillation")
        ),
        at_most(
            cosdist_p,
            1 - sp.exp(-capped_log_bc(light_r, heavy_r, 2 * R)),
            increasing=("var_r", "oscillation"),
        ),
    ),
    derivation=(
        argument(
            "C0's upper comparison v(s) <= (R^2/4) sech^2((u_0 - sR)_+/2), integrated twice, gives the "
            "function K-bar."
        ),
        identity(
            "Below u_0 it is the two-atom cumulant: its second derivative in y = sR is the coin's variance",
            sp.Derivative(sp.log(1 - _s + _s * sp.exp(_u)), _u, 2),
            bernoulli_variance(_s, 1 - _s, _u),
        ),
        argument("Beyond u_0 the second derivative is 1/4; insert into the integrals of A1."),
    ),
    witnesses=tuple(
        Witness(
            "two atoms, upper one light enough: u_0 > 2R",
            _mostly_low,
            claim=k,
            parameters=("0.1", "1", "3", "10"),
        )
        for k in range(3)
    ),
    source="new",
)

# --------------------------------------------------------------------------------------------------- C5

C5 = Theorem(
    id="C5",
    name="estimate-error",
    title="T2 and T3 made two-sided with best constants",
    statement="The ratio of 1 - cos(p,q) to T2's estimate Var_r/2 lies between ((1 - e^-R)/R)^2 and ((e^R "
    "- 1)/R)^2; the ratio "
    "of KL(p||q) to T3's estimate Var_p/2 lies between 2 phi(-R) and 2 phi(R), phi(x) = (e^x - 1 - "
    "x)/x^2. No other functions "
    "of R are better.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(kl, var_p * phi(-R), increasing=("var_p",), decreasing=("oscillation",)),
            at_most(kl, var_p * phi(R), increasing=("var_p", "oscillation")),
            estimate=var_p / 2,
        ),
        between(
            at_least(
                cosdist_p, var_r / 2 * growth(-R) ** 2, increasing=("var_r",), decreasing=("oscillation",)
            ),
            at_most(cosdist_p, var_r / 2 * growth(R) ** 2, increasing=("var_r", "oscillation")),
            estimate=var_r / 2,
        ),
        between(
            at_least(kl_reverse, var_p * phi_reverse(-R), increasing=("var_p",), decreasing=("oscillation",)),
            at_most(kl_reverse, var_p * phi_reverse(R), increasing=("var_p", "oscillation")),
            estimate=var_p / 2,
        ),
    ),
    derivation=(
        argument("|(log K'')'| <= R (C0), so e^(-sR) <= K''(s)/K''(0) <= e^(sR)."),
        identity(
            "KL: int_0^1 (1-s) e^(sx) ds = phi(x), at x = R and x = -R",
            sp.Integral((1 - _s) * sp.exp(_s * _sign), (_s, 0, 1)),
            phi(_sign),
        ),
        identity(
            "-log cos: int_0^1 s e^(sx) ds + int_1^2 (2-s) e^(sx) ds = ((e^x - 1)/x)^2",
            sp.Integral(_s * sp.exp(_s * _sign), (_s, 0, 1))
            + sp.Integral((2 - _s) * sp.exp(_s * _sign), (_s, 1, 2)),
            growth(_sign) ** 2,
        ),
        identity(
            "KL(q||p): int_0^1 s e^(sx) ds",
            sp.Integral(_s * sp.exp(_s * _sign), (_s, 0, 1)),
            phi_reverse(_sign),
        ),
        argument("Upper side of the cosine: 1 - cos <= -log cos."),
        argument(
            "Lower side of the cosine (not implied by the one for -log cos): by C3 cos is at most the "
            "cosine of two atoms with "
            "mass t_+ up; with e = 1 - t, rho = e^-R: 1 - cos >= (1 - cos^2)/2 = t e (1-rho)^2 / (2 (t + "
            "e rho^2)) >= "
            "t e (1-rho)^2 / 2."
        ),
    ),
    witnesses=(
        Witness("two atoms, mass on the upper one -> 0", rare_upper),
        Witness("two atoms, mass on the lower one -> 0", rare_lower, side="lower"),
        Witness("two atoms, mass on the upper one -> 0", rare_upper, claim=1),
        Witness("two atoms, mass on the lower one -> 0", rare_lower, side="lower", claim=1),
        Witness("two atoms, mass on the upper one -> 0", rare_upper, claim=2),
        Witness("two atoms, mass on the lower one -> 0", rare_lower, side="lower", claim=2),
    ),
    limit=expansion("T3's factor 2 phi(R) = 1 + R/3 + R^2/12", 2 * phi(R), R, 1 + R / 3 + R**2 / 12),
    source="new; range-aware self-concordance",
)

THEOREMS = (C0, C1, C2, C3, C4, C5)
