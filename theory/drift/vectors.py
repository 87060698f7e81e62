"""Drift of a vector of any space: hidden state, logits, embedding (paper's Theorem 1, made exact: A6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from theory.drift.record import VectorDrift
from theory.drift.rows.rows import row_chunks
from theory.drift.rows.stable import two_difference
from theory.validation import check_pair

# Elements per chunk: the two dozen float64 temporaries of this size come from memory just used.
_CHUNK = 2**13
_SPLITTER = 2.0**27 + 1
_PEELS = 3
_UNPEELED = 2.0**-75  # three peels leave up to 2^-78 of a parallel vector


class Geometry(NamedTuple):
    """What :func:`geometry` finds; each of the leading shape ``(...)``."""

    cosdist: Tensor
    orthogonal_sq: Tensor
    parallel: Tensor
    norm_sq: Tensor
    relative_sq: Tensor


def _leading_bits(x: Tensor) -> tuple[Tensor, Tensor]:
    """x as the sum of its 26 leading bits and the rest (Veltkamp), so that products of parts are exact."""
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high


def power_of_two(x: Tensor) -> Tensor:
    """The power of two just above max |x| of the last axis (1 for a zero vector); dividing by it is exact."""
    largest = x.abs().amax(-1, keepdim=True)
    return torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent)


def geometry(x: Tensor, y: Tensor, high: Tensor, low: Tensor) -> Geometry:
    """Split d = high + low = y - x (float64, ``(..., V)``) along and across x.

    The part along x is peeled off in multiples of x that float64 represents, so an almost parallel d keeps
    the digits of the small part across x.
    """
    x_unit, y_unit = power_of_two(x), power_of_two(y)
    x, high, low, y = x / x_unit, high / x_unit, low / x_unit, y / y_unit
    norm_sq = (x * x).sum(-1, keepdim=True)
    relative_sq = (high * high).sum(-1, keepdim=True) / norm_sq
    scale = y_unit / x_unit
    shrunk = (y * y).sum(-1, keepdim=True) * scale * scale < relative_sq * norm_sq
    across, parallel = _peel(x, norm_sq, torch.where(shrunk, y * scale, high), torch.where(shrunk, 0.0, low))
    parallel = torch.where(shrunk, parallel - 1, parallel)
    orthogonal_sq = (across * across).sum(-1, keepdim=True) / norm_sq

    along = (x * y).sum(-1, keepdim=True) / norm_sq
    across_y = across / scale
    b_sq = (across_y * across_y).sum(-1, keepdim=True) / norm_sq
    length = torch.sqrt(along * along + b_sq)
    cosdist = torch.where(along > 0, b_sq / (length * (length + along)), 1 - along / length)

    relative_sq = torch.where(norm_sq == 0, torch.nan, relative_sq)
    still = (x == 0).all(-1) & (y == 0).all(-1)
    ratios = (cosdist, orthogonal_sq, parallel, relative_sq)
    cosdist, orthogonal_sq, parallel, relative_sq = (
        torch.where(still, 0.0, ratio.squeeze(-1)) for ratio in ratios
    )
    return Geometry(cosdist, orthogonal_sq, parallel, (norm_sq * x_unit * x_unit).squeeze(-1), relative_sq)


def _peel(x: Tensor, norm_sq: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
    """The part of high + low across x, and the multiple of x along it."""
    x_high, x_low = _leading_bits(x)
    across, parallel = high, torch.zeros_like(norm_sq)
    for peel in range(_PEELS):
        share = _leading_bits((x * across).sum(-1, keepdim=True) / norm_sq)[0]
        parallel = parallel + share
        across = (across - share * x_high) - share * x_low
        across = across + low if peel == 0 else across
    size = across.abs().amax(-1, keepdim=True)
    noise = size <= _UNPEELED * high.abs().amax(-1, keepdim=True)
    return torch.where(noise, 0.0, across), parallel


def centred(high: Tensor, low: Tensor) -> Tensor:
    """high + low less its mean over the last axis; the second pass removes what rounding the mean left."""
    first = (high - high.mean(-1, keepdim=True)) + low
    return first - first.mean(-1, keepdim=True)


def measure_vectors(x: Tensor, y: Tensor) -> VectorDrift:
    """Drift from the dense vectors ``x`` to the perturbed vectors ``y``, both ``(..., V)``, in float64.

    Raises
    ------
    ValueError
        If the two differ in shape, dtype or device, are not floating point, have an empty last axis, or hold
        values that are not finite.
    """
    check_pair("x", x, "y", y)
    dense, perturbed = (side.detach().reshape(-1, side.shape[-1]) for side in (x, y))
    blocks = []
    for rows in row_chunks(dense, _CHUNK):
        one, other = dense[rows].double(), perturbed[rows].double()
        blocks.append(VectorDrift(**geometry(one, other, *two_difference(other, one))._asdict()))
    return VectorDrift.cat(blocks).reshape(*x.shape[:-1])
