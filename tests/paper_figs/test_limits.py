"""Confidence limits cover what they promise, and are never of width zero for want of variation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from paper_figs.kept import add_kept, kept_of_graded, kept_share
from paper_figs.limits import (
    Limits,
    average,
    blocks,
    decided_share,
    geometric,
    mean_ratio,
    of_draws,
    over,
    paired_shares,
    proportion,
    share,
    student,
)


def test_student_covers_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    found = [student(random.normal(3, 1 + unit % 3, 6)) for unit in range(1500)]
    hits = np.mean([one.low <= 3 <= one.high for one in found])
    assert 0.93 <= hits <= 0.97


def test_group_estimates_cover_where_positions_of_a_prompt_depend_on_each_other() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        frame = pd.DataFrame({"prompt": np.repeat(range(8), 20), "x": np.repeat(random.normal(0, 1, 8), 20)})
        one = over(frame, lambda part: float(part["x"].mean()))
        hits += one.low <= 0 <= one.high
    assert hits / 400 > 0.92  # taking all 160 positions as independent covers in less than half of cases


def test_one_unit_limits_nothing() -> None:
    assert student([2.0]) == Limits(2.0, -math.inf, math.inf)
    assert student([2.0, math.nan]).high == math.inf


@pytest.mark.parametrize("count", [0, 10])
def test_a_share_of_none_or_all_has_width(count: int) -> None:
    one = share(pd.Series([count > 0] * 10), pd.Series([0, 1] * 5))
    assert one.high - one.low > 0.2
    assert 0 <= one.low <= one.value <= one.high <= 1


@given(st.integers(1, 40), st.data())
def test_wilson_agrees_with_its_formula(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    z, p = 1.959963984540054, count / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2))
    one = proportion(count, total)
    assert one.low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert one.high == pytest.approx(min(1, centre + half), abs=1e-9)


def test_paired_shares_have_jeffreys_margins() -> None:
    before, after = paired_shares(20, 5, 3, 12)
    for drawn, right in ((before, 25), (after, 23)):
        exact = beta.ppf([0.025, 0.975], right + 1, 40 - right + 1)  # two cells of 1/2 each
        np.testing.assert_allclose(np.quantile(drawn, [0.025, 0.975]), exact, atol=0.01)


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=12))
def test_undecided_cases_widen_a_share_and_decided_ones_do_not(cases: list[bool | None]) -> None:
    one = decided_share(cases)
    assert one.high - one.low == pytest.approx(cases.count(None) / len(cases))


def test_limits_are_three_valued() -> None:
    assert [Limits(2, 1, 3).above(x) for x in (0.5, 2.5, 3.5)] == [True, None, False]
    assert [Limits(2, 1, 3).below(x) for x in (0.5, 2.5, 3.5)] == [False, None, True]
    difference = Limits(2, 1, 3) - Limits(1, 1, 1)
    assert difference == Limits(1, 0, 2)
    assert average([Limits(1, 0, 2), Limits(3, 2, 4)]).value == 2


def test_geometric_is_the_interval_of_logarithms() -> None:
    frame = pd.DataFrame({"prompt": [0, 1, 2], "x": [1.0, 2.0, 4.0]})
    one = geometric(frame, lambda part: float(part["x"].mean()))
    logs = student(np.log([1.0, 2.0, 4.0]), math.log(7 / 3))
    assert (math.log(one.low), math.log(one.high)) == pytest.approx((logs.low, logs.high))


@given(st.lists(st.tuples(st.integers(0, 3), *[st.floats(0.01, 100)] * 2), min_size=1, max_size=20))
def test_ratio_of_means_is_the_geometric_interval(rows: list[tuple[int, float, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["prompt", "a", "b"])
    one = mean_ratio(frame["a"], frame["b"], frame["prompt"])
    other = geometric(frame, lambda part: float(part["a"].mean() / part["b"].mean()))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_blocks_are_consecutive_and_of_equal_length() -> None:
    found = blocks(pd.Series(range(160)))
    assert found.is_monotonic_increasing
    assert set(found.value_counts()) == {20}


def scores(spec: str, score: float, lost: int, gained: int, n: int = 40, chance: float | None = 0.25) -> dict:
    return {"spec": spec, "task": "t", "n": n, "score": score, "chance": chance} | {
        "right_to_wrong": lost,
        "wrong_to_right": gained,
    }


def test_kept_share_is_above_chance_and_has_limits_even_without_flips() -> None:
    table = add_kept(
        pd.DataFrame([scores("dense", 0.75, 0, 0), scores("a:1", 0.5, 12, 2), scores("b:1", 0.75, 0, 0)])
    )
    assert table["kept"].tolist() == pytest.approx([1, 0.5, 1])
    assert table["kept_high"][0] == table["kept_low"][0] == 1  # the dense model against itself
    assert table["kept_high"][2] - table["kept_low"][2] > 0.1
    assert kept_share(table.iloc[[1]]).value == pytest.approx(0.5)


def test_a_dense_model_at_chance_says_nothing() -> None:
    table = add_kept(pd.DataFrame([scores("dense", 0.3, 0, 0), scores("a:1", 0.2, 5, 1)]))
    assert table[["kept", "kept_low", "kept_high"]].isna().all(axis=None)
    assert kept_share(table) is None
    assert kept_of_graded([0.0, 0.1, 0.0], [0.0, 0.0, 0.0], 0.1) is None


def test_kept_covers_the_true_share() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        outcome = random.choice(4, 40, p=[0.5, 0.2, 0.05, 0.25])  # kept, lost, gained, never: 0.55 / 0.7
        right, lost, gained = ((outcome == kind).sum() for kind in range(3))
        table = add_kept(pd.DataFrame([scores("x", (right + gained) / 40, lost, gained, chance=None)]))
        hits += table["kept_low"][0] <= 0.55 / 0.7 <= table["kept_high"][0]
    assert hits / 300 > 0.88  # 0.94 over many seeds; a posterior's coverage is approximate


def test_posterior_limits_hold_the_value() -> None:
    one = of_draws(np.linspace(0, 1, 100), 1.2)
    assert one.low <= one.value <= one.high
