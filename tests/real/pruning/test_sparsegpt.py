"""SparseGPT against optimal brain surgery done exactly, column by column."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import real.pruning.sparsegpt
from real.pruning.magnitude import magnitude_mask
from real.pruning.sparsegpt import Hessian, HessianError, inverse_factor, repair, sparsegpt
from real.pruning.spec import NofM, Unstructured

patterns = st.sampled_from([Unstructured(50), Unstructured(30), NofM(2, 4), NofM(4, 8), NofM(1, 2)])
seeds = st.integers(0, 2**31)


def problem(
    seed: int, outputs: int = 4, inputs: int = 16, tokens: int = 60
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and correlated activations."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
    x = torch.randn(tokens, inputs, generator=generator, dtype=torch.float64) @ mix
    return torch.randn(outputs, inputs, generator=generator, dtype=torch.float64), x


def surgery(row: torch.Tensor, hessian: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Remove the masked weights from left to right; after each, later weights move to the exact optimum."""
    row = row.clone()
    for j in range(len(row)):
        if mask[j]:
            inverse = torch.linalg.inv(hessian[j:, j:])
            row[j:] -= row[j] / inverse[0, 0] * inverse[:, 0]
            row[j] = 0
    return row


def output_loss(change: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Squared error of each output over the calibration tokens, ``(outputs,)``, for a change of weights."""
    change = change.double()
    return ((change @ hessian) * change).sum(-1)


@given(seeds, patterns)
def test_repair_is_exact_surgery_column_by_column(seed: int, pattern: Unstructured | NofM) -> None:
    weight, x = problem(seed)
    hessian = x.T @ x
    factor, _ = inverse_factor(hessian, damping=0)
    repaired, mask = repair(weight, factor, pattern)
    expected = torch.stack([surgery(row, hessian, chosen) for row, chosen in zip(weight, mask, strict=True)])
    torch.testing.assert_close(repaired, expected, rtol=1e-6, atol=1e-8)


@given(seeds, st.sampled_from([NofM(2, 4), NofM(1, 2)]))
def test_groups_lose_the_cheapest_weights_of_the_repaired_row(seed: int, pattern: NofM) -> None:
    """The score is w^2 / [H^-1]_jj of the columns not yet passed, on weights already repaired."""
    weight, x = problem(seed)
    hessian = x.T @ x
    _, mask = repair(weight, inverse_factor(hessian, damping=0)[0], pattern)
    for row, chosen in zip(weight, mask, strict=True):
        for start in range(0, 16, pattern.m):
            before = chosen.clone()
            before[start:] = False
            now = surgery(row, hessian, before)
            cost = {
                j: float(now[j] ** 2 / torch.linalg.inv(hessian[j:, j:])[0, 0])
                for j in range(start, start + pattern.m)
            }
            expected = sorted(cost, key=cost.__getitem__)[: pattern.n]
            assert (
                sorted(expected) == (chosen[start : start + pattern.m].nonzero().flatten() + start).tolist()
            )


@pytest.mark.parametrize("pattern", [Unstructured(50), NofM(2, 4)], ids=str)
def test_blocks_of_columns_are_an_optimisation_only(pattern: NofM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lazy updates in blocks give what one block gives (n:m masks do not depend on the blocks)."""
    weight, x = problem(3, inputs=32)
    factor, _ = inverse_factor(x.T @ x)
    monkeypatch.setattr(real.pruning.sparsegpt, "BLOCK", 8)
    small, mask = repair(weight, factor, pattern)
    expected = torch.stack(
        [
            surgery(row, torch.linalg.inv(factor.T @ factor), chosen)
            for row, chosen in zip(weight, mask, strict=True)
        ]
    )
    torch.testing.assert_close(small, expected)


@given(seeds, patterns)
def test_never_worse_than_the_same_mask_without_repair(seed: int, pattern: Unstructured | NofM) -> None:
    weight, x = problem(seed, tokens=20)
    hessian = x.T @ x
    solved = sparsegpt(weight, hessian, pattern)
    plain = output_loss(weight.masked_fill(solved.mask, 0) - weight, hessian)
    assert (output_loss(solved.weight - weight, hessian) <= plain * (1 + 1e-9)).all()
    assert (solved.weight[solved.mask] == 0).all()


def test_better_than_magnitude_on_correlated_inputs() -> None:
    weight, x = problem(0, outputs=32, inputs=64, tokens=300)
    hessian = x.T @ x
    solved = sparsegpt(weight, hessian, NofM(2, 4))
    by_size = weight.masked_fill(magnitude_mask(weight, NofM(2, 4)), 0)
    assert output_loss(solved.weight - weight, hessian).sum() < output_loss(by_size - weight, hessian).sum()


@given(seeds)
def test_hessian_is_the_sum_over_batches(seed: int) -> None:
    _, x = problem(seed, inputs=13, tokens=20)
    hessian = Hessian()
    for batch in x.reshape(2, 10, 13).split(1):
        hessian.add(batch)
    torch.testing.assert_close(hessian.matrix, x.T @ x, rtol=1e-4, atol=1e-4)
    assert torch.equal(hessian.matrix, hessian.matrix.T)


def test_a_singular_hessian_is_damped_and_said_so() -> None:
    """Fewer tokens than features: not positive definite without damping."""
    weight, x = problem(1, tokens=5)
    hessian = x.T @ x
    solved = sparsegpt(weight, hessian, NofM(2, 4), damping=0)
    assert solved.damping > 0
    assert solved.weight.isfinite().all()


def test_features_that_are_always_zero() -> None:
    weight, x = problem(1)
    x[:, 3] = 0
    solved = sparsegpt(weight, x.T @ x, Unstructured(25))
    assert solved.weight.isfinite().all()
    assert solved.mask[:, 3].all()


def test_hopeless_activations_raise() -> None:
    with pytest.raises(HessianError, match="NaN or infinite"):
        inverse_factor(torch.full((3, 3), float("nan"), dtype=torch.float64))
