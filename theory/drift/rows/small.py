"""Every column for rows whose logits hardly moved, from a few moments of delta: nothing cancels, few passes.

With x = delta - E_p delta, q/p = e^x / E_p e^x, so every divergence is a power series in E_p x^k that starts
at k = 2: leaving out E_p x = 0 leaves terms that shrink like max |x|. What the rounding of E_p delta moves is
of second order. Weights p*q and sqrt(p*q) are p^2 and p tilted by a power of e^x, so their moments follow.
"""

from __future__ import annotations

import math
from functools import cache

import mpmath
import torch
from torch import Tensor

from theory.drift.rows.careful import Columns
from theory.drift.rows.doubt import Doubt, Found
from theory.drift.rows.fast import (
    distance_of_directions,
    pair_sums,
    shape,
    spreads,
    uniform_variance,
    vector_columns,
)
from theory.drift.rows.rows import Pair
from theory.drift.rows.stable import dot, dots
from theory.drift.rows.sums import SmallSums

# Largest |x| for which the powers cost less than what they replace; ORDER of them suffice there.
LARGEST_STEP = 1 / 16
ORDER = 12
# js is expanded about x; its shift kl <= LARGEST_STEP^2/2 needs this many powers of its own.
SHIFT_ORDER = 7


def _order(sizes: Tensor) -> int:
    """How many powers of x make every series exact to 1e-16 of its first term.

    The slowest are chi2, whose terms after x^K fall off from (2 x)^(K+1)/(K+1)!, and E_q x^2, from
    x^(K+1)/(K-1)!; both are relative to x^2.
    """
    step = sizes.max().item()
    for order in range(3, ORDER):
        if 2.0 ** (order + 1) * step ** (order - 1) < 1e-16 * math.factorial(order - 1):
            return order
    return ORDER


def small_sums(pair: Pair, x: Tensor) -> SmallSums:
    """The sums over the vocabulary of a chunk.

    ``x`` is that of ``pair.centred_delta()``, at most LARGEST_STEP in size, and becomes x as above.
    """
    planes, mass = pair.planes, 1 + pair.dense.rest
    x.sub_(dot(planes.p, x).unsqueeze(-1) / mass)
    least, most = x.amin(-1), x.amax(-1)
    powers = _powers(pair, x, _order(torch.maximum(-least, most)))
    spare = pair.arena.like(x)
    moments = _moments(powers, planes.p, mass)
    log_moments = _moments(powers, torch.mul(planes.p, planes.y, out=spare), mass)
    escort_mass = torch.mul(planes.p, planes.p, out=spare).sum(-1, keepdim=True)
    escort_moments, fourth = _moments(powers, spare, escort_mass), dot(spare, spare)
    log_ratio = torch.sub(x, torch.log1p(_tilted(moments, 0, 1.0, 2)).unsqueeze(-1), out=spare)
    return SmallSums(
        **pair_sums(pair),
        **spreads(pair, x, planes.exponents.sum(-1), dots(planes.exponents, x), dot(planes.y, planes.y)),
        least=least,
        most=most,
        moments=moments,
        log_moments=log_moments,
        escort_moments=escort_moments,
        escort_mass=escort_mass.squeeze(-1),
        fourth=fourth,
        tv=0.5 * dot(planes.p, log_ratio.expm1_().abs_()) / mass.squeeze(-1),
    )


def small_columns(sums: SmallSums, vocabulary: int) -> Found:
    """All measured columns and which of them to doubt."""
    doubt = Doubt(sums)
    moments, escort = sums.moments, sums.escort_moments
    least, most, mean_r = sums.least, sums.most, escort[:, 1]
    columns = _divergences(moments) | {
        "tv": sums.tv,
        "cosdist_p": _cosine_distance(escort, doubt),
        "oscillation": most - least,
        "low_p": least,
        "high_p": most,
        "low_r": doubt.check("range", least - mean_r, least.abs()),
        "high_r": doubt.check("range", most - mean_r, most.abs()),
        "var_p": moments[:, 2],
        "var_q": _variance(moments, 1.0, doubt),
        "var_r": _variance(escort, 0.0, doubt),
        "var_w": _variance(escort, 1.0, doubt),
        "var_g": _variance(moments, 0.5, doubt),
    }
    columns |= {"rho_plus": most - columns["kl"], "rho_minus": columns["kl"] - least}
    columns["var_u"] = uniform_variance(sums, vocabulary, doubt)
    columns |= _shape(sums, columns["kl_reverse"]) | vector_columns(sums, doubt)
    return Found(columns, doubt.rows())


def _powers(pair: Pair, x: Tensor, order: int) -> Tensor:
    """x, x^2, ..., x^order as ``(rows, order, V)``."""
    powers = pair.arena.room((len(x), order, x.shape[-1]), x.device)
    powers[:, 0] = x
    for k in range(1, order):
        torch.mul(powers[:, k - 1], x, out=powers[:, k])
    return powers


def _moments(powers: Tensor, weights: Tensor, mass: Tensor) -> Tensor:
    """Weighted sums of x^0, x^1, ... over ``mass``, with zeros up to ORDER."""
    zeroth = weights.sum(-1, keepdim=True)
    higher = dots(powers, weights)
    unused = zeroth.new_zeros(len(zeroth), ORDER - powers.shape[1])
    return torch.cat([zeroth, higher, unused], -1) / mass


def _tilted(moments: Tensor, power: int, tilt: float, start: int = 0) -> Tensor:
    """E x^power e^(tilt x) without the terms of order below ``start`` of the exponential."""
    terms = range(start, ORDER + 1 - power)
    return moments[:, power + start :] @ moments.new_tensor([tilt**k / math.factorial(k) for k in terms])


def _variance(moments: Tensor, tilt: float, doubt: Doubt) -> Tensor:
    """Variance of x under weights proportional to e^(tilt x) times those of the moments."""
    mass = _tilted(moments, 0, tilt)
    mean, square = _tilted(moments, 1, tilt) / mass, _tilted(moments, 2, tilt) / mass
    return doubt.check("variances", square - mean * mean, 10 * square)


def _divergences(moments: Tensor) -> Columns:
    """The sums about p and q; ``excess(t)`` is E_p e^(t x) - 1 and q/p = e^x/(1 + excess(1))."""

    def excess(tilt: float) -> Tensor:
        return _tilted(moments, 0, tilt, 2)

    one, kl = excess(1.0), torch.log1p(excess(1.0))
    return {
        "kl": kl,
        "kl_reverse": _tilted(moments, 1, 1.0, 1) / (1 + one) - kl,
        "js": _jensen_shannon(moments, kl),
        "hellinger_sq": (torch.expm1(0.5 * kl) - excess(0.5)) * torch.exp(-0.5 * kl),
        "chi2": (excess(2.0) - 2 * one - one * one) / (1 + one) ** 2,
        "chi2_reverse": one + excess(-1.0) + one * excess(-1.0),
    }


@cache
def _jensen_shannon_series() -> tuple[float, ...]:
    """Taylor coefficients of an atom's share of js per mass of p, with l = log(q/p): l^2/8 + ..."""

    def share(log_ratio: mpmath.mpf) -> mpmath.mpf:
        ratio = mpmath.exp(log_ratio)
        return (log_ratio * ratio - (1 + ratio) * mpmath.log((1 + ratio) / 2)) / 2

    with mpmath.workdps(60):
        coefficients = mpmath.taylor(share, 0, ORDER + SHIFT_ORDER)
    return (0.0, 0.0, *(float(coefficient) for coefficient in coefficients[2:]))


def _jensen_shannon(moments: Tensor, kl: Tensor) -> Tensor:
    """E_p share(x - kl), by the Taylor series of E_p share(x - s) in s."""
    series = _jensen_shannon_series()
    value = torch.zeros_like(kl)
    for j in range(SHIFT_ORDER, -1, -1):
        derivative = [math.comb(k + j, j) * series[k + j] for k in range(ORDER + 1)]
        value = moments @ moments.new_tensor(derivative) - kl * value
    return value


def _cosine_distance(escort: Tensor, doubt: Doubt) -> Tensor:
    """1 - cos(p, q) from e^x - 1 under weights p^2."""
    mean = _tilted(escort, 0, 1.0, 1)
    square = _tilted(escort, 0, 2.0, 2) - 2 * _tilted(escort, 0, 1.0, 2)
    return distance_of_directions(mean, square, doubt)


def _shape(sums: SmallSums, kl_reverse: Tensor) -> Columns:
    """The columns about p or q alone; the entropy of q is -E_q log p - kl_reverse."""
    log_p = _tilted(sums.log_moments, 0, 1.0) / _tilted(sums.moments, 0, 1.0)
    return shape(sums, sums.log_moments[:, 0] * (1 + sums.rest)) | {
        "entropy_perturbed": torch.log1p(sums.rest) - log_p - kl_reverse,
        "gini_p": sums.escort_mass / (1 + sums.rest) ** 2,
        "gini_r": sums.fourth / sums.escort_mass**2,
    }
