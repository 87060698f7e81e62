"""Magnitude pruning: zero the weights of smallest absolute value of each matrix. Needs no data."""

from __future__ import annotations

from torch import Tensor

from real.pruning.masks import whole_matrix_mask
from real.pruning.spec import NofM, Unstructured


def magnitude_mask(weight: Tensor, pattern: Unstructured | NofM) -> Tensor:
    """Mask (True = zero) of ``weight`` (outputs, inputs)."""
    return whole_matrix_mask(weight.abs().float(), pattern)
