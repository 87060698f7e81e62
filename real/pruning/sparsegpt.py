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

from real.pruning.masks import smallest, whole_matrix_mask
from real.pruning.spec import NofM, Unstructured

BLOCK = 128
# Columns that are repaired at once; the rest of a block follows in one product.
NEAR = 32
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
    return solve(weight, hessian, inverse_factor(hessian, damping), pattern)


def solve(
    weight: Tensor, hessian: Tensor, factored: tuple[Tensor, float], pattern: Unstructured | NofM
) -> Solved:
    """``sparsegpt`` with the inverse factor at hand, which matrices of one input share."""
    factor, used = factored
    repaired, mask = repair(weight.double(), factor, pattern)
    plain = weight.double().masked_fill(mask, 0)
    # The loss of a change c is c H c; the difference of two losses takes one product.
    worse = ((repaired - plain) @ hessian * (repaired + plain - 2 * weight)).sum(-1) > 0
    best = torch.where(worse.unsqueeze(-1), plain, repaired)
    return Solved(best.to(weight.dtype).masked_fill_(mask, 0), mask, used)


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
    inputs = weight.shape[1]
    columns = weight.T.clone(memory_format=torch.contiguous_format)  # a column lies in one piece of memory
    mask = torch.zeros_like(columns, dtype=torch.bool)
    group = pattern.m if isinstance(pattern, NofM) else 1
    if inputs % group:
        raise ValueError(f"pattern {pattern}: a matrix with {inputs} inputs has no whole groups of {group}")
    size, step = (max(group, width // group * group) for width in (BLOCK, NEAR))
    for start in range(0, inputs, size):
        stop = min(start + size, inputs)
        if isinstance(pattern, Unstructured):
            cost = (columns[start:stop].T / factor.diagonal()[start:stop]) ** 2
            mask[start:stop] = whole_matrix_mask(cost, pattern).T
        errors = torch.zeros_like(columns[start:stop])
        for near in range(start, stop, step):
            end = min(near + step, stop)
            part = slice(near - start, end - start)
            errors[part] = _sweep(columns[near:end], mask[near:end], factor[near:end, near:end], pattern)
            columns[end:stop] -= factor[near:end, end:stop].T @ errors[part]
        columns[stop:] -= factor[start:stop, stop:].T @ errors
    mask = mask.T.contiguous()
    return columns.T.masked_fill(mask, 0), mask


def _sweep(columns: Tensor, mask: Tensor, factor: Tensor, pattern: Unstructured | NofM) -> Tensor:
    """Remove masked weights of a few columns in turn, repairing those after; return the scaled errors.

    For n:m the mask of each group is chosen when the sweep reaches it.
    """
    errors = torch.zeros_like(columns)
    scale = factor.diagonal()
    for j in range(len(columns)):
        if isinstance(pattern, NofM) and j % pattern.m == 0:
            ahead = slice(j, j + pattern.m)
            mask[ahead] = smallest((columns[ahead].T / scale[ahead]) ** 2, pattern.n).T
        errors[j] = torch.where(mask[j], columns[j], 0) / scale[j]
        columns[j + 1 :].addr_(factor[j, j + 1 :], errors[j], alpha=-1)
    return errors
