"""Which weights to set to zero: the smallest scores, by percentage or n of every m, exactly as many."""

from __future__ import annotations

import torch
from torch import Tensor

from real.pruning.spec import NofM, Unstructured


def smallest(scores: Tensor, count: int) -> Tensor:
    """Mask of the ``count`` smallest entries of each row of ``scores`` (..., inputs); the first wins ties."""
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = scores.kthvalue(count, dim=-1, keepdim=True).values
    below = scores < threshold
    ties = scores == threshold
    return below | (ties & (ties.cumsum(-1) <= count - below.sum(-1, keepdim=True)))


def smallest_of_groups(scores: Tensor, pattern: NofM) -> Tensor:
    """Mask of exactly ``n`` zeros in every ``m`` consecutive inputs; ``scores`` (outputs, inputs).

    Raises
    ------
    ValueError
        The number of inputs is no multiple of m.
    """
    outputs, inputs = scores.shape
    if inputs % pattern.m:
        raise ValueError(
            f"pattern {pattern}: a matrix with {inputs} inputs has no whole groups of {pattern.m}"
        )
    return smallest(scores.reshape(outputs, -1, pattern.m), pattern.n).reshape(outputs, inputs)


def zeros(inputs: int, pattern: Unstructured) -> int:
    """How many of ``inputs`` weights a percentage zeroes (rounded down, as the methods' authors do)."""
    return int(inputs * pattern.percent / 100)


def per_row_mask(scores: Tensor, pattern: Unstructured | NofM) -> Tensor:
    """Smallest scores within each output row (Wanda's comparison group)."""
    if isinstance(pattern, NofM):
        return smallest_of_groups(scores, pattern)
    return smallest(scores, zeros(scores.shape[-1], pattern))


def whole_matrix_mask(scores: Tensor, pattern: Unstructured | NofM) -> Tensor:
    """Smallest scores of the whole matrix (magnitude pruning, and SparseGPT within a block of columns)."""
    if isinstance(pattern, NofM):
        return smallest_of_groups(scores, pattern)
    return smallest(scores.reshape(-1), zeros(scores.numel(), pattern)).reshape(scores.shape)
