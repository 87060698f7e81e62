"""Planning and many verdicts: the floor against exact binomials, e-BH against brute force and simulation."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from theory.sequences.betting import log_e_value, lower_limit
from theory.sequences.verdicts import bonferroni, e_bh, fixed_sequence, prompts_needed, rows_needed

limits = st.floats(0.01, 0.6)
alphas = st.sampled_from([0.01, 0.05, 0.2])


@given(limits, alphas)
def test_the_floor_is_where_destroyed_prompts_stay_unseen(limit: float, alpha: float) -> None:
    m = prompts_needed(limit, alpha)
    assert (1 - limit) ** m <= alpha * (1 + 1e-7)
    assert m == 1 or (1 - limit) ** (m - 1) > alpha * (1 - 1e-7)
    needed = rows_needed(torch.ones(1), 1 - limit, alpha)
    assert needed is not None
    assert needed >= m


@given(limits, alphas)
def test_the_plan_is_kept_when_nothing_moves(limit: float, alpha: float) -> None:
    m = rows_needed(torch.ones(1), 1 - limit, alpha)
    assert m is not None
    assert 1 - float(lower_limit(torch.ones(m, 1), alpha)) <= limit + 1e-9
    assert m == 1 or 1 - float(lower_limit(torch.ones(m - 1, 1), alpha)) > limit - 1e-9


def test_rows_needed_repeats_what_was_seen() -> None:
    values = torch.tensor([1.0, 0.9, 1.0, 0.8], dtype=torch.float64)
    m = rows_needed(values, 0.85, 0.05)
    assert m is not None
    again = values.repeat(m // 4 + 1)[:m].unsqueeze(1)
    assert float(log_e_value(again, 0.85, 0.05)) >= math.log(20)
    assert rows_needed(values, 0.95) is None  # the mean is below: no number of such rows decides


logs = st.lists(st.floats(-3, 8), min_size=1, max_size=7).map(lambda e: torch.tensor(e, dtype=torch.float64))


@given(logs, alphas)
def test_e_bh_is_the_largest_set_that_pays_for_itself(log_e: torch.Tensor, alpha: float) -> None:
    """Brute force: the largest set all of whose e-values reach s/(k alpha), k its size."""
    s, best = len(log_e), 0
    for size in range(1, s + 1):
        for chosen in itertools.combinations(log_e.tolist(), size):
            if min(chosen) >= math.log(s) - math.log(alpha) - math.log(size):
                best = size
    assert int(e_bh(log_e, alpha).sum()) >= best  # ties are accepted together
    if len(set(log_e.tolist())) == s:
        assert int(e_bh(log_e, alpha).sum()) == best
    assert bool((bonferroni(log_e, alpha) <= e_bh(log_e, alpha)).all())


@given(logs, alphas)
def test_a_fixed_sequence_stops_at_the_first_that_fails(log_e: torch.Tensor, alpha: float) -> None:
    passed = fixed_sequence(log_e, alpha)
    assert bool((log_e[:passed] >= -math.log(alpha)).all())
    assert passed == len(log_e) or float(log_e[passed]) < -math.log(alpha)


def test_wrong_verdicts_stay_rare_though_all_specs_share_the_prompts() -> None:
    """Simulated: 20 specs on 73 prompts, half of them just unsafe and failing on the same prompts."""
    g = torch.Generator().manual_seed(11)
    alpha, limit, runs = 0.1, 0.05, 300
    loss = torch.tensor([0.0501] * 10 + [0.0] * 10)
    wrong, power, ladder_wrong, single = [], [], [], []
    for _ in range(runs):
        shared = torch.rand(73, 1, generator=g)
        own = torch.rand(73, 20, generator=g)
        values = (torch.where(torch.arange(20) % 2 == 0, shared, own) >= loss).double()
        log_e = log_e_value(values, 1 - limit, alpha)
        chosen = e_bh(log_e, alpha)
        wrong.append(float(chosen[:10].sum()) / max(1, int(chosen.sum())))
        power.append(float(chosen[10:].double().mean()))
        ladder_wrong.append(fixed_sequence(torch.cat([log_e[10:], log_e[:10]]), alpha) > 10)
        single.append(bool((log_e[:10] >= -math.log(alpha)).any()))
    assert sum(wrong) / runs <= alpha
    assert sum(ladder_wrong) / runs <= alpha
    assert sum(single) / runs > 0.08  # some wrong verdict, far likelier than for one spec alone
    assert sum(power) / runs > 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prompts_needed(0.0), "limit is 0.0"),
        (lambda: prompts_needed(0.1, 1.0), "alpha is 1.0"),
        (lambda: rows_needed(torch.ones(2), 0.0), "mean is 0.0"),
        (lambda: e_bh(torch.ones(0)), r"log_e_values has shape \(0,\)"),
        (lambda: fixed_sequence(torch.tensor([math.nan])), "without nan"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
