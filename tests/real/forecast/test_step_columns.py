"""The columns of one step against the careful ``measure`` and mpmath, at any vocabulary and any drift."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from torch import Tensor

from real.forecast.stepwise import _compare, _margins
from theory import measure


def steps(scale: float, size: int, rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    dense = 3 * torch.randn(rows, size, generator=generator)
    other = dense + scale * torch.randn(rows, size, generator=generator)
    return torch.randint(size, (rows,), generator=generator), dense, other


@pytest.mark.parametrize("size", [2, 300, 49_152, 262_144])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.1, 3.0, 100.0])
def test_a_step_agrees_with_measure(scale: float, size: int) -> None:
    tokens, dense, other = steps(scale, size)
    log_ratio, tv, kl, shared, entropy, agree = _compare(tokens, dense, other)
    drift = measure(dense, other)
    for found, truth in ((tv, drift.tv), (kl, drift.kl), (entropy, drift.entropy)):
        torch.testing.assert_close(found, truth, rtol=1e-8, atol=1e-14)
    assert agree.bool().equal(drift.top1_agree)
    assert (shared <= 0).all()
    assert (log_ratio <= drift.rho_plus + 1e-12).all()
    if scale == 0:
        assert not torch.stack([log_ratio, tv, kl, shared]).any()


@pytest.mark.parametrize("scale", [1e-3, 0.1, 3.0, 100.0, 1000.0])
def test_the_shared_weight_of_any_drift(scale: float) -> None:
    """Beyond e^80, where float32 ends, and beyond e^709, where float64 does."""
    tokens, dense, other = steps(scale, 9, 8)
    shared = _compare(tokens, dense, other)[3]
    with mpmath.workdps(60 + int(4 * scale)):
        for row, token in enumerate(tokens.tolist()):
            p, q = ([mpmath.exp(mpmath.mpf(v)) for v in side[row].tolist()] for side in (dense, other))
            p, q = [v / mpmath.fsum(p) for v in p], [v / mpmath.fsum(q) for v in q]
            odds = p[token] / q[token]
            truth = -mpmath.log(mpmath.fsum(max(a, odds * b) for a, b in zip(p, q, strict=True)))
            assert shared[row].item() == pytest.approx(float(truth), rel=1e-9, abs=1e-14)


def test_tokens_that_no_model_can_draw_do_not_count() -> None:
    tokens, dense, other = steps(0.3, 50)
    padded = [torch.nn.functional.pad(side, (0, 6), value=-math.inf) for side in (dense, other)]
    torch.testing.assert_close(_compare(tokens, *padded), _compare(tokens, dense, other), rtol=1e-12, atol=0)
    assert _margins(*padded)[2].sub(_margins(dense, other)[2]).ge(0).all()
