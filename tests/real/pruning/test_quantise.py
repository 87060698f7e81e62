"""Round-to-nearest: the error of each weight is at most half a step of its own scale."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from real.pruning.quantise import group_size, round_to_nearest


def random_weight(seed: int, outputs: int, inputs: int) -> torch.Tensor:
    """Rows of very different size, so that one scale for all would be seen."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, inputs, generator=generator) * torch.logspace(-3, 2, outputs).unsqueeze(-1)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 40))
def test_int8_is_within_half_a_step_of_each_row(seed: int, outputs: int, inputs: int) -> None:
    weight = random_weight(seed, outputs, inputs)
    step = weight.abs().amax(-1, keepdim=True) / 127
    assert ((round_to_nearest(weight, 8) - weight).abs() <= step * 0.5001).all()


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 40))
def test_int4_is_within_half_a_step_of_each_group(seed: int, outputs: int, inputs: int) -> None:
    weight = random_weight(seed, outputs, inputs)
    size = group_size(inputs)
    groups = weight.reshape(outputs, -1, size)
    low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
    error = (round_to_nearest(weight, 4) - weight).abs().reshape_as(groups)
    # A full step at the ends, where the rounded zero point shifts the grid; half a step elsewhere.
    assert (error <= (high - low) / 15 * 1.001 + 1e-8).all()


@given(st.integers(0, 2**31))
def test_levels_are_as_few_as_the_bits_allow(seed: int) -> None:
    weight = random_weight(seed, 3, 128)
    for row in round_to_nearest(weight, 4):
        assert len(row.unique()) <= 16
    for row in round_to_nearest(weight, 8):
        assert len(row.unique()) <= 256


def test_rounding_twice_changes_nothing_more() -> None:
    weight = random_weight(0, 4, 64)
    once = round_to_nearest(weight, 8)
    torch.testing.assert_close(round_to_nearest(once, 8), once, rtol=1e-6, atol=1e-9)


def test_groups_divide_the_inputs() -> None:
    assert [group_size(n) for n in (64, 128, 576, 1536, 7)] == [64, 128, 96, 128, 7]


def test_eight_bits_lose_less_than_four() -> None:
    weight = random_weight(1, 8, 128)
    errors = [(round_to_nearest(weight, bits) - weight).square().sum() for bits in (4, 8)]
    assert errors[1] < errors[0] / 50
