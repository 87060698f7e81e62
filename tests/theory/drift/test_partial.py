"""The bracket holds for every way to complete what was not seen, and closes when everything was."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from theory.drift.partial import partial_drift

SIZE = 7
logits = st.lists(st.floats(-6, 6), min_size=SIZE, max_size=SIZE)
subsets = st.sets(st.integers(0, SIZE - 1))


def _laws(first: list[float], second: list[float]) -> tuple[Categorical, Categorical]:
    return (
        Categorical(logits=torch.tensor(first, dtype=torch.float64)),
        Categorical(logits=torch.tensor(second, dtype=torch.float64)),
    )


def _some(law: Categorical, tokens: set[int]) -> dict[int, float]:
    return {token: float(law.logits[token]) for token in tokens}


@given(logits, logits, subsets, subsets)
def test_truth_is_inside_whatever_was_seen(
    first: list[float], second: list[float], mine: set[int], theirs: set[int]
) -> None:
    p, q = _laws(first, second)
    found = partial_drift(_some(p, mine), _some(q, theirs))
    tv = float((p.probs - q.probs).abs().sum() / 2)
    assert found.tv_lower - 1e-12 <= tv <= found.tv_upper + 1e-12
    assert found.kl_lower <= float(kl_divergence(p, q)) + 1e-9


@given(logits, logits)
def test_everything_seen_is_exact(first: list[float], second: list[float]) -> None:
    p, q = _laws(first, second)
    found = partial_drift(_some(p, set(range(SIZE))), _some(q, set(range(SIZE))))
    tv = float((p.probs - q.probs).abs().sum() / 2)
    assert found.tv_lower == pytest.approx(tv, abs=1e-12)
    assert found.tv_upper == pytest.approx(tv, abs=1e-12)
    assert found.kl_lower == pytest.approx(float(kl_divergence(p, q)), rel=1e-6, abs=1e-12)


@given(logits, logits, subsets, st.integers(1, 3))
def test_rounded_lists_give_a_wider_true_bracket(
    first: list[float], second: list[float], seen: set[int], digits: int
) -> None:
    p, q = _laws(first, second)
    half = 0.5 * 10.0**-digits
    rounded = [
        {token: min(0.0, round(value, digits)) for token, value in _some(law, seen).items()} for law in (p, q)
    ]
    found = partial_drift(*rounded, (half, half))
    tv = float((p.probs - q.probs).abs().sum() / 2)
    assert found.tv_lower - 1e-12 <= tv <= found.tv_upper + 1e-12
    assert found.kl_lower <= float(kl_divergence(p, q)) + 1e-9


@pytest.mark.parametrize("value", [0.1, math.nan])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="log_q"):
        partial_drift({0: -1.0}, {0: value})
