"""Finite-state chains against enumeration of all sequences, mpmath, and exact rationals."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.sequences import markov


@st.composite
def chain_pairs(draw, largest=4):
    """start, dense, perturbed; drift from none through 1e-9 to large; sometimes forbidden transitions."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    k = draw(st.integers(1, largest))
    dense = rng.dirichlet(np.full(k, draw(st.sampled_from([0.2, 1.0, 5.0]))), size=k) + 1e-12
    dense /= dense.sum(1, keepdims=True)
    scale = draw(st.sampled_from([0.0, 1e-9, 1e-3, 0.3, 2.0, 8.0]))
    perturbed = dense * np.exp(scale * rng.normal(size=(k, k)))
    return rng.dirichlet(np.ones(k)), dense, perturbed / perturbed.sum(1, keepdims=True)


def sequences(start, dense, perturbed, steps):
    """Probability of every sequence of states under both models, and the product of minima."""
    for path in itertools.product(range(len(start)), repeat=steps + 1):
        edges = list(itertools.pairwise(path))
        p = start[path[0]] * math.prod(dense[e] for e in edges)
        q = start[path[0]] * math.prod(perturbed[e] for e in edges)
        agree = start[path[0]] * math.prod(min(dense[e], perturbed[e]) for e in edges)
        yield path, p, q, agree


@given(chain_pairs(largest=3), st.integers(0, 5))
def test_survival_and_marginals_are_those_of_all_sequences(pair, steps):
    rows = list(sequences(*pair, steps))
    assert markov.survival(*pair, steps)[-1] == pytest.approx(sum(row[3] for row in rows), abs=1e-13)
    laws = np.zeros((2, len(pair[0])))
    for path, p, q, _ in rows:
        laws[:, path[-1]] += p, q
    expected = 0.5 * np.abs(laws[0] - laws[1]).sum()
    assert markov.marginal_tv(*pair, steps)[-1] == pytest.approx(expected, abs=1e-13)


@given(chain_pairs())
def test_survival_dominates_what_theory_says(pair):
    _, dense, perturbed = pair
    tv, survival = markov.marginal_tv(*pair, 12), markov.survival(*pair, 12)
    step = markov.leak(dense, perturbed).max()
    assert (tv <= 1 - survival + 1e-13).all()
    for kernel in (dense, perturbed):
        contraction = markov.dobrushin(kernel)
        assert (tv <= markov.marginal_tv_bound(step, contraction, 12) + 1e-13).all()
        assert contraction <= math.tanh(markov.hilbert_diameter(kernel) / 4) + 1e-12
    assert markov.decay_rate(dense, perturbed) >= markov.chernoff_exponent(dense, perturbed) - 1e-9


@given(chain_pairs())
def test_mean_first_divergence_keeps_its_digits(pair):
    start, dense, perturbed = pair
    found = markov.mean_first_divergence(*pair)
    if np.array_equal(dense, perturbed):
        assert found == math.inf
        return
    with mpmath.workdps(60):
        agree = mpmath.matrix(np.minimum(dense, perturbed).tolist())
        # float rows do not sum to 1: like the solver, the truth takes the total variation as the leak
        for x in range(len(start)):
            row = sum(agree[x, y] for y in range(len(start)))
            leak = (
                mpmath.fsum(
                    abs(mpmath.mpf(a) - mpmath.mpf(b)) for a, b in zip(dense[x], perturbed[x], strict=True)
                )
                / 2
            )
            agree[x, x] += 1 - leak - row
        times = mpmath.lu_solve(mpmath.eye(len(start)) - agree, mpmath.ones(len(start), 1))
        truth = mpmath.fsum(mpmath.mpf(a) * t for a, t in zip(start, times, strict=True))
    assert found == pytest.approx(float(truth), rel=1e-6)


def test_mean_first_divergence_of_a_drift_of_1e_9_is_exact_to_14_digits():
    leak = 2.0**-30
    dense = np.array([[0.5, 0.5], [0.25, 0.75]])
    perturbed = np.array([[0.5 + leak, 0.5 - leak], [0.25, 0.75]])
    small = Fraction(leak)
    # from state 0: survive one step with 1 - leak; from state 1 return to 0 with 1/4
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    # t0 = 1 + t0/2 + (1/2 - leak) t1 ; t1 = 1 + t0/4 + 3 t1/4
    t0 = (1 + 4 * (half - small)) / (half - (half - small))
    t1 = 4 + t0
    truth = half * t0 + half * t1
    assert quarter * t0 + Fraction(3, 4) * t1 + 1 == t1
    found = markov.mean_first_divergence(np.array([0.5, 0.5]), dense, perturbed)
    assert found == pytest.approx(float(truth), rel=1e-14)
    assert markov.half_life(dense, perturbed) == pytest.approx(math.log(2) * 3 / leak, rel=1e-6)


def test_states_that_never_disagree_make_the_mean_infinite_only_if_reached():
    dense = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    perturbed = np.array([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert markov.mean_first_divergence(np.array([1.0, 0.0, 0.0]), dense, perturbed) == math.inf
    leaving = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    gone = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    assert markov.mean_first_divergence(np.array([0.0, 0.0, 1.0]), leaving, gone) == 1.0
    assert markov.mean_first_divergence(np.array([0.0, 1.0, 0.0]), leaving, gone) == pytest.approx(3.0)


@given(chain_pairs())
def test_the_stationary_shift_is_the_difference_of_stationary_laws(pair):
    _, dense, perturbed = pair
    with mpmath.workdps(50):
        laws = []
        for kernel in (dense, perturbed):
            size = len(kernel)
            matrix = mpmath.matrix(kernel.tolist())
            for x in range(size):
                matrix[x, x] -= mpmath.fsum(mpmath.mpf(a) for a in kernel[x])
            system = matrix.T
            for y in range(size):
                system[size - 1, y] = 1
            goal = mpmath.zeros(size, 1)
            goal[size - 1] = 1
            laws.append(mpmath.lu_solve(system, goal))
        difference = np.array([float(x) for x in laws[1] - laws[0]])
        law = np.array([float(x) for x in laws[0]])
    assert markov.stationary(dense) == pytest.approx(law, rel=1e-12)
    assert markov.stationary_shift(dense, perturbed) == pytest.approx(difference, abs=1e-9)


def test_equal_chains_do_not_drift_at_all():
    rng = np.random.default_rng(5)
    dense = rng.dirichlet(np.ones(4), size=4)
    start = rng.dirichlet(np.ones(4))
    assert not markov.leak(dense, dense).any()
    assert not markov.marginal_tv(start, dense, dense, 9).any()
    assert not markov.stationary_shift(dense, dense).any()
    assert markov.half_life(dense, dense) == math.inf


def test_long_run_survival_decays_at_the_perron_rate():
    rng = np.random.default_rng(6)
    dense = rng.dirichlet(np.ones(4), size=4)
    perturbed = rng.dirichlet(np.ones(4), size=4)
    survival = markov.survival(np.full(4, 0.25), dense, perturbed, 60)
    assert -math.log(survival[60] / survival[59]) == pytest.approx(
        markov.decay_rate(dense, perturbed), rel=1e-9
    )


def test_chernoff_of_independent_coins():
    dense, perturbed = np.array([[0.3, 0.7]] * 2), np.array([[0.7, 0.3]] * 2)
    assert markov.chernoff_exponent(dense, perturbed) == pytest.approx(
        -math.log(2 * math.sqrt(0.21)), rel=1e-9
    )
    assert markov.decay_rate(dense, perturbed) == pytest.approx(-math.log(0.6), rel=1e-12)


def test_supports_that_differ_have_infinite_diameter():
    assert markov.hilbert_diameter(np.array([[1.0, 0.0], [0.5, 0.5]])) == math.inf


@pytest.mark.parametrize("push", [1e-9, 0.01, 0.3])
def test_dobrushin_saturation_is_attained_by_a_steady_push(push):
    """Contraction 1/2, both rows moved the same way: drift adds up to push (1 - 2^-n)/(1 - 1/2)."""
    dense = np.array([[0.625, 0.375], [0.125, 0.875]])
    perturbed = dense + push * np.array([1.0, -1.0])
    found = markov.marginal_tv(np.array([0.5, 0.5]), dense, perturbed, 20)
    assert found == pytest.approx(markov.marginal_tv_bound(push, markov.dobrushin(dense), 20), rel=1e-6)


def test_without_mixing_drift_saturates_at_one():
    """The dense chain stays put, the perturbed one leaves with chance 0.1."""
    dense, perturbed = np.eye(2), np.array([[0.9, 0.1], [0.0, 1.0]])
    found = markov.marginal_tv(np.array([1.0, 0.0]), dense, perturbed, 9)
    assert found == pytest.approx(1 - 0.9 ** np.arange(10), rel=1e-12)
    assert markov.marginal_tv_bound(0.1, markov.dobrushin(dense), 9) == pytest.approx(found, rel=1e-12)
