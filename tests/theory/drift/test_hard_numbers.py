"""Numbers at which the arithmetic once lost digits in silence, each as its kind, against mpmath."""

from __future__ import annotations

import mpmath
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mpf
from torch import Tensor

from tests.theory import oracle
from tests.theory.columns import agrees
from theory import catalogue, enclose, measure
from theory.drift.privacy import hockey_stick
from theory.sequences.drafting import draft_temperature

sizes = st.sampled_from((2, 3, 9))
seeds = st.integers(0, 10**6)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seeds, sizes, st.sampled_from((1.0, 30.0, 300.0, 709.0, 2e3, 1e4)), st.sampled_from((0.0, 0.5, 40.0)))
def test_privacy_curves_of_any_range(seed: int, size: int, fall: float, epsilon: float) -> None:
    """The heaviest token of p may fall further than e^x can hold."""
    z = 3 * normal(seed, size)
    w = z + normal(seed + 1, size)
    w[z.argmax()] -= fall
    found = hockey_stick(z, w, [epsilon]).item()
    with mpmath.workdps(60 + int(2 * fall)):
        p, q = (oracle._softmax([mpf(v) for v in side.tolist()]) for side in (z, w))
        truth = mpmath.fsum(max(b - mpmath.exp(epsilon) * a, 0) for a, b in zip(p, q, strict=True))
        slope = mpmath.fsum(b for a, b in zip(p, q, strict=True) if b > mpmath.exp(epsilon) * a)
    assert abs(found - truth) <= 1e-12 * truth + 1e-13 * slope  # q_i - e^epsilon p_i may vanish


@given(seeds, sizes, st.sampled_from((1e-3, 1e-2, 1.0)), st.sampled_from((30.0, 700.0, 1e4)))
def test_log_ratios_of_any_range(seed: int, size: int, temperature: float, down: float) -> None:
    """rho_plus and rho_minus where a token is masked far down in one model and comes back in the other."""
    z, move = 3 * normal(seed, size), normal(seed + 1, size)
    z[seed % size] -= down
    agrees(z, z + move, temperature)
    w = z + 1e-3 * move
    w[seed % size] += 0.999 * down
    agrees(z, w, temperature)


@given(seeds, st.integers(2, 6), st.floats(20, 250), st.sampled_from((0.0, 1.0, 1e3, 1e-3)))
@example(0, 2, 61.0, 1.0)
def test_tied_heavy_tokens_and_a_rare_one(seed: int, ties: int, rare: float, offset: float) -> None:
    z = torch.cat([torch.zeros(ties, dtype=torch.float64), torch.tensor([-rare, -rare - 1]).double()])
    w = z + offset
    w[ties:] += normal(seed, 2)
    agrees(z, w, 1.0)


@given(
    seeds,
    sizes,
    st.sampled_from((1e-300, 1e-200, 1e-160, 1e-151, 1e-140, 1e-100, 1.0, 1e100, 1e149)),
    st.sampled_from((1e-100, 1e-40, 1e-9, 1e-3, 1.0, 1e3, 1e40, 1e100)),
)
def test_vectors_of_any_length(seed: int, size: int, length: float, ratio: float) -> None:
    """Squares of logits below 1e-154 are no floats."""
    z = length * normal(seed, size)
    w = (z + length * ratio * normal(seed + 1, size)).clamp(-1e150, 1e150)
    drift, enclosed = measure(z, w), enclose(z, w)
    with mpmath.workdps(500):
        truth = oracle.vector_columns(z.tolist(), w.tolist())
        for name in ("norm_sq", "parallel", "orthogonal_sq"):
            low, high = (mpf(end.item()) for end in enclosed[name])
            assert low <= truth[name] <= high, name
            if 1e-285 < abs(truth[name]) < 1e300:
                scale = mpmath.hypot(truth["parallel"], mpmath.sqrt(truth["orthogonal_sq"]))
                error = abs(getattr(drift, name).item() - truth[name])
                assert error <= 1e-12 * (scale if name == "parallel" else truth[name]), name
        certified = catalogue["A6"].certify(enclosed)
        cosine = oracle.cosine_distance([mpf(v) for v in z.tolist()], [mpf(v) for v in w.tolist()])
        assert certified.lower.item() <= cosine <= certified.upper.item()


@given(seeds, sizes, st.sampled_from((1e-20, 1e-3, 1.0, 1e3, 1e15, 1e20)))
def test_the_draft_temperature_at_any_scale(seed: int, size: int, scale: float) -> None:
    z, draft = normal(seed, 2, size)
    found = draft_temperature(z, scale * draft).item()
    if found == float("inf"):
        assert draft.mean() >= (torch.softmax(z, -1) * draft).sum() - 1e-12
        return
    with mpmath.workdps(60):
        p = oracle._softmax([mpf(v) for v in z.tolist()])
        values = [mpf(v) for v in (scale * draft).tolist()]
        goal = oracle._dot(p, values)

        def excess(inverse: mpf) -> mpf:
            return oracle._dot(oracle._softmax([inverse * v for v in values]), values) - goal

        near = 1 / mpf(found)
        # float64 knows the goal, a mean of the draft's logits, to one unit of their size
        unit = 8 * size * mpf(2) ** -53 * max(map(abs, values))
        assert excess(near * (1 - mpf(10) ** -13)) <= unit
        assert excess(near * (1 + mpf(10) ** -13)) >= -unit


@pytest.mark.parametrize("size", [1e3, 1e5, 1e10, 1e18])
def test_reverse_divergence_of_far_logits(size: float) -> None:
    z = torch.tensor([0.7, 0.0], dtype=torch.float64)
    drift = measure(z, z + torch.tensor([size, 0.0], dtype=torch.float64))
    assert drift.kl_reverse.item() == pytest.approx(drift.rho_plus.item(), rel=1e-12)
