"""The way ``measure`` takes for rows whose logits hardly moved, to the edge of its range, against mpmath."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.theory import oracle
from tests.theory.columns import agrees, allowed, error, whole_pair
from theory import measure
from theory.drift.rows.careful import careful_rows
from theory.drift.rows.small import LARGEST_STEP, small_columns, small_sums


def small_step(
    seed: int, size: int, shape: str, step: float, shift: float = 0.0, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Logits, and others moved by a shift and by so much that the largest |centred delta| is ``step``."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, generator=generator, dtype=torch.float64)
    if shape == "nearly certain":
        logits[seed % size] += 45
    if shape == "two heavy":
        logits[0] = logits[-1] = 30.0
    if shape == "tied":
        logits.round_()
    delta = torch.rand(size, generator=generator, dtype=torch.float64) - 0.5
    if shape == "one moved":
        delta[1:] *= 1e-6
    centred = whole_pair(logits.unsqueeze(0), (logits + delta).unsqueeze(0), temperature).centred_delta().x
    return logits, logits + shift + delta * (step / centred.abs().max())


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from((2, 3, 17, 200)),
    shape=st.sampled_from(("plain", "nearly certain", "two heavy", "tied", "one moved")),
    step=st.sampled_from((1.0, 0.5, 0.1, 1e-2, 1e-4, 1e-7, 1e-12)),
    shift=st.sampled_from((0.0, 1.0, -64.0)),
    temperature=st.sampled_from((1.0, 0.7)),
)
def test_moments_serve_small_steps(
    seed: int, size: int, shape: str, step: float, shift: float, temperature: float
) -> None:
    logits, perturbed = small_step(seed, size, shape, 0.999999 * step * LARGEST_STEP, shift, temperature)
    pair = whole_pair(logits.unsqueeze(0), perturbed.unsqueeze(0), temperature)
    x = pair.centred_delta().x
    assert x.abs().max() <= LARGEST_STEP
    columns, doubts = small_columns(small_sums(pair, x), size)
    truth = oracle.drift_columns(logits.tolist(), perturbed.tolist(), temperature)
    if doubts.any():
        assert size <= 3 or shape != "plain", "small steps between ordinary logits must not need more care"
    else:
        assert set(columns) == set(careful_rows(pair))
        for name, value in truth.items():
            found = columns[name].item()
            assert error(name, found, value) <= allowed(name, truth, logits, perturbed), (name, found, value)
    agrees(logits, perturbed, temperature)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_the_ways_meet_where_the_steps_are_no_longer_small(factor: float) -> None:
    agrees(*small_step(0, 300, "plain", factor * LARGEST_STEP), 1.0)


def test_a_shift_is_no_drift_where_no_token_is_heavy() -> None:
    logits = torch.arange(300).double().remainder(7) / 8
    drift = measure(logits, logits + 4096)
    for name in ("kl", "kl_reverse", "js", "tv", "hellinger_sq", "chi2", "cosdist_p", "oscillation", "var_p"):
        assert getattr(drift, name).item() == 0.0, name
