"""``measure_vectors`` against mpmath: nearly parallel, opposite, tiny, huge and zero vectors."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.theory import oracle
from theory import VectorDrift, measure_vectors

SCALES = (1e-100, 1e-9, 1.0, 1e4, 1e100)


@st.composite
def vectors(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    size = draw(st.integers(1, 9))
    entries = st.lists(
        st.floats(-1, 1).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=size, max_size=size
    )
    x, other = (torch.tensor(draw(entries), dtype=torch.float64) for _ in range(2))
    x = x * draw(st.sampled_from(SCALES))
    along = draw(st.sampled_from((0.0, 1.0, -1.0, -2.0, 3.0, 1 / 3, 1e-7, 0.1, -0.999999)))
    return x, x + along * x + other * x.abs().max() * draw(
        st.sampled_from((0.0, 1e-14, 1e-9, 1e-3, 1.0, 1e6))
    )


@settings(max_examples=300)
@given(vectors())
@example((torch.tensor([3.0, 6.0], dtype=torch.float64), torch.tensor([4.0, 8.0], dtype=torch.float64)))
@example((torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)))
@example((torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)))
@example((torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)))
def test_every_column_is_exact(pair: tuple[Tensor, Tensor]) -> None:
    x, y = pair
    drift = measure_vectors(x, y)
    with mpmath.workdps(150):
        truth = oracle.vector_columns(x.tolist(), y.tolist())
        for name in drift.columns:
            found, exact = getattr(drift, name).item(), truth[name]
            if mpmath.isnan(exact):
                assert math.isnan(found), name
                continue
            scale = abs(exact)
            if name == "parallel":
                scale = mpmath.sqrt(truth["relative_sq"])
            noise = 1e-40 * (1 + float(truth["relative_sq"] if mpmath.isfinite(truth["relative_sq"]) else 0))
            assert abs(found - exact) <= 1e-13 * scale + noise * (name in ("cosdist", "orthogonal_sq")), name


def test_paper_first_theorem_is_the_small_limit() -> None:
    x = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    across = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)
    drift = measure_vectors(x.expand(3, 3), x + across * torch.tensor([[1e-3], [1e-6], [1e-9]]))
    ratio = drift.cosdist / (drift.orthogonal_sq / 2)
    assert (1 - ratio).abs().tolist() == pytest.approx([0.0] * 3, abs=2e-6)
    assert (ratio <= 1 + 1e-15).all()


def test_operations_and_bad_input() -> None:
    x = torch.ones(2, 3, 4)
    drift = measure_vectors(x, x)
    assert drift.shape == (2, 3)
    assert isinstance(drift[0], VectorDrift)
    assert drift.frame().shape == (6, 7)
    assert drift.cosdist.eq(0).all()
    with pytest.raises(ValueError, match=r"y has shape \(2, 3, 5\); expected that of x, \(2, 3, 4\)"):
        measure_vectors(x, torch.ones(2, 3, 5))
    with pytest.raises(ValueError, match="y contains inf; expected finite"):
        measure_vectors(x, x / 0)
