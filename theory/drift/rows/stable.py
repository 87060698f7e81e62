"""Small float64 tensor functions that keep their digits where the textbook form cancels or overflows.

Theorem ids I1 and I4. All are elementwise, or reduce the last axis where said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SERIES_BELOW = 0.25
STEEP = 30.0
# Products over many entries are summed piece by piece: one running sum of 262,144 equal terms loses 1e-12.
SEGMENT = 2048
UNBROKEN = 8192
_GAP_SERIES = tuple(2.0 * (-1) ** k / math.factorial(k + 2) for k in range(13))
_JS_SERIES = tuple(1.0 / ((k + 1) * (2 * k + 1)) for k in range(14))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products over the last axis of two ``(rows, V)`` tensors, ``(rows,)``."""
    if a.shape[0] == 1:  # without a temporary, which batches of such products would be too slow for
        return _in_segments(a, b[0])
    return torch.linalg.vecdot(a, b)


def dots(a: Tensor, b: Tensor) -> Tensor:
    """Dot products ``(rows, k)`` of each of the k in ``(rows, k, V)`` with ``(rows, V)``."""
    if a.shape[0] == 1:
        return _in_segments(a[0], b[0]).unsqueeze(0)
    # The vector comes first: the other order is several times slower where there are many rows.
    return torch.matmul(b.unsqueeze(-2), a.mT).squeeze(-2)


def _in_segments(a: Tensor, b: Tensor) -> Tensor:
    """Dot products ``(k,)`` of the rows of ``(k, V)`` with ``(V,)``, SEGMENT entries at a time."""
    if b.numel() <= UNBROKEN:
        return torch.mv(a, b)
    count = b.numel() // SEGMENT
    whole = count * SEGMENT
    segments = torch.unflatten(a[:, :whole], 1, (count, SEGMENT)).permute(1, 2, 0)
    # The vector comes first here too; each product is a small one within the cache.
    sums = torch.bmm(b[:whole].view(count, 1, SEGMENT), segments).sum(0).squeeze(0)
    return sums if whole == b.numel() else sums + torch.mv(a[:, whole:], b[whole:])


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


def choose(when: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """``yes`` where the 0/1 float ``when`` is 1, else ``no``; both finite. No branches: fast."""
    return torch.lerp(no, yes, when)


def below(x: Tensor, bound: float) -> Tensor:
    """1.0 where x < bound, else 0.0, for :func:`choose`."""
    return torch.lt(x, bound, out=torch.empty_like(x))


def exponential_gap(x: Tensor) -> Tensor:
    """e^(-x) - 1 + x for x >= 0, which is x^2/2 - x^3/6 + ... near 0."""
    near = x.clamp(max=SERIES_BELOW)
    series = horner(near, _GAP_SERIES).mul_(near).mul_(near).mul_(0.5)
    return choose(below(x, SERIES_BELOW), series, torch.expm1(-x).add_(x))


def jensen_shannon_gap(x: Tensor) -> Tensor:
    """An atom's share of the Jensen-Shannon divergence per mass of its heavier side; x >= 0 is |log(q/p)|.

    (1+v) log(2/(1+v)) - v x over 2 with v = e^-x; near 0 a power series with positive terms in tanh(x/2).
    """
    lost = torch.expm1(-x).neg_()
    mean = 1 - 0.5 * lost
    near = (0.5 * lost / mean).clamp_(max=SERIES_BELOW).square_()
    series = horner(near, _JS_SERIES).mul_(near).mul_(0.5).mul_(mean)
    direct = torch.log1p(-0.5 * lost).mul_(mean).neg_().sub_((0.5 - 0.5 * lost) * x)
    return choose(below(x, SERIES_BELOW), series, direct)


def log_mean_exp(log_p: Tensor, x: Tensor, log_q: Tensor) -> Tensor:
    """log sum p e^x over the last axis, ``(..., 1)``, for normalised p and q with q proportional to p e^x.

    Summing p (e^x - 1) keeps a small result; where x is steep, log p + x would lose |x| units of rounding, so
    those tokens enter by their share of q, which is p e^x over the sum. A result of order one or more is
    x + log p - log q at p's heaviest token, which cannot overflow.
    """
    p, steep = torch.exp(log_p), below(-x, -STEEP)
    risen = (torch.exp(log_q) * steep).sum(-1, keepdim=True)
    left = (p * steep).sum(-1, keepdim=True)
    terms = torch.expm1(x.clamp(max=STEEP)).mul_(p).mul_(1 - steep)
    excess = (terms.sum(-1, keepdim=True) + (risen - left)) / (1 - risen)
    far = (x + log_p - log_q).gather(-1, log_p.argmax(-1, keepdim=True))
    near = (excess.abs() < 0.5) & (risen < 0.5)
    return torch.where(near, torch.log1p(excess.clamp(-0.5, 0.5)), far)
