"""Option sets and truncated sampling: what multiple choice and top-k / top-p decoding need (family H)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import integrate
from scipy.stats import norm
from torch import Tensor


def _same_shape(name: str, first: Tensor, other: Tensor) -> None:
    if first.shape != other.shape:
        raise ValueError(f"{name} must have shape {tuple(first.shape)}, got {tuple(other.shape)}")


def argmax_kept(logits: Tensor, perturbed: Tensor) -> Tensor:
    """Whether the largest option stays the largest, exactly: z_i - z_j > D_j - D_i for every j (H2).

    Arguments ``(..., k)``: logits of the options, dense and perturbed.  A tie after it counts as lost.
    """
    _same_shape("perturbed", logits, perturbed)
    best = logits.argmax(-1, keepdim=True)
    others = perturbed.scatter(-1, best, -math.inf)
    return perturbed.gather(-1, best).squeeze(-1) > others.amax(-1)


@dataclass(frozen=True)
class ScoreBand:
    """Range of log q(y) - log p(y) of token sequences, shapes ``(...)``, in nats (H3)."""

    lower: Tensor
    upper: Tensor


def score_band(log_prob: Tensor, oscillation: Tensor, mask: Tensor | None = None) -> ScoreBand:
    """Sharp range of the change of a sum of token log-probabilities when step t has oscillation R_t (H3).

    Parameters
    ----------
    log_prob, oscillation
        log p_t(y_t) and R_t, ``(..., n)``; summed over the last axis.
    mask
        Which tokens count, ``(..., n)``; all if None.
    """
    _same_shape("oscillation", log_prob, oscillation)
    log_p, R = log_prob.to(torch.float64), oscillation.to(torch.float64)
    if (log_p > 0).any() or (R < 0).any():
        raise ValueError("log_prob must be <= 0 and oscillation >= 0")
    rest = -torch.expm1(log_p)
    lower, upper = _log_tilt(log_p, rest, -R), _log_tilt(log_p, rest, R)
    if mask is not None:
        lower, upper = torch.where(mask, lower, 0.0), torch.where(mask, upper, 0.0)
    return ScoreBand(lower.sum(-1), upper.sum(-1))


def _log_tilt(log_p: Tensor, rest: Tensor, gain: Tensor) -> Tensor:
    """-log(p + (1-p) e^-gain), exactly 0 for gain 0."""
    weak = torch.log1p(rest * torch.expm1(-gain.clamp(-1, 1)))
    return -torch.where(gain.abs() < 1, weak, torch.logaddexp(log_p, rest.log() - gain))


def ranking_stable(scores: Tensor, band: ScoreBand, lengths: Tensor | None = None) -> Tensor:
    """Whether the best of k continuations certainly stays the best (H3).

    ``scores`` and the band have shape ``(..., k)``; divided by ``lengths`` for length-normalised scoring.
    """
    scale = torch.ones_like(scores) if lengths is None else lengths
    low, high = (scores + band.lower) / scale, (scores + band.upper) / scale
    best = (scores / scale).argmax(-1, keepdim=True)
    return low.gather(-1, best).squeeze(-1) > high.scatter(-1, best, -math.inf).amax(-1)


def expected_oscillation(count: int) -> float:
    """Mean range (max - min) of ``count`` independent standard normal numbers (H5)."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count!r}")
    if count == 1:
        return 0.0

    def tail(x: float) -> float:
        both = -math.expm1(count * norm.logcdf(x)) - math.exp(count * norm.logsf(x))
        return float(both)

    # P(min <= x < max), even in x.
    value, _ = integrate.quad(tail, 0, 14, points=[1.0, 3.0, 5.0, 8.0], epsabs=1e-13, epsrel=1e-12, limit=400)
    return 2 * float(value)


def kept_by_top_k(probabilities: Tensor, k: int) -> Tensor:
    """The k largest entries of the last axis, as a mask ``(..., V)``."""
    if not 1 <= k <= probabilities.shape[-1]:
        raise ValueError(f"k must be between 1 and {probabilities.shape[-1]}, got {k!r}")
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter(
        -1, probabilities.topk(k, -1).indices, True
    )


def kept_by_top_p(probabilities: Tensor, mass: float) -> Tensor:
    """The fewest largest entries whose sum reaches ``mass`` (nucleus), as a mask ``(..., V)``."""
    if not 0 < mass <= 1:
        raise ValueError(f"mass must be in (0, 1], got {mass!r}")
    ordered, indices = probabilities.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    keep = before < mass
    keep[..., 0] = True
    return torch.zeros_like(keep).scatter(-1, indices, keep)


def support_mismatch(perturbed: Tensor, kept: Tensor, kept_perturbed: Tensor) -> Tensor:
    """TV of one distribution truncated to two supports: 1 - q(S and S')/max(q(S), q(S')), exactly (H6).

    ``perturbed`` are probabilities q ``(..., V)``; the masks say which tokens S and S' keep.
    """
    _same_shape("kept", perturbed, kept)
    _same_shape("kept_perturbed", perturbed, kept_perturbed)
    q = perturbed.to(torch.float64)
    only_first = torch.where(kept & ~kept_perturbed, q, 0.0).sum(-1)
    only_second = torch.where(kept_perturbed & ~kept, q, 0.0).sum(-1)
    shared = torch.where(kept & kept_perturbed, q, 0.0).sum(-1)
    extra = torch.maximum(only_first, only_second)
    return extra / (shared + extra)


def truncated_tv_bound(delta: Tensor, perturbed: Tensor, kept: Tensor, kept_perturbed: Tensor) -> Tensor:
    """Upper bound of the total variation of truncated samplers: tanh(R_S/4) + support mismatch (H6).

    ``delta`` = (z' - z)/T, ``perturbed`` = q, masks as in ``support_mismatch``; all ``(..., V)``.
    """
    _same_shape("delta", perturbed, delta)
    values = delta.to(torch.float64)
    high = torch.where(kept, values, -math.inf).amax(-1)
    low = torch.where(kept, values, math.inf).amin(-1)
    return torch.tanh((high - low) / 4) + support_mismatch(perturbed, kept, kept_perturbed)
