"""Wanda (Sun et al. 2023, arXiv 2306.11695): score |W_ij| * ||X_j||_2, compared within each output row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from real.pruning.masks import per_row_mask
from real.pruning.spec import NofM, Unstructured


@dataclass
class InputNorms:
    """Running sum of squares of each input feature over calibration tokens."""

    squares: Tensor | None = None

    def add(self, inputs: Tensor) -> None:
        """Take in activations ``(..., inputs)``."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        # A column norm per batch: no squared copy of the activations is made.
        fresh = torch.linalg.vector_norm(flat, dim=0, dtype=torch.float32).double().square()
        self.squares = fresh if self.squares is None else self.squares + fresh

    @property
    def norms(self) -> Tensor:
        """||X_j||_2, float32 ``(inputs,)``."""
        assert self.squares is not None
        return self.squares.sqrt().float()


def wanda_mask(weight: Tensor, norms: Tensor, pattern: Unstructured | NofM) -> Tensor:
    """Mask (True = zero) of ``weight`` (outputs, inputs) for input norms ``(inputs,)``."""
    return per_row_mask(weight.abs().float() * norms, pattern)
