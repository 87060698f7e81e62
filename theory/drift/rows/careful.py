"""Every column for a block of rows, at rounding-level relative error for any finite logits.

Each divergence is a sum of terms that are nonnegative in exact arithmetic and written in l = |log(q/p)| and
the larger of p and q, so nothing cancels or overflows unless the result itself does (I1). ``rows_fast`` hands
over the rows for which its shortcuts would lose digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from theory.drift.rows.rows import Pair
from theory.drift.rows.stable import (
    below,
    choose,
    dot,
    exponential_gap,
    jensen_shannon_gap,
    log_mean_exp,
    two_difference,
)
from theory.drift.vectors import centred, geometry

Columns = dict[str, Tensor]


def careful_rows(pair: Pair) -> Columns:
    """All measured columns of ``(rows, V)`` logits; each is ``(rows,)``."""
    columns: Columns = {}
    for group in GROUPS.values():
        columns |= group(pair)
    return columns


def _divergences(pair: Pair) -> Columns:
    log_p, log_q = pair.dense.log_probs, pair.perturbed.log_probs
    x = pair.centred_delta().x
    ratio = log_ratio(x, log_p, log_q)
    downward = below(ratio, 0.0)
    size = ratio.abs()
    lost = torch.expm1(-size).neg_()  # 1 - min(p,q)/max(p,q)
    heavier = choose(downward, pair.dense.probs, pair.perturbed.probs)
    gap = exponential_gap(size)
    far = lost - size * torch.exp(-size)
    other_gap = choose(below(size, 1.0), size * lost - gap, far)  # 1 - (1 + l) e^-l
    half = torch.expm1(-0.5 * size)
    lost_sq = lost * lost
    return {
        "kl": dot(heavier, choose(downward, gap, other_gap)),
        "kl_reverse": dot(heavier, choose(downward, other_gap, gap)),
        "js": dot(heavier, jensen_shannon_gap(size)),
        "tv": 0.5 * dot(heavier, lost),
        "hellinger_sq": 0.5 * dot(heavier, half * half),
        "chi2": dot(torch.exp(log_p + 2 * ratio.clamp(min=0)), lost_sq),
        "chi2_reverse": dot(torch.exp(log_q - 2 * ratio.clamp(max=0)), lost_sq),
        "cosdist_p": _cosine_distance(pair, x),
    }


def log_ratio(x: Tensor, log_p: Tensor, log_q: Tensor, power: int = 1) -> Tensor:
    """log(q/p)/power for normalised p and q with q proportional to p e^(power x).

    Two ways: from x, which keeps small ratios, or from log q - log p, for heavy tokens far from x = 0.
    """
    shift = log_mean_exp(log_p, power * x, log_q) / power
    direct_scale = (log_p.abs() + log_q.abs()) / power
    from_x = below(x.abs() + shift.abs() - direct_scale, 0.0)
    return choose(from_x, x - shift, (log_q - log_p) / power)


def _cosine_distance(pair: Pair, x: Tensor) -> Tensor:
    """Half the squared distance of the unit vectors p/||p|| and q/||q||, the roots of the escorts."""
    log_r, log_r_q = (torch.log_softmax(2 * side.y, -1) for side in (pair.dense, pair.perturbed))
    lost = torch.expm1(-log_ratio(x, log_r, log_r_q, power=2).abs())
    return 0.5 * dot(torch.exp(torch.maximum(log_r, log_r_q)), lost * lost)


def shape_columns(pair: Pair) -> Columns:
    """The columns about p or q alone that :class:`Softmax` holds already."""
    return {
        "p_max": pair.dense.p_max,
        "p_rest": pair.dense.p_rest,
        "entropy": pair.dense.entropy,
        "entropy_perturbed": pair.perturbed.entropy,
        "margin": pair.dense.margin,
        "top1_agree": (pair.dense.top == pair.perturbed.top).squeeze(-1),
    }


def _range(pair: Pair) -> Columns:
    """Where the extremes of delta lie, and how peaked p and its escort are."""
    anchored = pair.delta_from(pair.dense.top)
    above_least = pair.delta_from(anchored.argmin(-1, keepdim=True))
    below_most = pair.delta_from(anchored.argmax(-1, keepdim=True)).neg_()
    log_p, log_q = pair.dense.log_probs, pair.perturbed.log_probs
    columns = {
        "oscillation": above_least.amax(-1),
        "rho_plus": log_mean_exp(log_q, below_most, log_p).squeeze(-1),
        "rho_minus": log_mean_exp(log_p, above_least, log_q).squeeze(-1),
    }
    for name, weights in (("p", pair.dense.probs), ("r", torch.softmax(2 * pair.dense.y, -1))):
        columns[f"low_{name}"] = 0.0 - dot(weights, above_least)
        columns[f"high_{name}"] = dot(weights, below_most)
        columns[f"gini_{name}"] = dot(weights, weights)
    return columns


def _variances(pair: Pair) -> Columns:
    """Variances of delta, each taken about the heaviest token of its own weights."""
    y, both = pair.dense.y, _summed_exponents(pair)
    weights = {
        "p": pair.dense.probs,
        "q": pair.perturbed.probs,
        "r": torch.softmax(2 * y, -1),
        "w": torch.softmax(both, -1),
        "g": torch.softmax(0.5 * both, -1),
        "u": torch.full_like(y, 1 / y.shape[-1]),
    }
    return {f"var_{name}": _variance(pair, weight) for name, weight in weights.items()}


def _summed_exponents(pair: Pair) -> Tensor:
    """(z + z')/T less its largest, rounded only after an exact sum: p*q may balance huge exponents."""
    high, low = two_difference(pair.z_perturbed, -pair.z)
    top = high.argmax(-1, keepdim=True)
    return ((high - high.gather(-1, top)) + (low - low.gather(-1, top))) / pair.temperature


def _variance(pair: Pair, weights: Tensor) -> Tensor:
    anchored = pair.delta_from(weights.argmax(-1, keepdim=True))
    anchored -= dot(weights, anchored).unsqueeze(-1)
    return dot(weights, anchored.square_())


def _logit_vectors(pair: Pair) -> Columns:
    """The columns about z and z' as vectors, raw and centred."""
    high, low = pair.difference
    raw = geometry(pair.z, pair.z_perturbed, high, low)
    zero = torch.zeros_like(low)
    flat = geometry(centred(pair.z, zero), centred(pair.z_perturbed, zero), centred(high, low), zero)
    return {
        "cosdist_z": raw.cosdist,
        "cosdist_z_centred": flat.cosdist,
        "orthogonal_sq": raw.orthogonal_sq,
        "parallel": raw.parallel,
        "norm_sq": raw.norm_sq,
    }


GROUPS: Mapping[str, Callable[[Pair], Columns]] = {
    "divergences": _divergences,
    "shape": shape_columns,
    "range": _range,
    "variances": _variances,
    "vectors": _logit_vectors,
}
"""The columns by what they share; a row is recomputed only in the groups that lost digits."""
