"""Family J, privacy: drift bounds and differential privacy are one subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf
from sympy.codegen.cfunctions import expm1

from theory.formulas.claims import at_most
from theory.formulas.symbols import oscillation
from theory.instances.instance import Instance, adversarial
from theory.instances.two_atom_laws import two_atoms
from theory.proofs.enumerated import on_rows
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.parameters import epsilon, privacy_delta
from theory.theorems.theorem import Edge, Status, Theorem, Witness

R = oscillation
Row = Mapping[str, Any]


def _curve(x: Instance, loss: Any) -> Row:
    grow = mpmath.exp(loss)
    excess = [max(b - grow * a, mpf(0)) for a, b in zip(x.p, x.q, strict=True)]
    return {"privacy_delta": mpmath.fsum(excess), "epsilon": loss, "oscillation": x.column("oscillation")}


def _curves() -> Iterator[Row]:
    for x in adversarial():
        for share in ("0", "0.2", "0.5", "0.9"):
            yield _curve(x, mpf(share) * x.column("oscillation"))


def _best_pair(x: Any) -> Row:
    """Two atoms whose q/p takes the values m and m e^R, m = e^((epsilon-R)/2), at epsilon = R/3."""
    least = mpmath.exp(-x / 3)
    up = (1 - least) / (least * mpmath.expm1(x))
    return _curve(Instance(*two_atoms(mpmath.log(up) - mpmath.log(1 - up), x)), x / 3)


def _renyi(x: Instance) -> list[Relation]:
    range_, relations = x.column("oscillation"), []
    for order in (mpf(1) / 2, mpf(2), mpf(5)):
        for a, b in ((x.p, x.q), (x.q, x.p)):
            power = mpmath.fsum(c**order * d ** (1 - order) for c, d in zip(a, b, strict=True))
            relations.append((mpmath.log(power) / (order - 1), "<=", order * range_**2 / 8))
    relations += [(x.column("rho_plus"), "<=", range_), (x.column("rho_minus"), "<=", range_)]
    return relations


_delta_curve = at_most(
    privacy_delta,
    expm1(-(R - epsilon) / 2) ** 2 / -expm1(-R),
    increasing=("oscillation",),
    decreasing=("epsilon",),
    when=sp.Le(epsilon, R),
)


def _private() -> tuple[Row, Any, Any]:
    values = {"epsilon": mpf("2.01"), "oscillation": mpf(2)}
    assert _delta_curve.upper is not None
    return values, _delta_curve.upper.exact(**values), mpf(0)


J7 = Theorem(
    id="J7",
    name="privacy-curve",
    title="Drift is privacy loss: the bounded-range dictionary",
    statement="Sampling a token is an exponential mechanism with bounded range R: pure privacy loss below "
    "R, Renyi divergence D_a <= a R^2/8 (zero-concentrated privacy R^2/8), and max_A Q(A) - e^eps P(A) <= "
    "(e^(R/2) - e^(eps/2))^2/(e^R - 1) for 0 <= eps <= R, which is tanh(R/4) at eps = 0. For n tokens the "
    "sharp curve is f_n of J2.",
    status=Status.SHARP,
    claims=(_delta_curve,),
    derivation=(
        argument("The gain of one step from likelihood ratio e^eps is J2's, maximal at t = e^((R+eps)/2)."),
        identity(
            "the value of J2 in a form without overflow",
            (sp.exp(R / 2) - sp.exp(epsilon / 2)) ** 2 / (sp.exp(R) - 1),
            _delta_curve.upper.expression if _delta_curve.upper else sp.nan,
        ),
        identity("at eps = 0 it is tanh(R/4)", (sp.exp(R / 2) - 1) ** 2 / (sp.exp(R) - 1), sp.tanh(R / 4)),
        on_rows("the curve at eps = 0, R/5, R/2, 9R/10", (_delta_curve,), _curves),
        sampled("D_a <= a R^2/8 for a = 1/2, 2, 5, and log ratios within R", _renyi),
    ),
    witnesses=(Witness("two atoms with q/p = e^(-R/3) and e^(2R/3), eps = R/3", values=_best_pair),),
    edges=(
        Edge("for eps > R the curve is 0, and the formula is not: it would no longer be attained", _private),
    ),
    limit=expansion("R/4 to leading order at eps = 0", (sp.exp(R / 2) - 1) ** 2 / (sp.exp(R) - 1), R, R / 4),
    source="McSherry and Talwar 2007; Dong, Durfee, Rogers 2020",
)

THEOREMS = (J7,)
