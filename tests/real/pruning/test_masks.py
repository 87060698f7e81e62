"""Masks: exactly as many zeros as asked, on the smallest scores; Wanda recomputed weight by weight."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from real.pruning.magnitude import magnitude_mask
from real.pruning.masks import per_row_mask, smallest, whole_matrix_mask
from real.pruning.spec import NofM, Unstructured
from real.pruning.wanda import InputNorms, wanda_mask

seeds = st.integers(0, 2**31)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 5).map(lambda groups: groups * 4))
percents = st.sampled_from([0, 10, 33.3, 50, 99, 100])


def scores(shape: tuple[int, int], seed: int, levels: int = 5) -> torch.Tensor:
    """Few distinct values, so that ties are the rule."""
    return torch.randint(0, levels, shape, generator=torch.Generator().manual_seed(seed)).float()


@given(shapes, seeds, st.data())
def test_smallest_takes_exactly_count_and_nothing_larger(
    shape: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    values = scores(shape, seed)
    count = data.draw(st.integers(0, shape[1]))
    mask = smallest(values, count)
    assert (mask.sum(-1) == count).all()
    for row, chosen in zip(values, mask, strict=True):
        if 0 < count < len(row):
            assert row[chosen].max() <= row[~chosen].min()


@given(shapes, seeds, st.integers(0, 4))
def test_n_of_m_holds_in_every_group(shape: tuple[int, int], seed: int, n: int) -> None:
    values = scores(shape, seed)
    for mask in (per_row_mask(values, NofM(n, 4)), whole_matrix_mask(values, NofM(n, 4))):
        groups, kept = mask.reshape(-1, 4), values.reshape(-1, 4)
        assert (groups.sum(-1) == n).all()
        for row, chosen in zip(kept, groups, strict=True):
            if 0 < n < 4:
                assert row[chosen].max() <= row[~chosen].min()


@given(shapes, seeds, percents)
def test_percentage_is_exact_per_row_and_per_matrix(
    shape: tuple[int, int], seed: int, percent: float
) -> None:
    values, pattern = scores(shape, seed), Unstructured(percent)
    assert (per_row_mask(values, pattern).sum(-1) == int(shape[1] * percent / 100)).all()
    assert whole_matrix_mask(values, pattern).sum() == int(values.numel() * percent / 100)


def test_groups_must_fit() -> None:
    with pytest.raises(ValueError, match="6 inputs has no whole groups of 4"):
        per_row_mask(torch.ones(2, 6), NofM(2, 4))


@given(seeds, st.sampled_from([Unstructured(50), Unstructured(25), NofM(2, 4), NofM(4, 8), NofM(1, 2)]))
def test_wanda_as_published_weight_by_weight(seed: int, pattern: Unstructured | NofM) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, inputs = torch.randn(3, 16, generator=generator), torch.randn(2, 7, 16, generator=generator)
    norms = InputNorms()
    for batch in inputs:
        norms.add(batch)
    mask = wanda_mask(weight, norms.norms, pattern)
    flat = inputs.reshape(-1, 16)
    for i in range(3):
        score = {j: abs(float(weight[i, j])) * float((flat[:, j] ** 2).sum() ** 0.5) for j in range(16)}
        if isinstance(pattern, NofM):
            groups = [range(start, start + pattern.m) for start in range(0, 16, pattern.m)]
            expected = {j for group in groups for j in sorted(group, key=score.__getitem__)[: pattern.n]}
        else:
            expected = set(sorted(range(16), key=score.__getitem__)[: int(16 * pattern.percent / 100)])
        assert {int(j) for j in mask[i].nonzero()} == expected


def test_wanda_differs_from_magnitude_where_inputs_do() -> None:
    weight = torch.tensor([[1.0, 2.0]])
    assert wanda_mask(weight, torch.tensor([10.0, 1.0]), NofM(1, 2)).tolist() == [[False, True]]
    assert magnitude_mask(weight, NofM(1, 2)).tolist() == [[True, False]]


def test_norms_of_half_precision_activations_do_not_overflow() -> None:
    norms = InputNorms()
    norms.add(torch.full((1000, 4), 300.0, dtype=torch.float16))
    assert torch.allclose(norms.norms, torch.tensor(300.0 * 1000**0.5))
