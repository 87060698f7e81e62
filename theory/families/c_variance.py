"""Family C: bounds by a variance and the range."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.functions import growth, phi, phi_reverse
from theory.steps import argument, expansion, identity
from theory.symbols import cosdist_p, kl, kl_reverse, oscillation, var_p, var_r
from theory.theorem import Status, Theorem, Witness, at_least, at_most, between
from theory.two_atom_laws import Pair, two_atoms

R = oscillation
_s = sp.Symbol("s", positive=True)

VANISHING = mpf(10) ** -30
"""Mass of the vanishing atom in witnesses that only approach their bound."""


def rare_upper(R: Any) -> Pair:
    """p(upper) -> 0: the third cumulant is as large as it can be."""
    return two_atoms(mpmath.log(VANISHING) - R, R)


def rare_lower(R: Any) -> Pair:
    """p(lower) -> 0."""
    return two_atoms(-mpmath.log(VANISHING) + R, R)


_sign = sp.Symbol("x", real=True, nonzero=True)

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
            at_least(
                kl_reverse,
                var_p * phi_reverse(-R),
                increasing=("var_p",),
                decreasing=("oscillation",),
            ),
            at_most(kl_reverse, var_p * phi_reverse(R), increasing=("var_p", "oscillation")),
            estimate=var_p / 2,
        ),
    ),
    derivation=(
        argument("|(log K'')'| <= R (C0), so e^(-sR) <= K''(s)/K''(0) <= e^(sR)."),
        identity(
            "KL: int_0^1 (1-s) e^(sx) ds = phi(x), at x = R and x = -R",
            sp.integrate((1 - _s) * sp.exp(_s * _sign), (_s, 0, 1)),
            phi(_sign),
        ),
        identity(
            "-log cos: int_0^1 s e^(sx) ds + int_1^2 (2-s) e^(sx) ds = ((e^x - 1)/x)^2",
            sp.integrate(_s * sp.exp(_s * _sign), (_s, 0, 1))
            + sp.integrate((2 - _s) * sp.exp(_s * _sign), (_s, 1, 2)),
            growth(_sign) ** 2,
        ),
        identity(
            "KL(q||p): int_0^1 s e^(sx) ds",
            sp.integrate(_s * sp.exp(_s * _sign), (_s, 0, 1)),
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

THEOREMS = (C5,)
