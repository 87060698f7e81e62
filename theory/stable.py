"""Small float64 tensor functions that keep their digits where the textbook form cancels or overflows.

Theorem ids I1 and I4. All are elementwise, or reduce the last axis where said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SERIES_BELOW = 0.25
_GAP_SERIES = tuple(2.0 * (-1) ** k / math.factorial(k + 2) for k in range(13))
_JS_SERIES = tuple(1.0 / ((k + 1) * (2 * k + 1)) for k in range(14))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products over the last axis of two ``(rows, V)`` tensors, ``(rows,)``, without a temporary."""
    return torch.matmul(a.unsqueeze(-2), b.unsqueeze(-1)).reshape(a.shape[:-1])


def two_difference(a: Tensor, b: Tensor, room: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
    """a - b as an unevaluated sum ``high + low`` that is exact in float64 (Knuth's TwoSum).

    ``room`` may lend three buffers; the first two become the result.
    """
    high, low, virtual = room or (torch.empty_like(a), torch.empty_like(a), torch.empty_like(a))
    torch.sub(a, b, out=high)
    torch.sub(high, a, out=virtual)
    torch.sub(high, virtual, out=low)
    torch.sub(a, low, out=low)
    return high, low.sub_(virtual.add_(b))


def horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """sum_k coefficients[k] x^k."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value.mul_(x).add_(coefficient)
    return value


def exponential_gap(x: Tensor) -> Tensor:
    """e^(-x) - 1 + x for x >= 0, which is x^2/2 - x^3/6 + ... near 0."""
    near = x.clamp(max=SERIES_BELOW)
    return torch.where(x < SERIES_BELOW, horner(near, _GAP_SERIES) * near * near / 2, x + torch.expm1(-x))


def jensen_shannon_density(t: Tensor) -> Tensor:
    """((1+t) log(1+t) + (1-t) log(1-t))/2 for 0 <= t <= 1, which is t^2/2 + t^4/12 + ... near 0."""
    near = t.clamp(max=SERIES_BELOW).square_()
    direct = 0.5 * ((1 + t) * torch.log1p(t) + torch.special.xlog1py(1 - t, -t))
    return torch.where(t < SERIES_BELOW, horner(near, _JS_SERIES) * near / 2, direct)


def log_mean_exp(log_p: Tensor, x: Tensor, log_q: Tensor) -> Tensor:
    """log sum p e^x over the last axis, ``(..., 1)``, for normalised p and q with q proportional to p e^x.

    Summing p (e^x - 1) keeps a small result; a result of order one or more is x + log p - log q at p's
    heaviest token, which cannot overflow.
    """
    p = torch.exp(log_p)
    near = p * torch.expm1(x.clamp(max=1.0))
    excess = torch.where(x < 1, near, torch.exp(log_p + x) - p).sum(-1, keepdim=True)
    far = (x + log_p - log_q).gather(-1, log_p.argmax(-1, keepdim=True))
    return torch.where(excess.abs() < 0.5, torch.log1p(excess.clamp(-0.5, 0.5)), far)
