"""The enclosure of the worst case against closed forms, random adversaries, and a free optimiser."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from theory.sequences.worst_case import worst_case, worst_case_tv

budgets = st.lists(st.floats(0.0, 4.0), min_size=1, max_size=4)


def two_steps(R):
    return 1 / math.tanh(R / 2) - 2 * math.sinh(R / 4) / math.sinh(R / 2) ** 2


@given(st.floats(1e-3, 12.0))
@example(12.0)
def test_one_and_two_steps_have_closed_forms(R):
    lower, upper = worst_case_tv(R, 2)
    assert lower[1] <= math.tanh(R / 4) + 1e-15 <= upper[1] + 1e-15
    assert upper[1] - lower[1] < 1e-12
    assert lower[2] <= two_steps(R) + 1e-12
    assert two_steps(R) <= upper[2] + 1e-12
    assert lower[2] == pytest.approx(two_steps(R), abs=1e-10)
    assert upper[2] - lower[2] < 2e-4


@given(st.floats(0.01, 8.0))
def test_one_step_is_the_privacy_curve(R):
    result = worst_case([R])
    y = result.threshold
    exact = (math.exp(R / 2) - np.exp(y / 2)) ** 2 / math.expm1(R)
    assert (result.lower <= exact + 1e-12).all()
    assert (exact <= result.upper + 1e-12).all()
    assert result.upper == pytest.approx(exact, abs=2e-12)


@given(budgets)
@example([1e-300, 2.0])
@example([5e-324])
@example([1e-12, 300.0])
def test_lower_and_upper_enclose_and_obey_the_cheap_bounds(limits):
    low, high = worst_case(limits, cells=12).tv
    assert 0 <= low <= high <= 1
    # 1 - prod 1/cosh^2 without its cancellation; cosh x = 1 + 2 sinh^2(x/2)
    hellinger = math.sqrt(-math.expm1(-2 * sum(math.log1p(2 * math.sinh(R / 8) ** 2) for R in limits)))
    coupling = 1 - math.prod(2 / (1 + math.exp(R / 2)) for R in limits)
    assert low <= min(hellinger, coupling) + 1e-12
    assert high >= math.tanh(max(limits) / 4) - 1e-12


@given(budgets, st.integers(0, 2**32))
@settings(max_examples=40)
def test_no_adversary_beats_the_upper_value(limits, seed):
    rng = np.random.default_rng(seed)
    leaves = [(1.0, 1.0)]
    for R in limits:
        grown = []
        for p, q in leaves:
            atoms = int(rng.integers(2, 4))
            dense = rng.dirichlet(np.ones(atoms))
            move = R * rng.choice([0.0, 1.0, rng.random()], size=atoms)
            other = dense * np.exp(move)
            other /= other.sum()
            grown += [(p * a, q * b) for a, b in zip(dense, other, strict=True)]
        leaves = grown
    reached = 0.5 * sum(abs(p - q) for p, q in leaves)
    assert reached <= worst_case(limits, cells=12).tv[1] + 1e-12


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=3), st.sampled_from([6, 10, 16]))
@settings(max_examples=30)
def test_finer_grids_only_tighten_the_upper_value(limits, cells):
    """The grids are nested: chords over halves lie below chords over wholes."""
    assert worst_case(limits, 2 * cells).tv[1] <= worst_case(limits, cells).tv[1] + 1e-12


def test_the_gap_is_of_second_order_in_the_cell():
    gaps = [np.subtract(*worst_case_tv(1.0, 8, cells)[::-1])[-1] for cells in (8, 16, 32)]
    assert gaps[0] / gaps[1] > 3
    assert gaps[1] / gaps[2] > 3


def test_the_order_of_budgets_matters():
    """A step of 0.5 after a step of 2 adds nothing; before it, it adds."""
    late, early = worst_case([2.0, 0.5]).tv, worst_case([0.5, 2.0]).tv
    assert late[1] == pytest.approx(math.tanh(0.5), abs=1e-10)
    assert early[0] > math.tanh(0.5) + 0.005


def test_many_small_steps_follow_the_continuum_law():
    low, high = worst_case_tv(0.1, 100, cells=16)
    law = math.erf(math.sqrt(100 * 0.1**2 / 32))
    assert low[-1] == pytest.approx(law, abs=2e-3)
    assert high[-1] == pytest.approx(law, abs=2e-3)


def test_no_budget_no_drift_and_huge_budgets_stay_finite():
    assert worst_case([]).tv == (0.0, 0.0)
    assert worst_case([0.0, 0.0]).tv == (0.0, 0.0)
    assert worst_case_tv(0.0, 2)[1].tolist() == [0.0, 0.0, 0.0]
    low, high = worst_case([1e4, 1e-12, 300.0]).tv
    assert 0.99 < low <= high <= 1


@pytest.mark.parametrize(("limits", "cells"), [([-1.0], 8), ([math.inf], 8), ([math.nan], 8), ([1.0], 1)])
def test_bad_input_is_one_sentence(limits, cells):
    with pytest.raises(ValueError, match=r"budgets|cells"):
        worst_case(limits, cells)
