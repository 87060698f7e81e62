"""Family C, continued: two-point laws for the cosine, total variation by the variance, intervals."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.functions.elementary import growth, gudermann
from theory.formulas.functions.two_atom_bounds import edge_kl_reverse, edge_log_cos, tilt_tv
from theory.formulas.functions.two_atoms import (
    t_minus,
    t_plus,
    two_atom_kl_reverse,
    two_atom_log_bc,
    two_atom_tv,
)
from theory.formulas.symbols import (
    cosdist_p,
    hellinger_sq,
    high_p,
    high_r,
    kl,
    kl_reverse,
    low_p,
    low_r,
    oscillation,
    tv,
    var_p,
    var_r,
)
from theory.instances.instance import Instance, mean
from theory.instances.two_atom_laws import Pair, two_atoms
from theory.proofs.conclusion import concludes
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.theorems.theorem import Counterexample, Edge, Status, Theorem, Witness

R = oscillation
_small = sp.Le(R, sp.log(4))
_u, _t = sp.symbols("u t", positive=True)


def _any_two_atoms(span: Any) -> Pair:
    """p(upper) = 0.3: every two-atom law attains."""
    return two_atoms(mpmath.log(mpf(3) / 7), span)


def _light(span: Any) -> Pair:
    """The upper atom is the lighter one, also after squaring."""
    return two_atoms(mpf(-1), span)


_BEYOND = mpf("1.005")

_ANY = ("0.01", "0.1", "0.5", "1.3")

C6 = Theorem(
    id="C6",
    name="cosine-two-point",
    title="Cosine by variance and extreme values, small oscillation",
    statement="If R <= log 4, -log cos(p,q) lies between its values for the centred two-atom laws with "
    "variance Var_r and an atom at "
    "min delta - E_r delta, respectively max delta - E_r delta. If R <= 2 the same holds for KL(q||p) "
    "with Var_p. Knowing "
    "R only, the upper bound is the two-atom value at t_-.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(cosdist_p, 1 - sp.exp(-edge_log_cos(var_r, low_r)), increasing=("low_r",), when=_small),
            at_most(cosdist_p, 1 - sp.exp(-edge_log_cos(var_r, high_r)), increasing=("high_r",), when=_small),
            estimate=var_r / 2,
        ),
        at_most(
            cosdist_p,
            1 - sp.exp(-two_atom_log_bc(t_minus(var_r, R), t_plus(var_r, R), 2 * R)),
            increasing=("oscillation",),
            when=_small,
        ),
        between(
            at_least(kl_reverse, edge_kl_reverse(var_p, low_p), increasing=("low_p",), when=sp.Le(R, 2)),
            at_most(kl_reverse, edge_kl_reverse(var_p, high_p), increasing=("high_p",), when=sp.Le(R, 2)),
            estimate=var_p / 2,
        ),
        at_most(
            kl_reverse,
            two_atom_kl_reverse(t_minus(var_p, R), t_plus(var_p, R), R),
            increasing=("oscillation",),
            when=sp.Le(R, 2),
        ),
    ),
    derivation=(
        argument(
            "A maximiser of (1/2) log E e^(2x) - log E e^x at given mean, variance and range maximises a "
            "linear functional of "
            "the law, with density Gamma = e^(2x)/(2B) - e^x/A, A = E e^X, B = E e^(2X)."
        ),
        identity(
            "Gamma''' = e^x (4 e^x/B - 1/A)",
            sp.Derivative(sp.exp(2 * _u) / (2 * _t) - sp.exp(_u), _u, 3),
            sp.exp(_u) * (4 * sp.exp(_u) / _t - 1),
        ),
        argument(
            "B/A <= e^b <= 4 e^a when R <= log 4, so Gamma''' >= 0 and Hermite interpolation (C2) makes "
            "two points extremal."
        ),
        argument("KL(q||p): Gamma''' = (e^x/A)(x + 2 - E_q X) >= 0 as E_q X - a <= R <= 2."),
    ),
    witnesses=(
        Witness("two atoms", _any_two_atoms, parameters=_ANY),
        Witness("two atoms", _any_two_atoms, side="lower", parameters=_ANY),
        Witness("two atoms, upper one light", _light, claim=1, parameters=_ANY),
        Witness("two atoms", _any_two_atoms, claim=2, parameters=_ANY),
        Witness("two atoms, upper one light", _light, claim=3, parameters=_ANY),
        Witness("two atoms", _any_two_atoms, side="lower", claim=2, parameters=_ANY),
    ),
    edges=(
        Edge(
            "the proof needs e^R <= 4 (J3: the statement itself seems to hold up to 4.51)",
            lambda: ({"oscillation": _BEYOND * mpmath.log(4)}, mpmath.exp(_BEYOND * mpmath.log(4)), 4),
            claims=(0, 1),
        ),
        Edge(
            "the proof needs E_q X - a <= 2, and E_q X - a may be as large as R (J3: up to 6.07, it seems)",
            lambda: ({"oscillation": 2 * _BEYOND}, 2 * _BEYOND, 2),
            claims=(2, 3),
        ),
    ),
    source="new; corrects the unrestricted two-point statement",
)


def _three_atoms() -> tuple[Any, Any]:
    """-log cos of r = (.8798, .0826, .0376), delta = (0, 2.347, 5), against the two-point value."""
    r = [mpf("0.8798"), mpf("0.0826"), mpf("0.0376")]
    x = Instance([mpmath.log(w) / 2 for w in r], [mpf(0), mpf("2.347"), mpf(5)])
    two_point = edge_log_cos(var_r, high_r)
    from theory.formulas.formula import Formula

    return -mpmath.log1p(-x.column("cosdist_p")), Formula(two_point).exact(**x.columns(("var_r", "high_r")))


C6x = Theorem(
    id="C6x",
    name="folklore-two-point-cosine",
    title="False: the two-point law bounds the cosine at every oscillation",
    statement="As for KL (C2), one expects the two-point law to bound -log cos from above at every "
    "oscillation. Beyond R about 4.51 "
    "three atoms do better.",
    status=Status.FALSE,
    counterexample=Counterexample("r = (.8798, .0826, .0376), delta = (0, 2.347, 5)", _three_atoms),
    source="corrects a natural generalisation",
)

# --------------------------------------------------------------------------------------------------- C7

_light_mass, _heavy_mass = t_minus(var_p, R), t_plus(var_p, R)


def _mean_deviation(x: Instance) -> list[Relation]:
    centre = mean(x.p, x.delta)
    deviation = mean(x.p, [abs(d - centre) for d in x.delta])
    return [(2 * x.column("var_p") / x.column("oscillation"), "<=", deviation)]


C7: Theorem = Theorem(
    id="C7",
    name="tv-variance",
    title="Total variation by variance and range",
    statement="TV is at most half the length of the path from p to q under tilting: (gd(u_0/2) - gd((u_0 "
    "- R)/2))/2 with "
    "u_0 = log(t_+/t_-), continued linearly once R > u_0. Simpler: TV <= sd_p (e^(R/2) - 1)/R. Also "
    "Pinsker's "
    "sqrt(KL/2) and sqrt(1 - e^-KL). Twice Var_p/R is at most the mean absolute deviation of delta.",
    status=Status.VALID,
    claims=(
        at_most(tv, tilt_tv(_light_mass, _heavy_mass, R), increasing=("var_p", "oscillation")),
        at_most(tv, sp.sqrt(var_p) / 2 * growth(R / 2), increasing=("var_p", "oscillation")),
        at_most(tv, sp.sqrt(kl / 2), increasing=("kl",)),
        at_most(tv, sp.sqrt(1 - sp.exp(-kl)), increasing=("kl",)),
        at_most(tv, sp.sqrt(hellinger_sq * (2 - hellinger_sq)), increasing=("hellinger_sq",)),
    ),
    derivation=(
        argument(
            "d p_s/ds = p_s (delta - E_s delta), so TV <= (1/2) int_0^1 E_s|delta - E_s delta| ds <= "
            "(1/2) int_0^1 sqrt(K'')."
        ),
        argument("Insert C0: sqrt(K''(s)) <= (R/2) sech((u_0 - sR)_+/2), and int sech = gd."),
        identity("gd' = sech", sp.Derivative(gudermann(_u), _u), 1 / sp.cosh(_u)),
        identity(
            "The difference without cancellation: tan((gd a - gd b)/2) = sinh((a-b)/2)/cosh((a+b)/2)",
            (sp.tanh(_u / 2) - sp.tanh(_t / 2)) / (1 + sp.tanh(_u / 2) * sp.tanh(_t / 2)),
            sp.sinh((_u - _t) / 2) / sp.cosh((_u + _t) / 2),
        ),
        *(
            concludes(text, lambda number=number: C7.claims[number], "upper", derived)  # type: ignore[misc]
            for number, text, derived in (
                (
                    1,
                    "Simpler: sqrt(K''(s)) <= sd_p e^(sR/2) (C0), integrated",
                    sp.sqrt(var_p) / 2 * sp.integrate(sp.exp(_u * R / 2), (_u, 0, 1)),
                ),
                (
                    3,
                    "Bretagnolle-Huber: sqrt(1 - BC^2) with BC >= e^(-KL/2), Jensen",
                    sp.sqrt(1 - (1 - hellinger_sq) ** 2).subs(hellinger_sq, 1 - sp.exp(-kl / 2)),
                ),
                (4, "Le Cam: sqrt(1 - BC^2)", sp.sqrt(1 - (1 - hellinger_sq) ** 2)),
            )
        ),
        sampled("the mean absolute deviation of delta is at least 2 Var_p/R", _mean_deviation),
    ),
    source="new; Pinsker; Bretagnolle-Huber; Le Cam",
)


def _interior_atoms() -> tuple[Any, Any]:
    """TV of a law with most mass at two interior points, against the two-point value at its variance and
    range.
    """
    tiny = mpf(10) ** -6
    masses = [tiny, (1 - 2 * tiny) / 2, (1 - 2 * tiny) / 2, tiny]
    x = Instance([mpmath.log(w) for w in masses], [mpf(k) / 100 for k in (0, 4, 6, 10)])
    from theory.formulas.formula import Formula

    two_point = Formula(two_atom_tv(_light_mass, _heavy_mass, R))
    return x.column("tv"), two_point.exact(**x.columns(("oscillation", "var_p")))


C7x = Theorem(
    id="C7x",
    name="folklore-two-point-tv",
    title="False: the two-point law bounds total variation by the variance",
    statement="One expects the two-atom law with the same variance and range to have the largest total "
    "variation. It has among the "
    "smallest: laws with interior atoms have a larger mean absolute deviation.",
    status=Status.FALSE,
    counterexample=Counterexample("atoms at 0, .04, .06, .1, the outer two of mass 1e-6", _interior_atoms),
    source="corrects a natural guess",
)

THEOREMS = (C6, C6x, C7, C7x)
