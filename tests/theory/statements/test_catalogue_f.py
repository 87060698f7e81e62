"""Family F: curves agree with exact integrals and draws, a wrong constant is noticed."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from theory import catalogue, check, measure
from theory.effects.expectations import expected_cosdist, expected_kl, moments
from theory.formulas.claims import at_most
from theory.theorems.verify import verify_one

weights = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(1e-6, 1.0)).map(lambda x: x / x.sum())


def symbols(p, tau):
    r = p * p / (p * p).sum()
    own = {"noise": tau, "vocabulary": float(p.size), "p_max": float(p.max())}
    return own | moments(p, "p") | moments(r, "r")


def inside(claim, value, slack=0.0, **values):
    """Whether the claim's bounds hold for the value up to the slack."""
    low = claim.lower is None or float(claim.lower(**values)) <= value + slack
    return low and (claim.upper is None or value <= float(claim.upper(**values)) + slack)


def test_what_is_only_asymptotic_is_never_certified():
    with pytest.raises(ValueError, match="must be proved"):
        catalogue["F4"].certify({})


def test_a_wrong_constant_is_noticed():
    theorem = catalogue["F6"]
    claims = tuple(at_most(c.quantity, c.upper.expression * 0.99) for c in theorem.claims[:4])
    record = verify_one(dataclasses.replace(theorem, claims=claims, derivation=()))
    assert not record.passed


@settings(max_examples=25)
@given(weights, st.floats(1e-3, 0.05))
def test_the_fourth_order_is_better_than_the_second(p, tau):
    values = symbols(p, tau)
    law = stats.norm(scale=tau)
    kl, cosine = expected_kl(p, law), expected_cosdist(p, law)
    for exact, claim in zip((kl, cosine), catalogue["F4"].claims, strict=False):
        assert abs(exact - float(claim.estimate(**values))) <= 20 * tau**6 + 1e-9 * exact


@settings(max_examples=40)
@given(weights, st.floats(1e-3, 3.0))
def test_the_rates_enclose_the_exact_means(p, tau):
    values, law = symbols(p, tau), stats.norm(scale=tau)
    cosine, kl, _, _ = catalogue["F5"].claims
    exact = expected_kl(p, law)
    assert inside(cosine, expected_cosdist(p, law), 1e-10, **values)
    assert inside(kl, exact, 1e-10, **values)
    assert inside(catalogue["F2"].claims[1], exact, 1e-10, **values)


@settings(max_examples=40)
@given(weights, st.floats(0.01, 5.0))
def test_uniform_noise_stays_below_its_generating_function(p, half_width):
    law = stats.uniform(-half_width, 2 * half_width)
    claims = catalogue["F8"].claims
    assert inside(claims[0], expected_kl(p, law), 1e-10, half_width=half_width)
    gini = symbols(p, 1.0)["gini_r"]
    assert inside(claims[4], expected_cosdist(p, law), 1e-10, half_width=half_width, gini_r=gini)


@given(weights, st.floats(0.1, 2.0), st.integers(0, 1000))
def test_the_mean_and_spread_of_the_quadratic_estimate(p, tau, seed):
    delta = tau * np.random.default_rng(seed).normal(size=(4000, p.size))
    sample = (delta * delta) @ p - (delta @ p) ** 2
    mean, spread = catalogue["F1"].claims
    values = symbols(p, tau) | {"kurtosis": 3.0, "self_gini": float(((p - p * p) ** 2).sum())}
    error = math.sqrt(float(spread.upper(**values)) / 4000)
    assert abs(sample.mean() - float(mean.upper(**values))) < 5.5 * error


@given(weights, st.floats(0.1, 2.0), st.integers(0, 1000))
def test_tails_are_as_rare_as_claimed(p, tau, seed):
    delta = tau * np.random.default_rng(seed).normal(size=(2000, p.size))
    half = ((delta * delta) @ p - (delta @ p) ** 2) / 2
    values = symbols(p, tau) | {"exponent": 3.0}
    upper, lower, _ = catalogue["F7"].claims
    allowed = math.exp(-3) + 5 * math.sqrt(math.exp(-3) / 2000)
    assert (half >= float(upper.upper(**values))).mean() <= allowed
    assert (half <= float(lower.lower(**values))).mean() <= allowed


@given(st.integers(1, 30), st.floats(1e-9, 30.0), st.integers(0, 1000))
def test_measured_drifts_obey_the_lipschitz_bounds(size, scale, seed):
    rng = torch.Generator().manual_seed(seed)
    z, step = torch.randn(2, 4, size, generator=rng, dtype=torch.float64)
    result = check(measure(3 * z, 3 * z + scale * step), ["F6"])
    assert len(result) == 4
    assert not any(bool(item.violated.any()) for item in result.values())


def test_two_perturbations_of_one_distribution_move_sqrt_kl_by_half_their_distance_at_most():
    rng = torch.Generator().manual_seed(3)
    z, first, second = 2 * torch.randn(3, 2000, 6, generator=rng, dtype=torch.float64)
    roots = [measure(z, z + delta).kl.sqrt() for delta in (first, second)]
    distance = (first - second - (first - second).mean(-1, keepdim=True)).norm(dim=-1)
    assert bool(((roots[0] - roots[1]).abs() <= distance / 2 * (1 + 1e-12)).all())
