"""Family B, continued: refinements by symmetrised divergences, log-ratio extremes or the top probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most
from theory.formulas.functions.elementary import coth_excess
from theory.formulas.functions.two_atom_bounds import chord_down, chord_kl, chord_tv, chord_up
from theory.formulas.functions.two_atoms import two_atom_kl, two_atom_kl_reverse, two_atom_tv
from theory.formulas.symbols import (
    chi2,
    chi2_reverse,
    kl,
    kl_reverse,
    oscillation,
    p_rest,
    rho_minus,
    rho_plus,
    tv,
)
from theory.instances.instance import Instance
from theory.instances.two_atom_laws import Pair, swap, two_atoms, upper_mass
from theory.proofs.sampled import sampled
from theory.proofs.step import argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.b_oscillation.divergence_families import at
from theory.theorems.theorem import Counterexample, Edge, Status, Theorem, Witness

R = oscillation
x, _k = sp.symbols("x k", positive=True)


# --------------------------------------------------------------------------------------------------- B6


def _broken_symmetry(span: Any) -> Pair:
    """The pair that attains the symmetrised bound: cosh(alpha - beta) = max(1, cosh(R/2)/2)."""
    shift = mpmath.acosh(max(mpf(1), mpmath.cosh(span / 2) / 2))
    rho = span / 2 + shift  # rho_-; the upper mass of the chord law
    up = -mpmath.expm1(-rho) / (mpmath.exp(span - rho) - mpmath.exp(-rho))
    return two_atoms(mpmath.log(up / (1 - up)), span)


_c, _d = sp.symbols("c d", positive=True)

B6 = Theorem(
    id="B6",
    name="chi2-oscillation",
    title="Chi-squared divergences by the oscillation",
    statement="chi^2 in either direction is at most sinh^2(R/2). Their sum is at most 4(cosh(R/2) - 1) "
    "while cosh(R/2) <= 2 and "
    "cosh^2(R/2) beyond: there the extremal pair is no longer symmetric.",
    status=Status.SHARP,
    claims=(
        at_most(chi2, sp.sinh(R / 2) ** 2, increasing=("oscillation",)),
        at_most(chi2_reverse, sp.sinh(R / 2) ** 2, increasing=("oscillation",)),
        at_most(
            chi2 + chi2_reverse,
            8 * sp.sinh(R / 4) ** 2 + sp.Max(sp.cosh(R / 2) - 2, 0) ** 2,
            increasing=("oscillation",),
        ),
    ),
    derivation=(
        identity(
            "chi^2 = e^(D_2) - 1, and B4 at order 2 is 2 log cosh(R/2)",
            sp.exp(2 * sp.log(sp.cosh(R / 2))) - 1,
            sp.sinh(R / 2) ** 2,
        ),
        argument(
            "The sum is B3's form with phi = 8 t^2/(1 - t^2), for which (star) fails beyond tanh^2(R/4) = "
            "1/3."
        ),
        argument("Two atoms give 4 (C - d) d with C = cosh(alpha + beta), d = cosh(alpha - beta) in [1, C]."),
        identity(
            "4(C - d) d = C^2 - (C - 2d)^2: largest at d = max(1, C/2)",
            4 * (_c - _d) * _d,
            _c**2 - (_c - 2 * _d) ** 2,
        ),
        identity("Both branches in one formula, beyond the transition", 4 * (_c - 1) + (_c - 2) ** 2, _c**2),
    ),
    witnesses=(
        Witness("p = (sigma(-R), sigma(R)): q is uniform", upper_mass(lambda r: 1 / (1 + mpmath.exp(r)))),
        Witness("p uniform", lambda r: two_atoms(0, r), claim=1),
        Witness("symmetric up to R = 2.63, then cosh(alpha - beta) = cosh(R/2)/2", _broken_symmetry, claim=2),
    ),
    limit=expansion("R^2/4", sp.sinh(R / 2) ** 2, R, R**2 / 4),
    source="new (symmetrised form)",
)


def _swap_is_not_extremal() -> tuple[Any, Any]:
    """Symmetrised chi-squared of the asymmetric pair, and of the swap pair, at R = 6."""
    best, symmetric = Instance(*_broken_symmetry(mpf(6))), Instance(*swap(mpf(6)))
    left, right = (z.column("chi2") + z.column("chi2_reverse") for z in (best, symmetric))
    return left, right


B6x = Theorem(
    id="B6x",
    name="folklore-swap-extremal",
    title="False: every symmetric divergence is largest at the swap pair",
    statement="By symmetry one expects the swap pair to maximise every symmetric f-divergence at given "
    "oscillation. The "
    "symmetrised chi-squared divergence breaks the symmetry once cosh(R/2) > 2.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "R = 6: the asymmetric pair of B6 beats the swap pair", _swap_is_not_extremal
    ),
    source="corrects a natural guess; see B3 for the condition",
)

# --------------------------------------------------------------------------------------------------- B8, B9

_up, _down = chord_up(rho_minus, rho_plus), chord_down(rho_minus, rho_plus)
_span = rho_minus + rho_plus


def _chord_witness(span: Any) -> Pair:
    """Any two-atom law attains: here p(upper) = 0.3."""
    return two_atoms(mpmath.log(mpf(3) / 7), span)


B8 = Theorem(
    id="B8",
    name="two-sided-ratio",
    title="Bounds by the extreme log-ratios, for known p and q",
    statement="With m = e^(-rho_-) and M = e^(rho_+), every f-divergence is at most its value for the "
    "two-atom law whose ratio "
    "q/p takes the values m and M: TV <= (1-m)(M-1)/(M-m), chi^2(q||p) <= (1-m)(M-1), and both KL "
    "divergences.",
    status=Status.SHARP,
    claims=(
        at_most(tv, chord_tv(rho_minus, rho_plus), increasing=("rho_minus", "rho_plus")),
        at_most(kl, chord_kl(rho_minus, rho_plus), increasing=("rho_minus", "rho_plus")),
        at_most(kl_reverse, chord_kl(rho_plus, rho_minus), increasing=("rho_minus", "rho_plus")),
        at_most(
            chi2,
            (1 - sp.exp(-rho_minus)) * (sp.exp(rho_plus) - 1),
            increasing=("rho_minus", "rho_plus"),
        ),
    ),
    derivation=(
        argument(
            "E_p L = 1 for L = q/p in [m, M]; the chord of a convex f gives E f(L) <= [(M-1) f(m) + (1-m) "
            "f(M)]/(M-m)."
        ),
        identity("Its masses sum to one", _up + _down, sp.Integer(1)),
        identity("and give total variation", two_atom_tv(_up, _down, _span), chord_tv(rho_minus, rho_plus)),
        sampled(
            "and the two KL divergences",
            lambda z: [
                (
                    at(two_atom_kl(_up, _down, _span), **z.columns(("rho_minus", "rho_plus"))),
                    "=",
                    at(chord_kl(rho_minus, rho_plus), **z.columns(("rho_minus", "rho_plus"))),
                ),
                (
                    at(two_atom_kl_reverse(_up, _down, _span), **z.columns(("rho_minus", "rho_plus"))),
                    "=",
                    at(chord_kl(rho_plus, rho_minus), **z.columns(("rho_minus", "rho_plus"))),
                ),
            ],
        ),
    ),
    witnesses=tuple(Witness("any two-atom law", _chord_witness, claim=k) for k in range(4)),
    source="Rukhin, Simic, Binette",
)

_rest, _top = p_rest, 1 - p_rest
_heavy = sp.Rational(1, 2) - coth_excess(R / 2) / R


def _peaked(span: Any) -> Pair:
    """A confident step: p_max = 1 - eta with eta well below sigma(-R/2)."""
    return two_atoms(-span - 3, span)


def _peaked_down(span: Any) -> Pair:
    """The same mass, delta = R on the top token only."""
    return two_atoms(span + 3, span)


def _beyond(mass: Callable[[Any], Any], quantity: str, claim: int) -> tuple[Mapping[str, Any], Any, Any]:
    """R = 1, eta 0.2 % above the worst mass, all of delta on an event of that mass."""
    span = mpf(1)
    worst = mass(span)
    rest = worst * mpf("1.002")
    x = Instance([mpmath.log(1 - rest), mpmath.log(worst), mpmath.log(rest - worst)], [mpf(0), span, mpf(0)])
    values = {"p_rest": rest, "oscillation": span}
    bound = B9.claims[claim].upper
    assert bound is not None
    return values, x.column(quantity), bound.exact(**values)


B9 = Theorem(
    id="B9",
    name="peaked-oscillation",
    title="Confident steps: bounds by the oscillation and the largest probability",
    statement="With p_max = 1 - eta: if eta <= sigma(-R/2) then TV <= sigma(logit eta + R) - eta; if eta "
    "<= 1/R - 1/(e^R - 1) then KL(p||q) is at most the two-atom value kappa(eta; R). At p_max = 0.99 and R "
    "= 3 total variation is at most 0.159 instead of 0.635.",
    status=Status.SHARP,
    claims=(
        at_most(
            tv,
            two_atom_tv(_rest, _top, R),
            increasing=("oscillation", "p_rest"),
            when=sp.Le(_rest * (1 + sp.exp(R / 2)), 1),
        ),
        at_most(
            kl,
            two_atom_kl(_rest, _top, R),
            increasing=("oscillation", "p_rest"),
            when=sp.Le(_rest, _heavy),
        ),
    ),
    derivation=(
        argument("The probability of an event takes no value strictly between eta and 1 - eta."),
        identity(
            "sigma(l + R) - sigma(l) is symmetric about l = -R/2",
            1 / (1 + sp.exp(-(x + R / 2))) - 1 / (1 + sp.exp(-(x - R / 2))),
            1 / (1 + sp.exp(-(-x + R / 2))) - 1 / (1 + sp.exp(-(-x - R / 2))),
        ),
        argument(
            "It falls on both sides (B1), so with logit eta <= -R/2 the worst admissible event has p(A) = "
            "eta."
        ),
        argument(
            "KL(p||.) is convex in delta: its maximum over [0,R]^V is at delta in {0,R}^V, that is max_A "
            "kappa(p(A); R)."
        ),
        argument(
            "kappa is concave in t with its maximum at t* <= 1/2 (B5): the worst admissible mass is eta "
            "or 1 - eta."
        ),
        identity(
            "It is eta: g(t) = kappa(t) - kappa(1 - t) vanishes at 0 and at 1/2, and with k = e^R, m = k - 1",
            sp.Derivative(
                sp.log(1 + x * (_k - 1)) - sp.log(1 + (1 - x) * (_k - 1)) + (1 - 2 * x) * sp.log(_k), (x, 2)
            ),
            (_k - 1) ** 2 / (_k - x * (_k - 1)) ** 2 - (_k - 1) ** 2 / (1 + x * (_k - 1)) ** 2,
        ),
        argument("1 + t m < k - t m for t < 1/2, so g is concave there and g >= 0."),
    ),
    witnesses=(
        Witness("delta = R on everything but the top token", _peaked, parameters=("0.1", "1", "3", "10")),
        Witness("the same", _peaked, claim=1, parameters=("0.1", "1", "3", "10")),
    ),
    edges=(
        Edge(
            "eta just above sigma(-R/2): an event of that mass, inside it, has the larger TV of B1",
            lambda: _beyond(lambda R: 1 / (1 + mpmath.exp(R / 2)), "tv", 0),
        ),
        Edge(
            "eta just above 1/R - 1/(e^R - 1): an event of that mass has the larger KL of B5",
            lambda: _beyond(lambda R: 1 / R - 1 / mpmath.expm1(R), "kl", 1),
            claims=(1,),
        ),
    ),
    source="new",
)

THEOREMS = (B6, B6x, B8, B9)
