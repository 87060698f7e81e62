"""Family C, continued: bounds by variance and range attained by two atoms; T2 and T3 made two-sided."""

from __future__ import annotations

import sympy as sp

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.functions.elementary import growth, phi, phi_reverse
from theory.formulas.functions.two_atom_bounds import capped_kl_reverse, capped_log_bc
from theory.formulas.functions.two_atoms import (
    bernoulli_variance,
    two_atom_kl_reverse,
    two_atom_log_bc,
    two_atom_tv,
)
from theory.formulas.symbols import cosdist_p, hellinger_sq, kl, kl_reverse, tv, var_p, var_r
from theory.proofs.sampled import sampled
from theory.proofs.step import argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.c_variance.variance import (
    R,
    heavy,
    heavy_r,
    light,
    light_r,
    mostly_high,
    mostly_low,
    rare_lower,
    rare_upper,
)
from theory.theorems.theorem import Status, Theorem, Witness

_s = sp.Symbol("s", positive=True)
_sign = sp.Symbol("x", real=True, nonzero=True)
_u = sp.Symbol("u", positive=True)

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
        Witness("two atoms, upper one heavy", mostly_high, side="lower", claim=k) for k in range(5)
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
            mostly_low,
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

THEOREMS = (C3, C4, C5)
