"""Family J, trimming: the oscillation of a core of likely tokens instead of the whole vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most
from theory.formulas.functions.elementary import kl_max
from theory.formulas.symbols import kl, tv
from theory.instances.instance import Instance, adversarial
from theory.proofs.enumerated import on_rows
from theory.proofs.step import argument
from theory.proofs.symbolic import identity
from theory.statements.parameters import (
    core_mass,
    core_mass_perturbed,
    core_oscillation,
    tail_mass,
    tail_mass_perturbed,
    tail_oscillation,
)
from theory.theorems.theorem import Status, Theorem, Witness

Row = Mapping[str, Any]


def _spread(values: list[Any]) -> Any:
    return max(max(values) - min(values), mpf(10) ** -40)


def _split(x: Instance, size: int) -> Row:
    """The core of the ``size`` likeliest tokens."""
    order = sorted(range(len(x.p)), key=lambda k: -x.p[k])
    core, tail = order[:size], order[size:]
    return {
        "kl": x.column("kl"),
        "tv": x.column("tv"),
        "core_mass": mpmath.fsum(x.p[k] for k in core),
        "core_mass_perturbed": mpmath.fsum(x.q[k] for k in core),
        "tail_mass": mpmath.fsum(x.p[k] for k in tail),
        "tail_mass_perturbed": mpmath.fsum(x.q[k] for k in tail),
        "core_oscillation": _spread([x.delta[k] for k in core]),
        "tail_oscillation": _spread([x.delta[k] for k in tail]),
    }


def _splits() -> Iterator[Row]:
    for x in adversarial():
        for size in {1, len(x.p) // 2, len(x.p) - 1} - {0}:
            yield _split(x, size)


def _two_extremal_pairs(x: Any) -> Row:
    """Core of mass 0.7 and tail, each a pair that attains B5 at its own oscillation, offset by 1."""

    def pair(mass: Any, range_: Any) -> list[Any]:
        up = 1 / range_ - 1 / mpmath.expm1(range_)
        return [mass * up, mass * (1 - up)]

    p = pair(mpf("0.7"), x) + pair(mpf("0.3"), x / 2)
    instance = Instance([mpmath.log(a) for a in p], [x, 0, x / 2 + 1, 1])
    return {
        "kl": instance.column("kl"),
        "core_mass": mpmath.fsum(instance.p[:2]),
        "core_mass_perturbed": mpmath.fsum(instance.q[:2]),
        "tail_mass": mpmath.fsum(instance.p[2:]),
        "tail_mass_perturbed": mpmath.fsum(instance.q[2:]),
        "core_oscillation": x,
        "tail_oscillation": x / 2,
    }


_core_kl = at_most(
    kl,
    core_mass * sp.log(core_mass / core_mass_perturbed)
    + tail_mass * sp.log(tail_mass / tail_mass_perturbed)
    + core_mass * kl_max(core_oscillation)
    + tail_mass * kl_max(tail_oscillation),
    increasing=("core_oscillation", "tail_oscillation"),
)
_core_tv = at_most(
    tv,
    core_mass * sp.tanh(core_oscillation / 4)
    + tail_mass * sp.tanh(tail_oscillation / 4)
    + sp.Abs(core_mass - core_mass_perturbed),
    increasing=("core_oscillation", "tail_oscillation"),
)
_p, _q, _c, _d = sp.symbols("p q c d", positive=True)

J5 = Theorem(
    id="J5",
    name="trimmed-core",
    title="Oscillation of a core instead of the whole vocabulary",
    statement="For any set C of tokens, KL(p||q) <= d(p(C)||q(C)) + p(C) KL_max(R_C) + p(C^c) "
    "KL_max(R_{C^c}) with d the binary KL divergence, and TV <= p(C) tanh(R_C/4) + p(C^c) tanh(R_{C^c}/4) "
    "+ |p(C) - q(C)|. Unlikely tail tokens with wild moves cost only their mass.",
    status=Status.SHARP,
    claims=(_core_kl, _core_tv),
    hypotheses=("p, q have full support (finite logits)", "0 < p(C) < 1"),
    derivation=(
        identity(
            "Chain rule: one token of C with conditional masses p/c, q/d",
            _p * sp.log(_p / _q),
            _p * sp.log(_c / _d) + _c * (_p / _c) * sp.log((_p / _c) / (_q / _d)),
        ),
        argument("Sum over C and its complement; each conditional pair has its own oscillation: B5, B1."),
        argument("TV: |p - q| <= p(C) |p_C - q_C| + q_C |p(C) - q(C)| on C, and the same off it."),
        on_rows("both bounds for cores of likely tokens", (_core_kl, _core_tv), _splits),
    ),
    witnesses=(
        Witness(
            "four tokens: core and tail attain B5 at R and R/2",
            values=_two_extremal_pairs,
            parameters=("0.1", "1", "3", "10", "50"),
        ),
    ),
    source="chain rule; B1, B5",
)


THEOREMS = (J5,)
