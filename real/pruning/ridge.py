"""Ridge regression with its strength chosen on rows that it was not fitted on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Of the mean diagonal of the inputs' second moments; at infinity nothing but the mean is left.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, math.inf)


@dataclass(frozen=True)
class LinearFit:
    """y ~ W x + b. weight: float64 ``(outputs, inputs)``, None at infinite strength; bias ``(outputs,)``.

    strength: relative to the mean diagonal of the second moments. unexplained: squared error on held-out rows
    over that of the mean (with an intercept) or of zero (without).
    """

    weight: Tensor | None
    bias: Tensor
    strength: float
    unexplained: float


def ridge(
    inputs: Tensor,
    targets: Tensor,
    held_inputs: Tensor,
    held_targets: Tensor,
    intercept: bool = True,
) -> LinearFit:
    """Fit targets ``(n, outputs)`` on inputs ``(n, inputs)``; the held-out rows choose among STRENGTHS.

    Computed in float64 from one eigendecomposition of the inputs' second moments. Plain least squares: D6
    says why no metric of the outputs that is the same for all tokens could change it, and what one that
    differs could gain.

    Raises
    ------
    ValueError
        No rows, or numbers that are not finite.
    """
    x, y, held_x, held_y = (part.double() for part in (inputs, targets, held_inputs, held_targets))
    if not len(x) or not len(held_x):
        raise ValueError("ridge: rows to fit on and held-out rows are needed, got none")
    if not all(bool(part.isfinite().all()) for part in (x, y, held_x, held_y)):
        raise ValueError("ridge: inputs and targets must be finite")
    centre_x, centre_y = (part.mean(0) if intercept else part.new_zeros(part.shape[1]) for part in (x, y))
    x, held_x = x - centre_x, held_x - centre_x
    y, held_y = y - centre_y, held_y - centre_y
    values, vectors = torch.linalg.eigh(x.T @ x)
    values = values.clamp(min=0)
    scale = float(values.mean())
    projected, seen, null = vectors.T @ (x.T @ y), held_x @ vectors, float(held_y.square().sum())
    best = LinearFit(None, centre_y, math.inf, 1.0)
    for strength in STRENGTHS[:-1] if scale > 0 and null > 0 else ():
        shrunk = projected / (values + strength * scale).unsqueeze(1)
        unexplained = float((held_y - seen @ shrunk).square().sum()) / null
        if unexplained < best.unexplained:
            weight = (vectors @ shrunk).T
            best = LinearFit(weight, centre_y - weight @ centre_x, strength, unexplained)
    return best
