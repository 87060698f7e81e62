"""Family E: the extreme directions of the amplification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.effects.amplification import largest_covariance_eigenvalue
from theory.formulas.claims import at_least, at_most, between
from theory.formulas.symbols import gini_r, parameter, temperature
from theory.instances.instance import Instance
from theory.instances.random_vectors import dot
from theory.proofs.relations import related, within
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import symbolic
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

T = temperature
top_eigenvalue = parameter("top_eigenvalue", r"\lambda_1", "largest eigenvalue of diag(r) - r r^T")
r_first = parameter("r_first", r"r_{(1)}", "largest entry of r")
r_second = parameter("r_second", r"r_{(2)}", "second largest entry of r")
_lam = sp.Symbol("lambda", positive=True)


def _secular_equation() -> bool:
    """det(diag(r) - r r^T - x) = prod (r_i - x) (1 - sum r_i^2/(r_i - x)) for V = 3."""
    r = sp.symbols("r1:4", positive=True)
    matrix = sp.diag(*r) - sp.Matrix(r) * sp.Matrix(r).T - _lam * sp.eye(3)
    secular = 1 - sum(w**2 / (w - _lam) for w in r)
    return bool(sp.cancel(matrix.det() - sp.prod([w - _lam for w in r]) * secular) == 0)


def _two_forms() -> bool:
    first, second = sp.symbols("r1 r2", positive=True)
    r = (first, second, 1 - first - second)
    left = sum(w**2 / (w - _lam) for w in r) - 1
    return bool(sp.cancel(left - _lam * sum(w / (w - _lam) for w in r)) == 0)


def _spectra() -> Iterator[Relation]:
    rng = np.random.default_rng(54)
    for _ in range(25):
        size = int(rng.integers(2, 7))
        weights = rng.dirichlet(np.full(size, 10 ** rng.uniform(-0.7, 0.7))) + 1e-6
        r = sorted((mpf(float(w)) for w in weights), reverse=True)
        r = [w / mpmath.fsum(r) for w in r]
        with mpmath.workdps(30):
            matrix = mpmath.diag(r) - mpmath.matrix(r) * mpmath.matrix(r).T
            eigenvalue = max(mpmath.eigsy(matrix, eigvals_only=True))
        symbols = {"gini_r": dot(r, r), "r_first": r[0], "r_second": r[1]}
        for left, sign, right in within(E4.claims[0], eigenvalue, **symbols):
            yield left, sign, right + mpf(10) ** -25
        secular = mpf(largest_covariance_eigenvalue([float(w) for w in r]))
        yield abs(secular - eigenvalue), "<=", mpf(10) ** -14


def _amplification(z: list[Any], D: list[Any]) -> Any:
    return Instance(z, D).column("cosdist_p") / Instance(z, D).column("cosdist_z")


def _invisible() -> Iterator[Relation]:
    z, step = [mpf(1), mpf(2), mpf(-1)], mpf("1e-3")
    along = Instance(z, [step * x for x in z])
    yield abs(along.column("cosdist_z")), "<=", mpf(10) ** -100
    yield mpf("1e-9"), "<=", along.column("cosdist_p")
    shifted = Instance(z, [step] * 3)
    yield abs(shifted.column("tv")), "<=", mpf(10) ** -100
    yield mpf("1e-9"), "<=", shifted.column("cosdist_z")
    constant = Instance([mpf(2)] * 3, [step] * 3)  # parallel to a constant z: nothing moves at all
    yield abs(constant.column("cosdist_p")), "<=", mpf(10) ** -100


E4 = Theorem(
    id="E4",
    name="amplification-extremes",
    title="Worst and best directions of the amplification",
    statement="Over all D the amplification has supremum infinity (D parallel to z: a change of "
    "temperature, invisible to cos(z,z')) and infimum 0 (a common shift, invisible to p). Over D orthogonal "
    "to z and to the constants the extremes are |z|^2/T^2 times the extreme eigenvalues of M = diag(r) - r "
    "r^T compressed to that space, at most |z|^2 lambda_1/T^2. lambda_1 is the largest root of sum "
    "r_i^2/(r_i - x) = 1 and lies between max(r_(2), r_(1)(1 - r_(1))) and min(r_(1), 1/2, 1 - |r|^2, 2 "
    "r_(1)(1 - r_(1))).",
    status=Status.SHARP,
    hypotheses=("second order in D", "z is not constant, else D parallel to z is a common shift"),
    claims=(
        between(
            at_least(top_eigenvalue, sp.Max(r_second, r_first * (1 - r_first)), increasing=("r_second",)),
            at_most(
                top_eigenvalue,
                sp.Min(r_first, sp.Rational(1, 2), 1 - gini_r, 2 * r_first * (1 - r_first)),
                decreasing=("gini_r",),
            ),
        ),
    ),
    derivation=(
        symbolic(
            "Matrix determinant lemma: the secular equation, V = 3 with symbolic masses", _secular_equation
        ),
        symbolic("sum r_i^2/(r_i - x) - 1 = x sum r_i/(r_i - x) because sum r = 1, V = 3", _two_forms),
        argument(
            "Interlacing of a rank-one change: r_(2) <= lambda_1 <= r_(1). Gershgorin: row i of M has radius "
            "r_i(1 - r_i). The trace is 1 - |r|^2. Popoviciu: a unit vector has range at most sqrt(2), so "
            "variance at most 1/2. The largest diagonal entry is a lower bound; r(1 - r) is largest at "
            "r_(1) as r_(2) <= 1 - r_(1)."
        ),
        related("The enclosure, and the secular root against a full eigensolver, 25 random r", _spectra),
        related("D = z/1000 leaves cos(z,z') at 1 and moves p; a common shift does the opposite", _invisible),
    ),
    witnesses=(
        Witness(
            "two tokens: lambda_1 = 2 r_1 r_2 = 1 - |r|^2",
            values=lambda x: {
                "top_eigenvalue": 2 * x * (1 - x),
                "r_first": 1 - x,
                "r_second": x,
                "gini_r": x**2 + (1 - x) ** 2,
            },
            parameters=("1e-6", "0.1", "0.5"),
        ),
        Witness(
            "two tokens tied",
            side="lower",
            values=lambda x: {"top_eigenvalue": x, "r_first": x, "r_second": x, "gini_r": 2 * x**2},
            parameters=("0.5",),
        ),
    ),
    source="new; rank-one interlacing",
)


def _unbounded() -> tuple[Any, Any]:
    z = [mpf(1), mpf(2), mpf(-1)]
    across = [mpf(1), mpf(0), mpf(1)]  # orthogonal to z
    D = [mpf("1e-3") * x + mpf("1e-9") * y for x, y in zip(z, across, strict=True)]
    r = Instance(z, D).r
    return _amplification(z, D), dot(z, z) * largest_covariance_eigenvalue([float(w) for w in r])


E4x = Theorem(
    id="E4x",
    name="amplification-is-bounded",
    title="Folklore: the amplification is bounded",
    statement="A <= |z|^2 lambda_1/T^2 for every small D. This holds for D orthogonal to z only: along z "
    "the logit cosine sees nothing while p moves, and A has no bound at all.",
    status=Status.FALSE,
    counterexample=Counterexample("z = (1, 2, -1), D = z/1000 + (1, 0, 1)/10^9, T = 1", _unbounded),
)

THEOREMS = (E4, E4x)
