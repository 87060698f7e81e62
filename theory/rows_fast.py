"""Every column for a block of rows in few passes, and which rows need :mod:`theory.rows_careful` instead.

Divergences come from sums such as E_p x and E_p e^x - 1. Their rounding error is a few units of the sum's
terms, so a result that is not much smaller than its terms is accurate; where one is smaller, or an exponent
could leave the range, the row is reported as doubtful.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.rows import Arena, Pair
from theory.rows_careful import Columns, shape_columns
from theory.stable import dot

# A result this much smaller than what it is a difference of keeps twelve digits or more.
KEPT = 1e-3
# Logit spreads and |delta| for which no product of two probabilities or ratios over- or underflows.
WIDEST_SPREAD = 300.0
LARGEST_STEP = 30.0
VARIANCES = ("var_p", "var_q", "var_r", "var_w", "var_g", "var_u")


class _Doubt:
    """Collects, per row, whether every difference taken kept its digits."""

    def __init__(self, in_range: Tensor) -> None:
        self._in_range = in_range
        self._results: list[Tensor] = []
        self._scales: list[Tensor] = []

    def check(self, result: Tensor, scale: Tensor) -> Tensor:
        """Return ``result``, a difference of terms of size ``scale``, each ``(rows,)`` or ``(rows, k)``."""
        self._results.append(result.unsqueeze(-1) if result.ndim == 1 else result)
        self._scales.append(scale.unsqueeze(-1) if scale.ndim == 1 else scale)
        return result

    def rows(self) -> Tensor:
        """Mask of the rows in which a result is too small, or nan, or the exponents are out of range."""
        kept = torch.cat(self._results, -1).abs() >= KEPT * torch.cat(self._scales, -1)
        return ~(kept.all(-1) & self._in_range)


def fast_rows(pair: Pair) -> tuple[Columns, Tensor]:
    """All measured columns of ``(rows, V)`` logits, each ``(rows,)``, and a mask of the doubtful rows."""
    x = pair.centred_delta()
    least, most = x.amin(-1), x.amax(-1)
    spread = torch.minimum(pair.dense.y.amin(-1), pair.perturbed.y.amin(-1))
    doubt = _Doubt((spread > -WIDEST_SPREAD) & (torch.maximum(-least, most) < LARGEST_STEP))
    weights, mass = _weights(pair)
    square_x = torch.mul(x, x, out=pair.arena.like(x))
    mean, square = (_means(weights, mass, value) for value in (x, square_x))
    variance = doubt.check(square - mean * mean, square)
    ratio = torch.expm1(x, out=pair.arena.like(x))
    excess = dot(weights[:, 0], ratio).unsqueeze(-1)
    ratio.sub_(excess).div_(1 + excess)  # q/p - 1
    shift = torch.log1p(excess).squeeze(-1)
    scale = square[:, 0].sqrt() + shift.abs()
    columns = dict(zip(VARIANCES, variance.unbind(-1), strict=True))
    columns |= {
        "kl": doubt.check(shift - mean[:, 0], scale),
        "kl_reverse": doubt.check(mean[:, 1] - shift, scale),
        "oscillation": most - least,
        "rho_plus": doubt.check(most - shift, most.abs()),
        "rho_minus": doubt.check(shift - least, least.abs()),
        "low_p": doubt.check(least - mean[:, 0], least.abs()),
        "high_p": doubt.check(most - mean[:, 0], most.abs()),
        "low_r": doubt.check(least - mean[:, 2], least.abs()),
        "high_r": doubt.check(most - mean[:, 2], most.abs()),
        "gini_p": mass[:, 2],
        "gini_r": dot(weights[:, 2], weights[:, 2]) / mass[:, 2] ** 2,
        "cosdist_z_centred": _centred_cosine(pair.dense.y, x, doubt),
    }
    columns |= _divergences(pair.arena, weights, mass, x, ratio, doubt)
    return columns | _logit_vectors(pair, doubt) | shape_columns(pair), doubt.rows()


def _weights(pair: Pair) -> tuple[Tensor, Tensor]:
    """p, q, p^2, p*q, sqrt(p*q) and 1 as ``(rows, 6, V)``, and their sums ``(rows, 6)``."""
    model = pair.z.unsqueeze(1).expand(-1, 6, -1)
    weights = pair.arena.like(model)
    p, q, escort, product, root, uniform = weights.unbind(1)
    for side, out in ((pair.dense, p), (pair.perturbed, q)):
        torch.div(side.weights, 1 + side.rest, out=out)
    torch.mul(p, p, out=escort)
    torch.mul(p, q, out=product)
    torch.sqrt(product, out=root)
    uniform.fill_(1.0)
    return weights, weights.sum(-1)


def _means(weights: Tensor, mass: Tensor, value: Tensor) -> Tensor:
    return torch.matmul(weights, value.unsqueeze(-1)).squeeze(-1) / mass


def _divergences(
    arena: Arena, weights: Tensor, mass: Tensor, x: Tensor, ratio: Tensor, doubt: _Doubt
) -> Columns:
    """Those that are sums over q - p or its square; ratio is q/p - 1.

    js = J/4 - sum (p+q)/2 log cosh(l/2) with J = sum (q-p) l, cosh^2(l/2) = 1 + (q-p)^2/4pq: both of second
    order, and the second about half of the first.
    """
    p, q, escort, _, root, _ = weights.unbind(1)
    spare = arena.like(ratio)
    square = dot(escort, torch.mul(ratio, ratio, out=spare)) / mass[:, 2]
    mean = dot(escort, ratio) / mass[:, 2]
    across, along = doubt.check(square - mean * mean, square), 1 + mean
    length = torch.sqrt(along * along + across)
    change = torch.mul(p, ratio, out=arena.like(ratio))
    both = torch.add(p, q, out=arena.like(ratio))
    columns = {
        "cosdist_p": across / (length * (length + along)),
        "tv": 0.5 * torch.abs(change, out=spare).sum(-1),
        "chi2": dot(change, ratio),
        "chi2_reverse": dot(change, torch.div(change, q, out=spare)),
    }
    jeffreys = dot(change, x)
    excess = dot(both, spare.mul_(ratio).mul_(0.25).log1p_())
    columns["js"] = doubt.check(0.25 * (jeffreys - excess), jeffreys)
    columns["hellinger_sq"] = 0.5 * dot(change, torch.div(change, both.add_(root, alpha=2), out=spare))
    return columns


def _cosine(norm_sq: Tensor, product: Tensor, step_sq: Tensor, doubt: _Doubt) -> tuple[Tensor, Tensor]:
    """1 - cos(v, v + d) and ||d_perp||^2/||v||^2 from ||v||^2, <v, d> and ||d||^2 (A6)."""
    parallel = product / norm_sq
    relative_sq = step_sq / norm_sq
    orthogonal_sq = doubt.check(relative_sq - parallel * parallel, relative_sq)
    along = doubt.check(1 + parallel, torch.ones_like(parallel))
    length = torch.sqrt(along * along + orthogonal_sq)
    near = orthogonal_sq / (length * (length + along))
    return torch.where(along > 0, near, 1 - along / length), orthogonal_sq


def _logit_vectors(pair: Pair, doubt: _Doubt) -> Columns:
    z, step = pair.z, pair.difference[0]
    norm_sq, product = dot(z, z), dot(z, step)
    cosdist, orthogonal_sq = _cosine(norm_sq, product, dot(step, step), doubt)
    return {
        "cosdist_z": cosdist,
        "orthogonal_sq": orthogonal_sq,
        "parallel": product / norm_sq,
        "norm_sq": norm_sq,
    }


def _centred_cosine(y: Tensor, x: Tensor, doubt: _Doubt) -> Tensor:
    """1 - Pearson of z and z'; y and x are z/T and delta, each less a constant."""
    count = y.shape[-1]
    y_sum, x_sum = y.sum(-1), x.sum(-1)
    y_square, x_square = dot(y, y), dot(x, x)
    norm_sq = doubt.check(y_square - y_sum * y_sum / count, y_square)
    step_sq = doubt.check(x_square - x_sum * x_sum / count, x_square)
    return _cosine(norm_sq, dot(y, x) - y_sum * x_sum / count, step_sq, doubt)[0]
