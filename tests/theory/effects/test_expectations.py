"""Expected drift under noise against direct integration, Monte Carlo (5 sigma) and its own limits."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from theory.effects.expectations import Noise, expected_cosdist, expected_kl, moments


def drift(p, delta):
    """KL(p||q) and 1 - cos(p,q) per row of delta, plainly."""
    delta = delta - delta.max(1, keepdims=True)
    r = p * p / (p * p).sum()
    kl = np.log(np.exp(delta) @ p) - delta @ p
    cosine = np.exp(delta) @ r / np.sqrt(np.exp(2 * delta) @ r)
    return kl, 1 - cosine


def two_atom_mean(mass, tau, which):
    """Mean over the one Gaussian number delta_1 - delta_2 that two atoms depend on."""
    p = np.array([mass, 1 - mass])

    def integrand(u):
        kl = np.logaddexp(np.log(mass) + u, np.log1p(-mass)) - mass * u
        w, o = math.exp(u), (1 - mass) / mass
        tangent = o * (w - 1) / (w + o * o)  # of the angle between (1, o) and (w, o)
        value = kl if which == "kl" else tangent**2 / (math.hypot(1, tangent) * (1 + math.hypot(1, tangent)))
        return value * stats.norm.pdf(u, scale=tau * math.sqrt(2))

    assert abs(p.sum() - 1) < 1e-15
    limit = 13 * tau
    turn = np.clip([0, math.log(1 / mass - 1), 2 * math.log(1 / mass - 1)], -limit, limit)
    return integrate.quad(integrand, -limit, limit, points=turn, limit=600, epsabs=0, epsrel=1e-10)[0]


@settings(max_examples=25)
@given(st.floats(1e-3, 0.999), st.floats(0.01, 4.0))
@example(0.5, 0.01)
@example(1e-3, 4.0)
def test_two_atoms_agree_with_one_dimensional_integration(mass, tau):
    noise = stats.norm(scale=tau)
    assert expected_kl([mass, 1 - mass], noise) == pytest.approx(two_atom_mean(mass, tau, "kl"), rel=1e-7)
    cosine = expected_cosdist([mass, 1 - mass], noise)
    assert cosine == pytest.approx(two_atom_mean(mass, tau, "cosine"), rel=1e-6)


NOISES = {
    "normal": stats.norm(scale=0.7),
    "strong normal": stats.norm(scale=3.0),
    "uniform": stats.uniform(-1, 2),
    "laplace": stats.laplace(scale=0.4),
    "student": stats.t(5, scale=0.5),
    "two-point": stats.randint(0, 2, loc=-1),
    "shifted": stats.norm(loc=5, scale=0.5),
}


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("size", [3, 40])
def test_any_noise_agrees_with_monte_carlo_within_five_sigma(name, size):
    p = 1 / np.arange(1, size + 1) ** 1.2
    p /= p.sum()
    draws = NOISES[name].rvs(size=(100_000, size), random_state=np.random.default_rng(7))
    for sample, value in zip(
        drift(p, draws), (expected_kl(p, NOISES[name]), expected_cosdist(p, NOISES[name])), strict=True
    ):
        assert abs(sample.mean() - value) < 5 * sample.std() / math.sqrt(sample.size)


@given(st.integers(2, 30), st.floats(1e-9, 1e-4))
def test_weak_noise_keeps_its_digits(size, tau):
    p = 1 / np.arange(1, size + 1.0)
    power = moments(p, "p")
    r = p**2 / (p**2).sum()
    second_order = tau**2 * (1 - power["gini_p"]) / 2
    assert expected_kl(p, stats.norm(scale=tau)) == pytest.approx(second_order, rel=1e-6)
    assert expected_cosdist(p, stats.norm(scale=tau)) == pytest.approx(tau**2 * (1 - r @ r) / 2, rel=1e-6)


def test_tiny_atoms_and_equal_copies_change_nothing_they_should_not():
    noise = stats.norm(scale=1.0)
    p = np.array([0.5, 0.3, 0.2])
    padded = np.concatenate([p, np.full(5, 1e-300), [0.0]])
    assert expected_kl(padded, noise) == pytest.approx(expected_kl(p, noise), rel=1e-9)
    assert expected_cosdist(padded, noise) == pytest.approx(expected_cosdist(p, noise), rel=1e-9)
    assert expected_kl([1.0], noise) == 0.0
    assert expected_cosdist([2.0], noise) == 0.0


def test_the_quadrature_is_exact_for_a_two_point_law_and_moments_of_heavy_tails():
    nodes, weights = Noise(stats.randint(0, 2)).rule
    assert set(np.unique(nodes)) == {0.0, 1.0}
    assert weights[nodes == 1].sum() == pytest.approx(0.5, abs=1e-14)
    nodes, weights = Noise(stats.t(4)).rule
    assert nodes**2 @ weights == pytest.approx(2.0, rel=1e-9)


def test_a_large_vocabulary_is_cheap_and_right():
    p = 1 / np.arange(1, 50_001.0)
    tau = 0.05
    power = moments(p, "p")
    fourth = power["gini_p"] - 4 * power["cubes_p"] + 3 * power["gini_p"] ** 2
    predicted = tau**2 * (1 - power["gini_p"]) / 2 - tau**4 * fourth / 4
    assert expected_kl(p, stats.norm(scale=tau)) == pytest.approx(predicted, rel=1e-6)


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="noise must have a finite mean"):
        expected_kl([0.5, 0.5], stats.cauchy())
    for bad in ([], [[0.5, 0.5]], [-1.0, 2.0], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="weights must be"):
            expected_kl(bad, stats.norm())
    with pytest.raises(ValueError, match="positive sum"):
        expected_cosdist([0.0, 0.0], stats.norm())
