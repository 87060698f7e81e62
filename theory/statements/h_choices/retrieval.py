"""Family H: retrieval rankings, random perturbations on an option set, truncated sampling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
import torch
from mpmath import mpf

from theory.arrays import Array
from theory.effects.options import expected_oscillation, kept_by_top_k, support_mismatch
from theory.formulas.claims import at_least, at_most, equal
from theory.formulas.symbols import parameter
from theory.instances.instance import Number, moderate
from theory.instances.random_vectors import angle, random_vector, zipf
from theory.instances.two_atom_laws import swap
from theory.proofs.relations import related, simulated, within
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.statements.parameters import noise
from theory.statements.shared_steps import Instance
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

lead = parameter("lead", r"\theta(e,b)-\theta(e,a)", "dense angle to b less dense angle to a", positive=False)
lead_after = parameter(
    "lead_after", r"\theta(e',b')-\theta(e',a')", "the same after the change", positive=False
)
query_move = parameter("query_move", r"\eta_e", "angle by which the query moves")
first_move = parameter("first_move", r"\eta_a", "angle by which document a moves")
second_move = parameter("second_move", r"\eta_b", "angle by which document b moves")


def _random_triples() -> Iterator[Relation]:
    rng = np.random.default_rng(74)
    for _ in range(80):
        scale = float(10 ** rng.uniform(-2, 0))
        e, a, b = (random_vector(rng, 4) for _ in range(3))
        moved = [[x + y for x, y in zip(v, random_vector(rng, 4, scale), strict=True)] for v in (e, a, b)]
        symbols = {
            "lead": angle(e, b) - angle(e, a),
            "query_move": angle(e, moved[0]),
            "first_move": angle(a, moved[1]),
            "second_move": angle(b, moved[2]),
        }
        yield from within(H4.claims[0], angle(moved[0], moved[2]) - angle(moved[0], moved[1]), **symbols)


def _in_the_plane(x: Number) -> dict[str, Number]:
    """Query turns by x towards b, b by 2x towards the query, a by 3x away; all in one plane."""
    before = {"e": mpf(0), "a": mpf("-0.3"), "b": mpf("0.5")}
    after = {"e": x, "a": before["a"] - 3 * x, "b": before["b"] - 2 * x}

    def separation(turns: dict[str, Number], other: str) -> Number:
        return angle(*([mpmath.cos(turns[k]), mpmath.sin(turns[k])] for k in ("e", other)))

    return {
        "lead": separation(before, "b") - separation(before, "a"),
        "lead_after": separation(after, "b") - separation(after, "a"),
        "query_move": x,
        "first_move": 3 * x,
        "second_move": 2 * x,
    }


H4 = Theorem(
    id="H4",
    name="retrieval-ranking",
    title="Retrieval: when a ranking survives",
    statement="Document a stays nearer to the query e than document b if theta(e,b) - theta(e,a) > 2 eta_e "
    "+ eta_a + eta_b, where angles are measured on the dense embeddings and eta are the angles by which "
    "query and documents move; 2 eta_e if only the query moves. The angle is 2 arcsin sqrt((1 - cos)/2).",
    status=Status.SHARP,
    hypotheses=("embeddings are not 0", "ranking by cosine similarity"),
    claims=(
        at_least(
            lead_after,
            lead - 2 * query_move - first_move - second_move,
            increasing=("lead",),
            decreasing=("query_move", "first_move", "second_move"),
        ),
    ),
    derivation=(
        argument("The angle is a metric on the sphere: each angle changes by at most eta_e + eta_document."),
        identity(
            "1 - cos t = 2 sin^2(t/2), the form that is accurate for small angles",
            1 - sp.cos(query_move),
            2 * sp.sin(query_move / 2) ** 2,
        ),
        related("80 random triples in four dimensions", _random_triples),
    ),
    witnesses=(
        Witness(
            "one plane: the query turns to b, b to the query, a away",
            side="lower",
            values=_in_the_plane,
            parameters=("1e-9", "0.01", "0.04"),
        ),
    ),
    source="spherical triangle inequality",
)

gini_options = parameter("gini_options", r"\|p_S\|^2", "sum of squared option probabilities")
mean_var_options = parameter(
    "mean_var_options", r"\mathbb{E}\,\mathrm{Var}_{p_S}", "mean of the variance of delta under the options"
)


def _known_ranges() -> Iterator[Relation]:
    for count, exact in ((2, 2 / mpmath.sqrt(mpmath.pi)), (3, 3 / mpmath.sqrt(mpmath.pi))):
        yield abs(mpf(expected_oscillation(count)) - exact), "<=", mpf(10) ** -12
    for count, low, high in ((4, "2.058", "2.060"), (32_000, "8.25", "8.26"), (151_936, "8.94", "8.96")):
        value = mpf(expected_oscillation(count))
        yield mpf(low), "<=", value
        yield value, "<=", mpf(high)


def _option_noise() -> Iterator[tuple[Array, float]]:
    rng, p, tau = np.random.default_rng(75), zipf(50), 0.6
    chosen = np.array([3, 10, 20, 40])
    part = p[chosen] / p[chosen].sum()
    delta = tau * rng.normal(size=(60_000, 50))[:, chosen]
    predicted = H5.claims[0].bounds[0](noise=tau, gini_options=float(part @ part))
    yield (delta * delta) @ part - (delta @ part) ** 2, float(predicted)
    yield np.ptp(delta, axis=1), tau * expected_oscillation(4)


H5 = Theorem(
    id="H5",
    name="noise-on-options",
    title="Random perturbations on an option set: the oscillation shrinks, not the variance",
    statement="For independent noise E Var_{p_S} = tau^2(1 - |p_S|^2), against tau^2(1 - |p|^2) on the "
    "vocabulary: nothing makes it smaller on S. What shrinks is the oscillation: for Gaussian noise E R/tau "
    "is 1.13 for 2 options, 2.06 for 4, and 8.26 to 9.18 for vocabularies of 32,000 to 262,144, so "
    "certificates by R are four times better on 4 options.",
    status=Status.EXACT,
    hypotheses=("entries of delta independent, mean 0, variance tau^2", "the oscillation: Gaussian"),
    claims=(equal(mean_var_options, noise**2 * (1 - gini_options)),),
    derivation=(
        argument("F1 for the renormalised weights on S: the entries of delta on S are independent too."),
        argument("E R = int [1 - Phi(x)^k - (1 - Phi(x))^k] dx over the line."),
        related("Ranges of 2, 3 (closed forms), 4, 32,000 and 151,936 Gaussians", _known_ranges),
        simulated("Variance and range of four options out of 50, 60,000 draws", _option_noise),
    ),
    source="F1; order statistics",
)

H5x = Theorem(
    id="H5x",
    name="options-have-less-variance",
    title="Folklore: random noise has less variance on a few options than on the vocabulary",
    statement="E Var_{p_S} <= E Var_p. On the contrary, for a confident model the vocabulary's variance is "
    "small because one token has nearly all weight, and the options' is not.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "p = (.98, .01, .01), S = {2, 3}, tau = 1: 1 - |p_S|^2 against 1 - |p|^2",
        lambda: (mpf(1) / 2, 1 - mpf("0.98") ** 2 - 2 * mpf("0.01") ** 2),
    ),
)

tv_truncated = parameter(
    "tv_truncated", r"\mathrm{TV}(p_S,q_{S'})", "total variation of the truncated samplers"
)
oscillation_kept = parameter(
    "oscillation_kept", "R_S", "oscillation over the tokens that the dense model keeps"
)
mass_shared = parameter("mass_shared", r"q(S\cap S')", "perturbed probability of the tokens that both keep")
mass_larger = parameter(
    "mass_larger", r"\max(q(S),q(S'))", "larger perturbed probability of the two kept sets"
)


def _truncated(weights: list[Number], kept: list[int]) -> list[Number]:
    total = mpmath.fsum(weights[k] for k in kept)
    return [w / total if k in kept else mpf(0) for k, w in enumerate(weights)]


def _tv(p: list[Number], q: list[Number]) -> Number:
    return mpmath.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def _top_k_sets(x: Instance) -> Iterator[Relation]:
    size = len(x.p)
    for count in range(1, size + 1):
        kept, kept_q = (
            sorted(range(size), key=lambda k, w=w: (-w[k], k))[:count]  # type: ignore[misc]
            for w in (x.p, x.q)
        )
        shared = [k for k in kept if k in kept_q]
        masses = [mpmath.fsum(x.q[k] for k in part) for part in (shared, kept, kept_q)]
        mismatch = 1 - masses[0] / max(masses[1:])
        same_law = _tv(_truncated(x.q, kept), _truncated(x.q, kept_q))
        yield abs(same_law - mismatch), "<=", mpf(10) ** -100
        inside = [x.delta[k] for k in kept]
        symbols = {
            "oscillation_kept": max(inside) - min(inside),
            "mass_shared": masses[0],
            "mass_larger": max(masses[1:]),
        }
        total = _tv(_truncated(x.p, kept), _truncated(x.q, kept_q))
        for left, sign, right in within(H6.claims[0], total, **symbols):
            yield left, sign, right + mpf(10) ** -100


def _one_support_inside() -> Iterator[Relation]:
    """S = {1} inside S' = {1, 2}: KL(p_S||q_S') = -log(q_1/(q_1 + q_2)) is finite, the reverse is not."""
    q = [mpf("0.6"), mpf("0.4")]
    p, q_kept = _truncated([mpf("0.7"), mpf("0.3")], [0]), _truncated(q, [0, 1])
    forward = mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q_kept, strict=True) if a > 0)
    yield forward, "=", -mpmath.log(mpf("0.6"))
    yield mpf(1), "=", mpf(int(any(b > 0 and a == 0 for a, b in zip(p, q_kept, strict=True))))


H6 = Theorem(
    id="H6",
    name="truncated-sampling",
    title="Top-k and top-p sampling: two supports",
    statement="Let the dense model keep S and the perturbed one S'. Then TV(p_S, q_S') <= tanh(R_S/4) + 1 - "
    "q(S and S')/max(q(S), q(S')); the second part is exactly TV(q_S, q_S'). R is infinite as soon as S and "
    "S' differ, KL(p_S||q_S') only if a token of S is not in S': S = {1} in S' = {1, 2} with q = (.6, .4) "
    "gives log(1/.6).",
    status=Status.VALID,
    claims=(
        at_most(
            tv_truncated,
            sp.tanh(oscillation_kept / 4) + 1 - mass_shared / mass_larger,
            increasing=("oscillation_kept", "mass_larger"),
            decreasing=("mass_shared",),
        ),
    ),
    derivation=(
        argument("Triangle inequality through q_S; B1 for p_S and q_S, whose oscillation is R_S."),
        argument(
            "1 - TV is the sum of minima, min(q/q(S), q/q(S')) = q/max(q(S), q(S')) on shared tokens, else 0."
        ),
        sampled(
            "All top-k sets of every instance: the identity and the bound", _top_k_sets, instances=moderate
        ),
        related("KL is finite where S is a part of S'", _one_support_inside),
    ),
    witnesses=(
        Witness(
            "S = S' = everything: the swap pair",
            values=lambda R: {
                "tv_truncated": Instance(*swap(R)).column("tv"),
                "oscillation_kept": R,
                "mass_shared": mpf(1),
                "mass_larger": mpf(1),
            },
        ),
    ),
    source="new",
)


def _greedy_at_a_tie() -> tuple[Any, Any]:
    z = torch.tensor([1.0, 1.0 + 1e-9], dtype=torch.float64)
    p, q = z.softmax(-1), z.flip(-1).softmax(-1)
    moved = support_mismatch(q, kept_by_top_k(p, 1), kept_by_top_k(q, 1))
    return mpf(float(moved)), mpmath.tanh(mpf(2e-9) / 4)


H6x = Theorem(
    id="H6x",
    name="oscillation-controls-truncation",
    title="Folklore: a small oscillation keeps truncated sampling stable",
    statement="TV(p_S, q_S') <= tanh(R/4), as without truncation. At a tie the kept set jumps: greedy "
    "decoding (top-1) can change completely however small R is.",
    status=Status.FALSE,
    counterexample=Counterexample("top-1 of z = (1, 1 + 1e-9), swapped: R = 2e-9", _greedy_at_a_tie),
)

THEOREMS = (H4, H5, H5x, H6, H6x)
