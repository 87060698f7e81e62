"""Every column for a block of rows, at rounding-level relative error for any finite logits.

Each divergence is a sum of terms that are nonnegative in exact arithmetic and written in l = |log(q/p)| and
the larger of p and q, so nothing cancels or overflows unless the result itself does (I1). The price is some
four times the passes of ``rows_fast``, which hands over the rows for which its shortcuts would lose digits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.rows import Pair
from theory.stable import exponential_gap, jensen_shannon_density, log_mean_exp
from theory.vectors import centred, geometry

Columns = dict[str, Tensor]


def careful_rows(logits: Tensor, perturbed: Tensor, temperature: float) -> Columns:
    """All measured columns of ``(rows, V)`` logits; each is ``(rows,)``."""
    pair = Pair(logits, perturbed, temperature)
    return _divergences(pair) | _statistics(pair) | _spread(pair) | logit_vectors(pair)


def _divergences(pair: Pair) -> Columns:
    x = pair.centred_delta()
    log_ratio = _log_ratio(x, log_mean_exp(pair.y, x), pair.log_p, pair.log_q)
    upward = log_ratio > 0
    size = log_ratio.abs()
    lost = -torch.expm1(-size)  # 1 - min(p,q)/max(p,q)
    heavier = torch.exp(torch.where(upward, pair.log_q, pair.log_p))
    gap = exponential_gap(size)
    other_gap = size * lost - gap  # 1 - (1 + l) e^-l
    half = torch.expm1(-0.5 * size)
    mixture = heavier * (1 - 0.5 * lost)
    up, down = log_ratio.clamp(min=0), (-log_ratio).clamp(min=0)
    return {
        "kl": (heavier * torch.where(upward, other_gap, gap)).sum(-1),
        "kl_reverse": (heavier * torch.where(upward, gap, other_gap)).sum(-1),
        "js": (mixture * jensen_shannon_density(lost / (2 - lost))).sum(-1),
        "tv": 0.5 * (heavier * lost).sum(-1),
        "hellinger_sq": 0.5 * (heavier * half * half).sum(-1),
        "chi2": (torch.exp(pair.log_p + 2 * up) * lost * lost).sum(-1),
        "chi2_reverse": (torch.exp(pair.log_q + 2 * down) * lost * lost).sum(-1),
        "cosdist_p": _cosine_distance(pair, x),
    }


def _log_ratio(x: Tensor, shift: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """log(q/p), two ways: x - shift keeps small ratios, log_q - log_p those of heavy tokens far from x = 0."""
    shift = shift.unsqueeze(-1)
    return torch.where(x.abs() + shift.abs() < log_p.abs() + log_q.abs(), x - shift, log_q - log_p)


def _cosine_distance(pair: Pair, x: Tensor) -> Tensor:
    """Half the squared distance of the unit vectors p/||p|| and q/||q||."""
    unit_p = pair.y - 0.5 * torch.logsumexp(2 * pair.y, -1, keepdim=True)
    unit_q = pair.y_perturbed - 0.5 * torch.logsumexp(2 * pair.y_perturbed, -1, keepdim=True)
    log_ratio = _log_ratio(x, 0.5 * log_mean_exp(2 * pair.y, 2 * x), unit_p, unit_q)
    step = torch.exp(torch.maximum(unit_p, unit_q)) * torch.expm1(-log_ratio.abs())
    return 0.5 * (step * step).sum(-1)


def _statistics(pair: Pair) -> Columns:
    p, q = torch.exp(pair.log_p), torch.exp(pair.log_q)
    log_r = torch.log_softmax(2 * pair.y, -1)
    top_two = pair.z.topk(min(2, pair.z.shape[-1]), -1).values
    margin = (top_two[:, 0] - top_two[:, 1]) / pair.temperature if top_two.shape[-1] == 2 else None
    return {
        "p_max": 1 / (1 + pair.rest).squeeze(-1),
        "entropy": (torch.log1p(pair.rest) - (p * pair.y).sum(-1, keepdim=True)).squeeze(-1),
        "entropy_perturbed": (
            torch.log1p(pair.rest_perturbed) - (q * pair.y_perturbed).sum(-1, keepdim=True)
        ).squeeze(-1),
        "margin": torch.full_like(pair.z[:, 0], torch.inf) if margin is None else margin,
        "gini_p": (p * p).sum(-1),
        "gini_r": torch.exp(2 * log_r).sum(-1),
        "top1_agree": (pair.top == pair.top_perturbed).squeeze(-1),
    }


def _spread(pair: Pair) -> Columns:
    """Range and variances of delta; each variance is taken about the heaviest token of its own weights."""
    anchored = pair.delta_from(pair.top)
    above_least = pair.delta_from(anchored.argmin(-1, keepdim=True))
    below_most = -pair.delta_from(anchored.argmax(-1, keepdim=True))
    log_weights = {
        "p": pair.y,
        "q": pair.y_perturbed,
        "r": 2 * pair.y,
        "w": pair.y + pair.y_perturbed,
        "g": 0.5 * (pair.y + pair.y_perturbed),
        "u": torch.zeros_like(pair.y),
    }
    columns = {f"var_{name}": _variance(pair, logs) for name, logs in log_weights.items()}
    for name in ("p", "r"):
        weights = torch.softmax(log_weights[name], -1)
        columns[f"low_{name}"] = 0.0 - (weights * above_least).sum(-1)
        columns[f"high_{name}"] = (weights * below_most).sum(-1)
    return columns | {
        "oscillation": above_least.amax(-1),
        "rho_plus": log_mean_exp(pair.y_perturbed, below_most),
        "rho_minus": log_mean_exp(pair.y, above_least),
    }


def _variance(pair: Pair, log_weights: Tensor) -> Tensor:
    weights = torch.softmax(log_weights, -1)
    anchored = pair.delta_from(log_weights.argmax(-1, keepdim=True))
    mean = (weights * anchored).sum(-1, keepdim=True)
    deviation = anchored - mean
    return (weights * deviation * deviation).sum(-1)


def logit_vectors(pair: Pair) -> Columns:
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
