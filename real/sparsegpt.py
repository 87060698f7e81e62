"""SparseGPT (Frantar & Alistarh 2023, arXiv 2301.00774): prune column by column, later columns compensate.

With H = X^T X and R the upper Cholesky factor of H^-1, removing w_j costs (w_j / R_jj)^2 on the calibration
data, and the best repair of the columns after j subtracts (w_j / R_jj) R_j,:. Masks are chosen block by block
(n:m: group by group) on the repaired weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from real.masks import smallest, whole_matrix_mask
from real.spec import NofM, Unstructured

BLOCK = 128
DAMPING = 0.01
# X^T X is symmetric: only block columns up to the diagonal are multiplied, the rest is mirrored.
HESSIAN_BLOCKS = 6


class HessianError(ValueError):
    """A Hessian that no reasonable damping makes positive definite (NaN or infinite activations)."""


@dataclass
class Hessian:
    """Running X^T X over calibration tokens, ``(inputs, inputs)``."""

    total: Tensor | None = None

    def add(self, inputs: Tensor) -> None:
        """Take in activations ``(..., inputs)``."""
        flat = inputs.reshape(-1, inputs.shape[-1]).float()
        if self.total is None:
            self.total = flat.new_zeros(flat.shape[-1], flat.shape[-1])
        bounds = torch.linspace(0, flat.shape[-1], HESSIAN_BLOCKS + 1).long().tolist()
        for start, stop in pairwise(bounds):
            self.total[:stop, start:stop].addmm_(flat[:, :stop].T, flat[:, start:stop])

    @property
    def matrix(self) -> Tensor:
        """The whole symmetric matrix in float64."""
        assert self.total is not None
        upper = self.total.double().triu()
        return upper + upper.triu(1).T


@dataclass(frozen=True)
class Solved:
    """Pruned weights, their mask (True = zero), and the relative damping that made the Hessian invertible."""

    weight: Tensor
    mask: Tensor
    damping: float


def sparsegpt(
    weight: Tensor, hessian: Tensor, pattern: Unstructured | NofM, damping: float = DAMPING
) -> Solved:
    """Prune ``weight`` (outputs, inputs) for ``hessian`` = X^T X, float64.

    Each row ends no worse on the calibration data than with the same mask and no repair: in the rare row
    where greedy repair loses (it cannot undo a repair into a column pruned later) the old weights are kept.
    """
    factor, used = inverse_factor(hessian, damping)
    repaired, mask = repair(weight.double(), factor, pattern)
    plain = weight.double().masked_fill(mask, 0)
    worse = output_loss(repaired - weight, hessian) > output_loss(plain - weight, hessian)
    best = torch.where(worse.unsqueeze(-1), plain, repaired)
    return Solved(best.to(weight.dtype).masked_fill_(mask, 0), mask, used)


def output_loss(change: Tensor, hessian: Tensor) -> Tensor:
    """Squared error of each output over the calibration tokens, ``(outputs,)``, for a change of weights."""
    change = change.double()
    return ((change @ hessian) * change).sum(-1)


def inverse_factor(hessian: Tensor, damping: float = DAMPING) -> tuple[Tensor, float]:
    """Upper Cholesky factor R of (H + damping * mean diagonal)^-1 = R^T R, and the damping used.

    Features that were always zero get a unit diagonal. Damping grows tenfold until factorisation succeeds.

    Raises
    ------
    HessianError
        It never does.
    """
    hessian = hessian.clone()
    diagonal = hessian.diagonal()
    diagonal[diagonal == 0] = 1
    scale = diagonal.mean()
    relative = damping
    while relative <= 1e3:
        damped = hessian + torch.diag_embed(relative * scale * torch.ones_like(diagonal))
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed and lower.isfinite().all():
            factor, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed and factor.isfinite().all():
                return factor, relative
        relative = max(10 * relative, 1e-8)
    raise HessianError("calibration activations hold NaN or infinite values: no damping makes X^T X definite")


def repair(weight: Tensor, factor: Tensor, pattern: Unstructured | NofM) -> tuple[Tensor, Tensor]:
    """The published sweep over columns; returns repaired weights and mask."""
    weight, inputs = weight.clone(), weight.shape[1]
    mask = torch.zeros_like(weight, dtype=torch.bool)
    group = pattern.m if isinstance(pattern, NofM) else 1
    if inputs % group:
        raise ValueError(f"pattern {pattern}: a matrix with {inputs} inputs has no whole groups of {group}")
    size = max(group, BLOCK // group * group)
    for start in range(0, inputs, size):
        stop = min(start + size, inputs)
        block, corner = weight[:, start:stop], factor[start:stop, start:stop]
        chosen = mask[:, start:stop]
        if isinstance(pattern, Unstructured):
            chosen |= whole_matrix_mask((block / corner.diagonal()) ** 2, pattern)
        errors = torch.zeros_like(block)
        for j in range(stop - start):
            if isinstance(pattern, NofM) and j % group == 0:
                ahead = slice(j, j + group)
                chosen[:, ahead] = smallest((block[:, ahead] / corner.diagonal()[ahead]) ** 2, pattern.n)
            removed = torch.where(chosen[:, j], block[:, j], 0)
            errors[:, j] = removed / corner[j, j]
            block[:, j:] -= errors[:, j : j + 1] * corner[j, j:]
        weight[:, stop:] -= errors @ factor[start:stop, stop:]
    return weight.masked_fill_(mask, 0), mask
