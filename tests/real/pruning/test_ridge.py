"""Ridge regression against an augmented least-squares problem."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from real.pruning.ridge import STRENGTHS, ridge


def rows(seed: int, count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 99), count=st.integers(3, 20), inputs=st.integers(1, 6), intercept=st.booleans())
def test_against_augmented_rows(seed: int, count: int, inputs: int, intercept: bool) -> None:
    """Ridge is least squares with sqrt(strength) times the unit matrix below the centred inputs."""
    x, held_x, outputs = rows(seed, count, inputs), rows(seed + 1, 8, inputs), 3
    mix = rows(seed + 2, inputs, outputs)
    y, held_y = (part @ mix + 0.3 * rows(seed + 3, len(part), outputs) for part in (x, held_x))
    found = ridge(x, y, held_x, held_y, intercept)
    centre = [part.mean(0) if intercept else torch.zeros(part.shape[1]).double() for part in (x, y)]
    null = float((held_y - centre[1]).square().sum())
    errors = {math.inf: 1.0}
    weights: dict[float, Tensor | None] = {math.inf: None}
    scale = float((x - centre[0]).square().sum()) / inputs
    for strength in STRENGTHS[:-1]:
        below = math.sqrt(strength * scale) * torch.eye(inputs, dtype=torch.float64)
        taller = torch.cat([x - centre[0], below])
        targets = torch.cat([y - centre[1], torch.zeros(inputs, outputs, dtype=torch.float64)])
        solved = torch.linalg.lstsq(taller, targets, driver="gelsd").solution
        weights[strength] = solved.T
        errors[strength] = float((held_y - centre[1] - (held_x - centre[0]) @ solved).square().sum()) / null
    assert found.unexplained == pytest.approx(min(errors.values()), rel=1e-6)
    assert errors[found.strength] == pytest.approx(min(errors.values()), rel=1e-6)
    if found.weight is not None:
        torch.testing.assert_close(found.weight, weights[found.strength], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(found.bias, centre[1] - found.weight @ centre[0])


def test_noise_is_not_fitted() -> None:
    """Where inputs say nothing of outputs, the mean is all that is left."""
    found = ridge(rows(0, 12, 10), rows(1, 12, 4), rows(2, 400, 10), rows(3, 400, 4))
    assert found.unexplained <= 1
    assert found.strength >= 1


def test_constant_inputs_leave_the_mean() -> None:
    y = rows(1, 6, 2)
    found = ridge(torch.ones(6, 3), y, torch.ones(2, 3), y[:2])
    assert found.weight is None
    torch.testing.assert_close(found.bias, y.mean(0))


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (torch.zeros(0, 2), torch.zeros(0, 2), "rows to fit on"),
        (torch.full((3, 2), torch.nan), torch.zeros(3, 2), "finite"),
    ],
)
def test_bad_rows(x: Tensor, y: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ridge(x, y, torch.ones(2, 2), torch.ones(2, 2))
