"""Family G: bounds hold for models enumerated independently."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory import Status, catalogue, gumbel_flip, measure
from theory.sequences import markov
from theory.statements.g_sequences.shared_seed import inverse_cdf_flip


@st.composite
def model_pairs(draw):
    """Random tables of next-token laws over all prefixes, in float64: (symbols, steps, dense, perturbed)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    symbols, steps = draw(st.sampled_from([(2, 1), (2, 5), (3, 3), (4, 2)]))
    scale, sharpness = draw(st.sampled_from([1e-3, 0.1, 1.0, 4.0])), draw(st.sampled_from([0.3, 1.0, 10.0]))
    dense, perturbed = {}, {}
    for length in range(steps):
        for prefix in itertools.product(range(symbols), repeat=length):
            p = rng.dirichlet(np.full(symbols, sharpness)) + 1e-6
            q = p * np.exp(scale * rng.normal(size=symbols))
            dense[prefix], perturbed[prefix] = p / p.sum(), q / q.sum()
    return symbols, steps, dense, perturbed


def truth(pair):
    """The sequence quantities by summing over all texts, written independently of theory.trees."""
    symbols, steps, dense, perturbed = pair
    texts = list(itertools.product(range(symbols), repeat=steps))
    p, q, agree = (np.ones(len(texts)) for _ in range(3))
    means = {"tv": 0.0, "kl": 0.0}
    for t in range(steps):
        a = np.array([dense[x[:t]][x[t]] for x in texts])
        b = np.array([perturbed[x[:t]][x[t]] for x in texts])
        p, q, agree = p * a, q * b, agree * np.minimum(a, b)
    for prefix, a in dense.items():
        b = perturbed[prefix]
        reach = math.prod(dense[prefix[:k]][prefix[k]] for k in range(len(prefix)))
        means["tv"] += reach * 0.5 * np.abs(a - b).sum()
        means["kl"] += reach * (a * np.log(a / b)).sum()
    logs = [np.log(perturbed[prefix] / dense[prefix]) for prefix in dense]
    survives = [agree.sum()] if steps == 1 else []
    if steps > 1:
        for k in range(1, steps + 1):
            shorter = itertools.product(range(symbols), repeat=k)
            pairs = ([(dense[x[:t]][x[t]], perturbed[x[:t]][x[t]]) for t in range(k)] for x in shorter)
            survives.append(sum(math.prod(map(min, row)) for row in pairs))
    return {
        "steps": steps,
        "survival": survives[-1],
        "identical_tokens": sum(survives),
        "sequence_tv": 0.5 * np.abs(p - q).sum(),
        "sequence_kl": (p * np.log(p / q)).sum(),
        "sequence_affinity": np.sqrt(p * q).sum(),
        "sequence_chi2": ((q - p) ** 2 / p).sum(),
        "tv_total": means["tv"],
        "kl_total": means["kl"],
        "step_tv": max(0.5 * np.abs(dense[x] - perturbed[x]).sum() for x in dense),
        "oscillation": max(np.ptp(row) for row in logs),
        "exact_match": q[0],
        "exact_match_change": abs(q[0] - p[0]),
        "token_probability": min(dense[(0,) * t][0] for t in range(steps)),
    }


@given(model_pairs())
def test_claims_about_sequences_hold_for_models_enumerated_independently(pair):
    values = truth(pair)
    tried = 0
    for theorem in catalogue.family("G"):
        if theorem.status in (Status.FALSE, Status.ASYMPTOTIC):
            continue
        for claim in theorem.claims:
            if not set(claim.columns) <= set(values):
                continue
            quantity = float(claim.measured(**values))
            for bound in claim.bounds:
                limit, tried = float(bound(**values)), tried + 1
                slack = limit - quantity if bound.side == "upper" else quantity - limit
                assert slack >= -1e-9 * (1 + abs(quantity)), (theorem.id, claim.name, quantity, limit)
    assert tried >= 18


def test_multiplying_teacher_forced_means_is_refuted_by_an_actual_pair():
    small = 1e-6
    dense = {(): np.array([0.5, 0.5]), (0,): np.array([1 - small, small]), (1,): np.array([0.5, 0.5])}
    perturbed = {
        (): np.array([1 - small, small]),
        (0,): np.array([small, 1 - small]),
        (1,): np.array([0.5, 0.5]),
    }
    found = truth((2, 2, dense, perturbed))["survival"]
    assert found == pytest.approx(2e-6, rel=1e-5)
    assert found < 0.5 * (1 - 0.5 * (1 - 2 * small))


@pytest.mark.parametrize(("key", "claim"), [("G4", 0), ("G4", 1), ("G4", 2), ("G5", 0), ("G5", 1), ("G6", 0)])
@given(st.floats(1e-12, 1e4), st.integers(1, 10**6))
@example(1e-12, 1)
@example(1e4, 10**6)
@example(700.0, 3)
def test_formulas_keep_their_digits_and_certificates_their_side(key, claim, R, steps):
    theorem = catalogue[key]
    bound = theorem.claims[claim].bounds[0]
    values = {"oscillation": R, "steps": float(steps)}
    with mpmath.workdps(60):
        exact = bound.exact(**values)
        found = float(bound(**values))
        assert math.isfinite(found)
        assert abs(found - exact) <= mpmath.mpf("1e-9") * abs(exact) + mpmath.mpf("1e-300")
    certified = theorem.certify({"oscillation": R, "steps": float(steps)}, claim)
    side = float(certified.lower if bound.side == "lower" else certified.upper)
    with mpmath.workdps(60):
        assert side <= exact if bound.side == "lower" else side >= exact
        assert abs(side - exact) <= mpmath.mpf("1e-12") * abs(exact) + mpmath.mpf("1e-300")


@given(
    st.integers(1, 9).flatmap(
        lambda k: st.tuples(*[hnp.arrays(np.float64, k, elements=st.floats(-5, 5)) for _ in range(2)])
    ),
    st.sampled_from([1e-9, 1e-3, 1.0]),
)
def test_the_flip_probability_stays_within_its_bounds(pair, scale):
    z, move = (torch.tensor(x) for x in pair)
    drift = measure(z, z + scale * move)
    values = {
        "gumbel_flip": gumbel_flip(z, z + scale * move).numpy(),
        "tv": drift.tv.numpy(),
        "oscillation": drift.oscillation.numpy(),
    }
    for claim in catalogue["G11"].claims:
        for bound in claim.bounds:
            limit, slack = bound(**values), 1e-9 * values["gumbel_flip"] + 1e-15
            if bound.side == "upper":
                assert values["gumbel_flip"] <= limit + slack
            else:
                assert values["gumbel_flip"] >= limit - slack


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=8))
def test_inverse_cdf_sharing_is_a_coupling(weights):
    """Its flip lies between TV and 1, and a simulated lookup agrees with it."""
    p, q = ([Fraction(w[side], sum(v[side] for v in weights)) for w in weights] for side in (0, 1))
    tv = sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
    found = inverse_cdf_flip(p, q)
    assert tv <= found <= 1
    uniforms = (np.arange(4000) + 0.5) / 4000
    tokens = [
        np.searchsorted(np.cumsum([float(a) for a in law[:-1]]), uniforms, side="right") for law in (p, q)
    ]
    assert (tokens[0] != tokens[1]).mean() == pytest.approx(float(found), abs=2 * len(weights) / 4000)


def test_folklore_is_never_certified():
    for key in ("G3x", "G12", "G14x"):
        with pytest.raises(ValueError, match="must be proved"):
            catalogue[key].certify({"oscillation": 1.0, "steps": 2.0})


def test_the_perron_half_life_is_not_the_first_half() -> None:
    """G7 once said "exactly": three texts in ten survive the first token, the formula says 6.9 tokens."""
    dense, perturbed = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.2, 0.8], [0.11, 0.89]])
    survives = markov.survival(np.array([1.0, 0.0]), dense, perturbed, steps=60)
    assert survives[1] == pytest.approx(0.3)
    half = markov.half_life(dense, perturbed)
    assert half > 6.8
    assert survives[60] / survives[53] == pytest.approx(0.5 ** (7 / half), rel=1e-6)
    assert "In the long run" in catalogue["G7"].statement


def test_a_token_may_stay_after_a_tie() -> None:
    """G10 once said "iff" without a word on ties: z = (1, 0), D = (0, 1) keeps the first token."""
    z, change = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert int((z + change).argmax()) == int(z.argmax()) == 0
    assert not z[0] - z[1] > change[1] - change[0]
    assert any("tie" in hypothesis for hypothesis in catalogue["G10"].hypotheses)


def test_the_second_moment_is_not_the_number_of_texts_needed() -> None:
    """G1's bound is on a variance: a rare text of weight 10^7 makes it 10^5 and hardly matters to a score."""
    p, q = np.array([1 - 1e-9, 1e-9]), np.array([0.99, 0.01])
    assert (q**2 / p).sum() > 1e4
    assert math.exp((q * np.log(q / p)).sum()) < 1.2
    assert "nearer e^(KL(Q||P))" in catalogue["G1"].statement
