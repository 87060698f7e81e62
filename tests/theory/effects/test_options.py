"""Option sets and truncation against brute force and high precision."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory.effects.options import (
    argmax_kept,
    expected_oscillation,
    kept_by_top_k,
    kept_by_top_p,
    ranking_stable,
    score_band,
    support_mismatch,
    truncated_tv_bound,
)

logit_pairs = st.integers(2, 9).flatmap(
    lambda k: st.tuples(*[hnp.arrays(np.float64, k, elements=st.floats(-5, 5)) for _ in range(2)])
)


@given(logit_pairs)
def test_argmax_kept_says_what_happens(pair):
    z, other = pair
    best = int(np.argmax(z))
    expected = all(other[best] > other[j] for j in range(len(z)) if j != best)
    assert bool(argmax_kept(torch.tensor(z), torch.tensor(other))) == expected


@given(st.floats(1e-12, 1.0), st.floats(0.0, 40.0))
@example(1.0, 3.0)
@example(0.5, 0.0)
def test_the_score_band_is_attained_by_two_atoms(mass, R):
    band = score_band(*torch.tensor([[math.log(mass)], [R]], dtype=torch.float64))
    with mpmath.workdps(40):
        p, change = mpmath.mpf(math.log(mass)), mpmath.mpf(R)
        p = mpmath.exp(p)
        low, high = (-mpmath.log(p + (1 - p) * mpmath.exp(s * change)) for s in (1, -1))
    assert float(band.lower) == pytest.approx(float(low), rel=1e-9, abs=1e-12)
    assert float(band.upper) == pytest.approx(float(high), rel=1e-9, abs=1e-12)
    assert -R - 1e-12 <= float(band.lower) <= 0 <= float(band.upper) <= R + 1e-12


@given(logit_pairs)
def test_scores_stay_inside_the_band(pair):
    z, other = (torch.tensor(x) for x in pair)
    log_p, log_q = z.log_softmax(-1), other.log_softmax(-1)
    R = (other - z).max() - (other - z).min()
    band = score_band(log_p[:, None], R.expand(len(z), 1))
    change = log_q - log_p
    assert bool((band.lower - 1e-12 <= change).all())
    assert bool((change <= band.upper + 1e-12).all())


def test_masked_tokens_do_not_count_and_small_bands_keep_the_ranking():
    log_p = torch.tensor([[-1.0, -9.0], [-2.0, -1.5]])
    R = torch.full((2, 2), 0.1)
    mask = torch.tensor([[True, False], [True, True]])
    band = score_band(log_p, R, mask)
    assert float(band.upper[0]) == pytest.approx(float(score_band(log_p[0, :1], R[0, :1]).upper))
    scores = torch.where(mask, log_p, 0.0).sum(-1)
    assert bool(ranking_stable(scores, band))
    assert not bool(ranking_stable(scores, score_band(log_p, R * 100, mask)))
    assert bool(ranking_stable(scores, band, torch.tensor([1.0, 2.0])))


def test_expected_oscillation_of_few_and_many_gaussians():
    assert expected_oscillation(1) == 0.0
    assert expected_oscillation(2) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-12)
    assert expected_oscillation(3) == pytest.approx(3 / math.sqrt(math.pi), rel=1e-12)
    draws = np.random.default_rng(3).normal(size=(20_000, 500))
    ranges = np.ptp(draws, axis=1)
    assert abs(ranges.mean() - expected_oscillation(500)) < 5 * ranges.std() / math.sqrt(ranges.size)
    assert expected_oscillation(151_936) == pytest.approx(8.95, abs=0.005)


@given(logit_pairs, st.data())
def test_truncated_samplers_differ_by_less_than_the_bound(pair, data):
    z, other = (torch.tensor(x) for x in pair)
    p, q = z.softmax(-1), other.softmax(-1)
    if data.draw(st.booleans()):
        k = data.draw(st.integers(1, len(z)))
        kept, kept_perturbed = kept_by_top_k(p, k), kept_by_top_k(q, k)
    else:
        mass = data.draw(st.floats(0.01, 1.0))
        kept, kept_perturbed = kept_by_top_p(p, mass), kept_by_top_p(q, mass)
    cut = [torch.where(m, w, 0.0) / w[m].sum() for w, m in ((p, kept), (q, kept), (q, kept_perturbed))]
    same_law = (cut[1] - cut[2]).abs().sum() / 2
    assert float(support_mismatch(q, kept, kept_perturbed)) == pytest.approx(float(same_law), abs=1e-12)
    total = (cut[0] - cut[2]).abs().sum() / 2
    assert total <= truncated_tv_bound(other - z, q, kept, kept_perturbed) + 1e-12


@given(logit_pairs, st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_that_reaches_the_mass(pair, mass):
    p = torch.tensor(pair[0]).softmax(-1)
    kept = kept_by_top_p(p, mass)
    assert float(p[kept].sum()) >= mass - 1e-12
    assert float(p[kept].sum() - p[kept].min()) < mass + 1e-12


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="perturbed must have shape"):
        argmax_kept(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ValueError, match="log_prob must be <= 0"):
        score_band(torch.ones(1), torch.ones(1))
    with pytest.raises(ValueError, match="k must be between"):
        kept_by_top_k(torch.ones(3), 4)
    with pytest.raises(ValueError, match="mass must be in"):
        kept_by_top_p(torch.ones(3), 0.0)
    with pytest.raises(ValueError, match="count must be"):
        expected_oscillation(0)
