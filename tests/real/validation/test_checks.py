from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from real.validation.checks import (
    COUNTS,
    FAILS,
    REPLICATES,
    SAFE,
    UNDECIDED,
    ceiling,
    counted,
    known,
    power,
    verdicts,
)
from theory.sequences.betting import lower_limit
from theory.sequences.verdicts import prompts_needed, rows_needed


def same(value: float, questions: int = 200) -> torch.Tensor:
    return torch.full((questions,), value, dtype=torch.float64)


@given(loss=st.floats(-0.4, 0.4), spread=st.floats(0, 0.5), seed=st.integers(0, 99))
def test_a_verdict_is_that_of_the_limits(loss: float, spread: float, seed: int) -> None:
    """The wealth at the threshold says the same as the limit itself, which costs far more."""
    noise = torch.randn(60, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    change = (-loss + spread * noise).clamp(-1, 1)
    found = verdicts(1 + change, 1 - change)
    upper, lower = 1 - lower_limit(1 + change, 0.05), lower_limit(1 - change, 0.05) - 1
    expected = torch.where(upper <= 0.1, SAFE, torch.where(lower >= 0.1, FAILS, UNDECIDED))
    clear = ((upper - 0.1).abs() > 1e-9) & ((lower - 0.1).abs() > 1e-9)
    assert found[clear].tolist() == expected[clear].tolist()


def test_nothing_decides_below_the_price_of_prompts() -> None:
    """What has not moved is safe as soon as the stakes allow, never before any method could say so (K0)."""
    needed = rows_needed(torch.ones(1), 0.9)
    found = power(known(same(1), same(1)), 200, 0.0)
    assert found.prompts == min(count for count in COUNTS if needed is not None and count >= needed)
    assert found.prompts > prompts_needed(0.1)
    assert (found.right, found.wrong) == (1, 0)


def test_a_ceiling_never_says_fails() -> None:
    found = power(ceiling(same(0.9)), 200, 0.9)
    assert found.prompts is None
    assert (found.right, found.wrong) == (0, 0)


def test_counting_needs_more_prompts_than_reading_off() -> None:
    """Both answers right half of the time: counted they differ half of the time, read off never."""
    half = same(0.5)
    read = power(known(same(1), same(1)), 200, 0.0)
    count = power(counted(half, half), 200, 0.0)
    assert read.prompts is not None
    assert count.prompts is None or count.prompts > read.prompts


def test_counting_counts() -> None:
    drawn = torch.arange(100).repeat(50, 1)
    plus, minus = counted(same(1), same(0))(drawn)
    assert plus.unique().tolist() == [0]
    assert minus is not None
    assert minus.unique().tolist() == [2]


@pytest.mark.parametrize(("loss", "truth"), [(0.0, "safe"), (0.4, "fails")])
def test_wrong_verdicts_are_rare(loss: float, truth: str) -> None:
    change = torch.full((200,), -loss, dtype=torch.float64)
    right = power(known(1 + change, 1 - change), 200, loss)
    wrong = power(known(1 + change, 1 - change), 200, 0.1 if loss > 0.1 else 0.2)
    assert right.wrong == 0
    assert right.prompts is not None
    assert wrong.wrong == 1  # asked for the other verdict, every sample that decides is wrong
    assert REPLICATES * right.right >= 80
