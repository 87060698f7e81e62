"""Family H: measured option drifts obey the statements, a wrong constant is noticed."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from theory import catalogue, measure, measure_vectors
from theory.effects.options import kept_by_top_k, score_band
from theory.effects.retrieval import angle
from theory.formulas.claims import at_least, at_most
from theory.theorems.verify import verify_one

ROUNDING = 1e-9


@pytest.mark.parametrize("key", ["H1", "H3", "H4"])
def test_a_wrong_constant_is_noticed(key):
    """A band narrowed by one percent is no longer attained from inside."""
    theorem = catalogue[key]
    claims = tuple(
        at_most(c.quantity, c.upper.expression * 0.99)
        if c.upper
        else at_least(c.quantity, c.lower.expression + 0.01)
        for c in theorem.claims
    )
    side = "upper" if claims[0].upper else "lower"
    witnesses = tuple(w for w in theorem.witnesses if w.side == side)
    record = verify_one(dataclasses.replace(theorem, claims=claims, witnesses=witnesses, derivation=()))
    assert not record.passed


def random_pair(seed, size, scale):
    rng = torch.Generator().manual_seed(seed)
    z, step = torch.randn(2, size, generator=rng, dtype=torch.float64)
    return 3 * z, 3 * z + scale * step


cases = (st.integers(0, 10**6), st.integers(3, 12), st.floats(1e-6, 5.0), st.floats(0.3, 3.0))


@given(*cases, st.data())
def test_option_drift_is_at_most_global_drift_over_the_mass(seed, size, scale, T, data):
    z, perturbed = random_pair(seed, size, scale)
    count = data.draw(st.integers(2, size - 1))
    options = torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:count]
    everything, part = measure(z, perturbed, T), measure(z, perturbed, T, options)
    symbols = {name: float(getattr(everything, name)) for name in ("kl", "var_p", "oscillation")} | {
        "option_mass": float(part.option_mass)
    }
    found = (float(part.kl), float(part.var_p), float(part.oscillation))
    for value, claim in zip(found, catalogue["H1"].claims, strict=True):
        assert value <= float(claim.upper(**symbols)) * (1 + ROUNDING) + 1e-300


@given(*cases)
@example(0, 3, 5.0, 0.3)
def test_log_probabilities_move_inside_their_band(seed, size, scale, T):
    z, perturbed = random_pair(seed, size, scale)
    log_p, log_q = (z / T).log_softmax(-1), (perturbed / T).log_softmax(-1)
    R = measure(z, perturbed, T).oscillation
    claim = catalogue["H3"].claim
    band = score_band(log_p[:, None], R.expand(size, 1))
    for k in range(size):
        symbols = {"token_mass": float(log_p[k].exp()), "oscillation": float(R)}
        change = float(log_q[k] - log_p[k])
        low, high = float(claim.lower(**symbols)), float(claim.upper(**symbols))
        assert low - 1e-12 <= change <= high + 1e-12
        assert float(band.lower[k]) == pytest.approx(low, rel=1e-6, abs=1e-13)
        assert float(band.upper[k]) == pytest.approx(high, rel=1e-6, abs=1e-13)


@given(*cases)
def test_a_margin_above_the_oscillation_keeps_the_argmax(seed, size, scale, T):
    drift = measure(*random_pair(seed, size, scale), T)
    assume(float(drift.margin) > float(drift.oscillation) * (1 + 1e-12))
    assert bool(drift.top1_agree)


@given(st.integers(0, 10**6), st.floats(1e-4, 0.5))
def test_the_lead_of_a_document_shrinks_by_the_budget_at_most(seed, scale):
    rng = torch.Generator().manual_seed(seed)
    before = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    after = before + scale * torch.randn(3, 5, generator=rng, dtype=torch.float64)
    moves = angle(measure_vectors(before, after).cosdist)

    def lead(vectors):
        query, first, second = vectors
        return float(
            angle(measure_vectors(query, second).cosdist) - angle(measure_vectors(query, first).cosdist)
        )

    symbols = dict(zip(("query_move", "first_move", "second_move"), moves.tolist(), strict=True))
    assert lead(after) >= float(catalogue["H4"].claim.lower(lead=lead(before), **symbols)) - 1e-12


@given(*cases, st.data())
def test_truncated_samplers_obey_the_formula(seed, size, scale, T, data):
    z, perturbed = random_pair(seed, size, scale)
    p, q = (z / T).softmax(-1), (perturbed / T).softmax(-1)
    k = data.draw(st.integers(1, size))
    kept, kept_q = kept_by_top_k(p, k), kept_by_top_k(q, k)
    cut_p, cut_q = torch.where(kept, p, 0) / p[kept].sum(), torch.where(kept_q, q, 0) / q[kept_q].sum()
    inside = ((perturbed - z) / T)[kept]
    symbols = {
        "oscillation_kept": float(inside.max() - inside.min()),
        "mass_shared": float(q[kept & kept_q].sum()),
        "mass_larger": float(max(q[kept].sum(), q[kept_q].sum())),
    }
    value = float((cut_p - cut_q).abs().sum() / 2)
    assert value <= float(catalogue["H6"].claim.upper(**symbols)) + 1e-12


def test_options_of_a_confident_model_have_more_variance_under_noise():
    p = np.array([0.98, 0.01, 0.01])
    whole = float(catalogue["F1"].claim.upper(noise=1.0, gini_p=float(p @ p)))
    options = float(catalogue["H5"].claim.upper(noise=1.0, gini_options=0.5))
    assert options > 10 * whole


def test_truncated_kl_is_finite_where_one_support_is_inside_the_other() -> None:
    """H6 once said that KL is infinite as soon as the kept sets differ."""
    p, q = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.6, 0.4]).double()
    kept_p, kept_q = kept_by_top_k(p, 1), kept_by_top_k(q, 2)
    p_cut, q_cut = (torch.where(kept, w, 0.0) for w, kept in ((p, kept_p), (q, kept_q)))
    p_cut, q_cut = p_cut / p_cut.sum(), q_cut / q_cut.sum()
    forward = torch.nn.functional.kl_div(q_cut.log(), p_cut, reduction="sum")
    backward = torch.nn.functional.kl_div(p_cut.log(), q_cut, reduction="sum")
    assert not torch.equal(kept_p, kept_q)
    assert float(forward) == pytest.approx(np.log(1 / 0.6))
    assert float(backward) == np.inf
    assert "KL(p_S||q_S') only if a token of S is not in S'" in catalogue["H6"].statement
