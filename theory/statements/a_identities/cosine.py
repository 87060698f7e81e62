"""Family A: exact identities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import Claim, at_least, at_most, between
from theory.formulas.symbols import cosdist_z, kl, kl_reverse, orthogonal_sq, parallel
from theory.instances.instance import Instance, adversarial, cumulant, mean, softmax, tilted, variance
from theory.proofs.conclusion import concludes
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.shared_steps import cosine_as_moments
from theory.theorems.theorem import Edge, Status, Theorem, Witness

_s = sp.Symbol("s", positive=True)
_K = sp.Function("K")
_a, _b = parallel, sp.Symbol("b", positive=True)
_x = sp.Symbol("x", positive=True)


def _cumulant_identities(x: Instance) -> list[Relation]:
    K1, m0, m1 = cumulant(x.p, x.delta), mean(x.p, x.delta), mean(x.q, x.delta)
    return [
        (x.column("kl"), "=", K1 - m0),
        (x.column("kl_reverse"), "=", m1 - K1),
        (x.column("kl") + x.column("kl_reverse"), "=", m1 - m0),
    ]


def _integral_forms(x: Instance) -> list[Relation]:
    def K2(s: Any) -> Any:
        return variance(tilted(x, s), x.delta)

    with mpmath.workdps(30):
        return [
            (mpmath.quad(lambda s: (1 - s) * K2(s), [0, 0.5, 1]), "=", x.column("kl")),
            (mpmath.quad(lambda s: s * K2(s), [0, 0.5, 1]), "=", x.column("kl_reverse")),
        ]


def _a_few() -> list[Instance]:
    spread = [
        x for x in adversarial() if mpf("0.05") < x.column("oscillation") <= 3 and x.column("var_p") > 1e-6
    ]
    return spread[::6]


A1 = Theorem(
    id="A1",
    name="cumulant-identities",
    title="Both KL divergences are integrals of one variance function",
    statement="With K(s) = log E_p e^(s delta): KL(p||q) = K(1) - K'(0), KL(q||p) = K'(1) - K(1), and "
    "KL(p||q) = int_0^1 (1-s) K''(s) ds, KL(q||p) = int_0^1 s K''(s) ds, their sum = int_0^1 K''(s) ds, "
    "where K''(s) is the variance of delta under p tilted by e^(s delta).",
    status=Status.EXACT,
    claims=(Claim(kl), Claim(kl_reverse)),
    derivation=(
        argument("log(q_i/p_i) = delta_i - K(1); take the mean under p and under q."),
        sampled("KL(p||q) = K(1) - K'(0) and KL(q||p) = K'(1) - K(1)", _cumulant_identities),
        identity(
            "Taylor's remainder: d/ds [(1-s) K'(s) + K(s)] = (1-s) K''(s)",
            sp.diff((1 - _s) * sp.diff(_K(_s), _s) + _K(_s), _s),
            (1 - _s) * sp.diff(_K(_s), _s, 2),
        ),
        identity(
            "and d/ds [s K'(s) - K(s)] = s K''(s)",
            sp.diff(_s * sp.diff(_K(_s), _s) - _K(_s), _s),
            _s * sp.diff(_K(_s), _s, 2),
        ),
        sampled("Both integrals by quadrature", _integral_forms, instances=_a_few, tolerance=mpf(10) ** -12),
    ),
    source="exponential families; paper eq. 22",
)

A3 = Theorem(
    id="A3",
    name="cosine-identity",
    title="The cosine is a Bhattacharyya coefficient at half the temperature",
    statement="-log cos(p,q) = K_r(2)/2 - K_r(1); the cosine at temperature T is the Bhattacharyya "
    "coefficient of the same "
    "logits at T/2; the tangent of the angle is the coefficient of variation of e^delta under r.",
    status=Status.EXACT,
    derivation=(
        argument(
            "sum pq = sum p^2 e^delta / Z and |q|^2 = sum p^2 e^(2 delta) / Z^2; divide, the Z cancels."
        ),
        cosine_as_moments,
        sampled("cos(p,q) = sum sqrt(r r_q), r_q proportional to q^2", lambda x: _half_temperature(x)),
        sampled("tan^2 of the angle = Var_r(e^delta)/(E_r e^delta)^2", lambda x: _tangent(x)),
    ),
    source="new",
)


def _half_temperature(x: Instance) -> list[Relation]:
    r_q = softmax([2 * (z + d) for z, d in zip(x.z, x.delta, strict=True)])
    bc = mpmath.fsum(mpmath.sqrt(a * b) for a, b in zip(x.r, r_q, strict=True))
    return [(1 - x.column("cosdist_p"), "=", bc)]


def _tangent(x: Instance) -> list[Relation]:
    top = max(x.delta)
    y = [mpmath.exp(d - top) for d in x.delta]
    cosine = 1 - x.column("cosdist_p")
    return [((1 - cosine) * (1 + cosine) / cosine**2, "=", variance(x.r, y) / mean(x.r, y) ** 2)]


_length = sp.sqrt((1 + _a) ** 2 + orthogonal_sq)


def _orthogonal_change(size: Any) -> tuple[list[Any], list[Any]]:
    """A change of relative size ``size`` orthogonal to the logits."""
    return [mpf(1), mpf(0)], [mpf(0), mpf(size)]


def _beside_doubling(size: Any) -> tuple[list[Any], list[Any]]:
    return [mpf(1), mpf(0)], [mpf(1), size]


def _turned_round() -> tuple[Mapping[str, Any], Any, Any]:
    a, b_sq = mpf("-1.005"), mpf("1e-6")
    return {"parallel": a}, 1 - (1 + a) / mpmath.sqrt((1 + a) ** 2 + b_sq), b_sq / (2 * (1 + a) ** 2)


A6: Theorem = Theorem(
    id="A6",
    name="vector-cosine",
    title="Theorem 1 exactly: cosine distance from parallel and orthogonal part",
    statement="With a the signed parallel part and b the orthogonal part of the change, both relative to "
    "the vector's length, "
    "1 - cos = 1 - (1+a)/sqrt((1+a)^2 + b^2), which is at least b^2/(2((1+a)^2 + b^2)), and when 1 + a > 0 "
    "at most b^2/(2(1+a)^2). "
    "T1 keeps only b^2/2: at a = 1 it is four times too large, at a = -1/2 four times too small.",
    status=Status.SHARP,
    hypotheses=("the vector is not zero", "upper side: 1 + a > 0"),
    claims=(
        between(
            at_least(
                cosdist_z,
                orthogonal_sq / (2 * ((1 + _a) ** 2 + orthogonal_sq)),
                increasing=("orthogonal_sq",),
            ),
            at_most(
                cosdist_z,
                orthogonal_sq / (2 * (1 + _a) ** 2),
                increasing=("orthogonal_sq",),
                decreasing=("parallel",),
                when=sp.Gt(1 + _a, 0),
            ),
            estimate=orthogonal_sq / 2,
        ),
    ),
    derivation=(
        identity(
            "1 - x/s = b^2/(s (s + x)) with s^2 = x^2 + b^2: no cancellation for x > 0",
            1 - _x / sp.sqrt(_x**2 + _b**2),
            _b**2 / (sp.sqrt(_x**2 + _b**2) * (sp.sqrt(_x**2 + _b**2) + _x)),
        ),
        argument("x <= s gives s(s+x) <= 2 s^2 = 2(x^2 + b^2), and s(s+x) >= 2 x^2 for x > 0."),
        concludes(
            "b^2/(2 s^2) below",
            lambda: A6.claims[0],
            "lower",
            (_b**2 / (2 * (_x**2 + _b**2))).subs({_x: 1 + _a, _b: sp.sqrt(orthogonal_sq)}),
        ),
        sampled("1 - cos = 1 - (1+a)/sqrt((1+a)^2 + b^2)", lambda x: _vector_cosine(x)),
    ),
    witnesses=(
        Witness(
            "a small orthogonal change: both sides meet", _orthogonal_change, parameters=("1e-4", "1e-6")
        ),
        Witness("a small orthogonal change", _orthogonal_change, side="lower", parameters=("1e-4", "1e-6")),
        Witness("the same beside a doubling", _beside_doubling, parameters=("1e-4", "1e-6")),
        Witness("the same beside a doubling", _beside_doubling, side="lower", parameters=("1e-4", "1e-6")),
    ),
    edges=(Edge("a vector turned round, 1 + a < 0: 1 - cos is above 1", _turned_round),),
    limit=expansion(
        "T1 is the second order in b at a = 0", 1 - 1 / sp.sqrt(1 + _b**2), _b, _b**2 / 2 - 3 * _b**4 / 8
    ),
    source="elementary geometry; makes the paper's Theorem 1 exact",
)


def _vector_cosine(x: Instance) -> list[Relation]:
    a, b2 = x.column("parallel"), x.column("orthogonal_sq")
    return [(x.column("cosdist_z"), "=", 1 - (1 + a) / mpmath.sqrt((1 + a) ** 2 + b2))]


THEOREMS = (A1, A3, A6)
