"""Family E: the amplification depends on the offset of the logits; the centred one does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import equal
from theory.formulas.symbols import parameter, vocabulary
from theory.instances.instance import Instance
from theory.instances.random_vectors import random_vector
from theory.proofs.conclusion import concludes
from theory.proofs.relations import related, simulated
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import symbolic
from theory.statements.e_temperature.amplification import (
    MEAN_STEPS,
    added_up,
    amplification_of,
    amplification_samples,
    large_vocabulary,
    mean_formula,
)
from theory.theorems.theorem import Counterexample, Status, Theorem

V = vocabulary
mean_amplification_centred = parameter(
    "mean_amplification_centred", r"\mathbb{E}A_{2,c}", "the same with logits and noise centred first"
)
norm_sq_centred = parameter("norm_sq_centred", r"\|\bar z\|^2", "squared norm of the centred dense logits")
_x = sp.Symbol("x", positive=True)


def _gauge_limit() -> bool:
    """(1 - cos(z + c 1, z + c 1 + D)) c^2 -> Var_u(D)/2 for V = 3."""
    c = sp.Symbol("c", positive=True)
    z, D = sp.Matrix(sp.symbols("z1:4", real=True)), sp.Matrix(sp.symbols("D1:4", real=True))
    w = z + c * sp.ones(3, 1)
    across = sp.expand((D.T * D)[0] * (w.T * w)[0] - (D.T * w)[0] ** 2)
    orthogonal = sp.cancel(across / sp.expand((w.T * w)[0]) ** 2)
    uniform = sum(x**2 for x in D) / 3 - (sum(D) / 3) ** 2
    return bool(sp.simplify(sp.limit(orthogonal * c**2, c, sp.oo) - uniform) == 0)


def _large_offset() -> Iterator[Relation]:
    rng, offset = np.random.default_rng(53), mpf(10) ** 8
    for size in (2, 3, 6):
        z, D = random_vector(rng, size), random_vector(rng, size, 1e-9)
        pair = Instance(z, D)
        shifted = Instance([x + offset for x in z], D)
        yield amplification_of(shifted) / offset**2, "=", pair.column("var_r") / pair.column("var_u")


E3: Theorem = Theorem(
    id="E3",
    name="amplification-gauge",
    title="The amplification depends on the offset of the logits; centred it does not",
    statement="p and q do not change when every logit is shifted by c, but cos(z,z') does: A grows like "
    "c^2 Var_r(delta)/Var_u(D). Centre z and D (cos becomes Pearson's correlation): the mean second-order "
    "amplification is (1/T^2) [ |z_c|^2 (1 - |r|^2)/(V-2) + 2 Var_r(z)/((V-2)(V-4)) ], about Var_u(z)(1 - "
    "|r|^2)/T^2.",
    status=Status.EXACT,
    hypotheses=("D is isotropic Gaussian for the mean", "V > 4"),
    claims=(equal(mean_amplification_centred, mean_formula(norm_sq_centred, V - 1)),),
    derivation=(
        symbolic(
            "The relative orthogonal part times c^2 tends to Var_u(D) as c grows, V = 3 with symbolic logits",
            _gauge_limit,
        ),
        related("A/c^2 is Var_r/Var_u at c = 10^8, relative 1e-6", _large_offset, tolerance=mpf(10) ** -6),
        argument(
            "In the space orthogonal to the constants, of dimension n = V - 1, E2 applies because M 1 = 0."
        ),
        *MEAN_STEPS[1:],
        concludes("n = V - 1", lambda: E3.claims[0], "upper", added_up(norm_sq_centred, V - 1)),
        simulated("60,000 centred draws at V = 8 and 40", lambda: amplification_samples(True)),
    ),
    limit=symbolic(
        "V -> infinity at fixed Var_u(z): Var_u(z)(1 - |r|^2)/T^2",
        lambda: large_vocabulary(mean_formula(V * _x, V - 1)),
    ),
    source="new",
)


def _offset() -> tuple[Any, Any]:
    z, D = [mpf(1), mpf(0), mpf(-2)], [mpf("0.01"), mpf("-0.02"), mpf("0.005")]
    shifted, plain = (amplification_of(Instance([x + c for x in z], D)) for c in (mpf(100), mpf(0)))
    return shifted, plain


E3x = Theorem(
    id="E3x",
    name="amplification-is-intrinsic",
    title="Folklore: the amplification is a property of the softmax",
    statement="A depends on p and q only. It does not: adding 100 to every logit changes no probability and "
    "multiplies A by thousands. Report the centred amplification.",
    status=Status.FALSE,
    counterexample=Counterexample("z = (1, 0, -2): A after adding 100 to every logit, and before", _offset),
)

THEOREMS = (E3, E3x)
