"""The columns of one step against the careful ``measure`` and mpmath, at any vocabulary and any drift."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from real.forecast.stepwise import _compare, _margins, dense_pass, score_variant
from real.text.sample import sample
from tests.real.conftest import tiny_language_model
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


@pytest.mark.parametrize("act", [lambda x, y: _compare(torch.tensor([0, 0]), x, y), _margins])
@pytest.mark.parametrize(
    ("side", "value", "named"),
    [
        (0, -math.inf, "-inf at other places"),
        (1, -math.inf, "-inf at other places"),
        (0, math.nan, "of the dense model are NaN"),
        (1, math.inf, "of the variant are NaN or"),
    ],
)
def test_what_is_not_finite_in_one_model_alone_is_named(
    act: Callable[[Tensor, Tensor], Tensor], side: int, value: float, named: str
) -> None:
    """Also where other tokens are suppressed in both, as everyday models do."""
    _, *both = steps(0.3, 50)
    for suppressed in (0, 5):
        logits = [torch.nn.functional.pad(one, (0, suppressed), value=-math.inf) for one in both]
        logits[side][1, 7] = value
        with pytest.raises(ValueError, match=named):
            act(*logits)


def test_a_forecast_of_a_model_that_suppresses_other_tokens_is_refused() -> None:
    lm, other = tiny_language_model(), tiny_language_model()
    dense = dense_pass(lm, sample(lm, ["a", "some words"], 4))

    def suppress(module: object, args: object, logits: Tensor) -> Tensor:
        return logits.index_fill(-1, torch.tensor([9]), -math.inf)

    assert torch.isfinite(score_variant(lm, dense, other).kl).all()
    handle = other.model.lm_head.register_forward_hook(suppress)
    with pytest.raises(ValueError, match="the two suppress other tokens"):
        score_variant(lm, dense, other)
    lm.model.lm_head.register_forward_hook(suppress)
    again = score_variant(lm, dense_pass(lm, sample(lm, ["a", "some words"], 4)), other)
    assert not again.kl.any()
    handle.remove()
