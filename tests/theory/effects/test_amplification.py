"""Amplification against brute force and Monte Carlo (5 sigma)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory.effects.amplification import (
    augmented_hidden,
    expected_amplification,
    head_diameter,
    head_diameter_bound,
    largest_covariance_eigenvalue,
    worst_direction,
)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("size", [9, 40])
def test_mean_amplification_agrees_with_monte_carlo(size, centred):
    rng = np.random.default_rng(5)
    z, T = rng.normal(size=size) * 2 + 1, 0.9
    r = np.exp(2 * z / T - (2 * z / T).max())
    r /= r.sum()
    D = rng.normal(size=(200_000, size))
    base = z - z.mean() if centred else z
    D = D - D.mean(1, keepdims=True) if centred else D
    across = (D * D).sum(1) - (D @ base) ** 2 / (base @ base)
    sample = (base @ base) * ((D * D) @ r - (D @ r) ** 2) / (T * T * across)
    value = float(expected_amplification(torch.tensor(z), T, centred=centred))
    assert abs(sample.mean() - value) < 5 * sample.std() / math.sqrt(sample.size)


weights = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(1e-12, 1.0)).map(
    lambda x: x / x.sum()
)


@given(weights)
@example(np.array([0.25] * 4))
@example(np.array([1 - 1e-9, 1e-9]))
@example(np.array([0.5, 0.5 - 1e-16, 1e-16]))
def test_the_secular_root_is_the_largest_eigenvalue(w):
    expected = np.linalg.eigvalsh(np.diag(w) - np.outer(w, w))[-1]
    assert largest_covariance_eigenvalue(w) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(hnp.arrays(np.float64, st.integers(4, 90), elements=st.floats(-4, 4)))
@example(np.zeros(5))
@example(np.linspace(-3, 3, 80))
def test_the_worst_direction_beats_random_ones_and_keeps_its_value(z):
    worst = worst_direction(z, 1.3)
    direction = worst.direction
    assert abs(direction.sum()) < 1e-6
    assert abs(direction @ z) < 1e-6 * (1 + np.abs(z).max())
    r = np.exp(2 * (z - z.max()) / 1.3)
    r /= r.sum()
    scale = (z @ z) / 1.3**2

    def amplification(x):
        return scale * (r @ x**2 - (r @ x) ** 2) / (x @ x)

    assert worst.amplification == pytest.approx(amplification(direction), rel=1e-6, abs=1e-12)
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(np.stack([np.ones_like(z), z + 1e-9 * rng.normal(size=z.size)], axis=1))
    for _ in range(20):
        x = rng.normal(size=z.size) * np.sqrt(r)
        x -= basis @ (basis.T @ x)
        assert amplification(x) <= worst.amplification * (1 + 1e-5) + 1e-9


@given(st.integers(0, 10**6), st.floats(1e-6, 1.0))
def test_the_augmented_hidden_state_carries_the_norm(seed, epsilon):
    rng = torch.Generator().manual_seed(seed)
    h, other = torch.randn(2, 6, generator=rng, dtype=torch.float64)
    gain = torch.randn(6, generator=rng, dtype=torch.float64)
    head = torch.randn(9, 6, generator=rng, dtype=torch.float64)
    pair = augmented_hidden(torch.stack([h, other]), epsilon)
    unit = pair / pair.norm(dim=1, keepdim=True)
    plain = torch.nn.functional.rms_norm(torch.stack([h, other]), (6,), gain, epsilon)
    torch.testing.assert_close(math.sqrt(6) * gain * unit[:, :6], plain)
    delta = head @ (plain[1] - plain[0]) / 0.7
    chord = (unit[1] - unit[0]).norm()
    bound = math.sqrt(6) / 0.7 * head_diameter(head, gain) * chord
    assert delta.max() - delta.min() <= bound * (1 + 1e-12)
    layer = torch.nn.functional.layer_norm(torch.stack([h, other]), (6,), gain, None, epsilon)
    centred = augmented_hidden(torch.stack([h, other]), epsilon, centre=True)
    torch.testing.assert_close(
        math.sqrt(6) * gain * (centred / centred.norm(dim=1, keepdim=True))[:, :6], layer
    )


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_the_diameter_is_the_largest_distance_and_lies_below_its_bound(seed, rows):
    points = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    brute = max(float((a - b).norm()) for a in points for b in points)
    assert head_diameter(points, chunk=7) == pytest.approx(brute, abs=1e-12)
    assert brute <= head_diameter_bound(points) * (1 + 1e-12)


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="at least 4 entries"):
        expected_amplification(torch.zeros(3))
    with pytest.raises(ValueError, match="temperature must be positive"):
        expected_amplification(torch.zeros(9), 0.0)
    with pytest.raises(ValueError, match="sum to 1"):
        largest_covariance_eigenvalue([0.5, 0.4])
    with pytest.raises(ValueError, match="at least 3 entries"):
        worst_direction([0.0, 1.0])
    with pytest.raises(ValueError, match=r"shape \(k, d\)"):
        head_diameter(torch.zeros(3))
    with pytest.raises(ValueError, match="epsilon must be"):
        augmented_hidden(torch.zeros(3), -1.0)
