"""Every column for a block of rows in few passes, and which rows need :mod:`theory.rows_careful` instead.

Divergences come from sums such as E_p x and E_p e^x - 1. Their rounding error is a few units of the sum's
terms, so a result that is not much smaller than its terms is accurate; where one is smaller, or an exponent
could leave the range, the row is reported as doubtful.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.rows import Pair
from theory.rows_careful import Columns
from theory.stable import dot, dots

# A result this much smaller than what it is a difference of keeps twelve digits or more.
KEPT = 1e-3
# Logit spreads and |delta| for which no product of two probabilities or ratios over- or underflows.
WIDEST_SPREAD = 300.0
LARGEST_STEP = 30.0
VARIANCES = ("var_p", "var_q", "var_r", "var_w", "var_g")


class Doubt:
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
    return fast_columns(fast_sums(pair, pair.centred_delta()), pair.z.shape[-1])


def fast_sums(pair: Pair, x: Tensor) -> Columns:
    """The sums over the vocabulary that :func:`fast_columns` needs, ``(rows,)`` or ``(rows, 5)``.

    ``x`` is ``pair.centred_delta()``, ``(rows, V)``. The five are those of :func:`_weights`.
    """
    weights = _weights(pair)
    square_x = torch.mul(x, x, out=pair.arena.like(x))
    spare = pair.arena.like(x)
    sums = {
        "mass": weights.sum(-1),
        "first": dots(weights, x),
        "second": dots(weights, square_x),
        "lowest": torch.minimum(pair.dense.y.amin(-1), pair.perturbed.y.amin(-1)),
        "fourth": dot(weights[:, 2], weights[:, 2]),
        "rest_perturbed": pair.perturbed.rest.squeeze(-1),
        "weighted_y": dot(pair.dense.weights, pair.dense.y),
        "weighted_y_perturbed": dot(pair.perturbed.weights, pair.perturbed.y),
        "top1_agree": (pair.dense.top == pair.perturbed.top).squeeze(-1),
    }
    sums |= vector_sums(pair, x)
    return sums | _divergence_sums(weights, x, (spare, square_x, pair.arena.like(x)))


def _weights(pair: Pair) -> Tensor:
    """p, q, p^2, p*q and sqrt(p*q) as ``(rows, 5, V)``."""
    weights = pair.arena.like(pair.z.unsqueeze(1).expand(-1, 5, -1))
    p, q, escort, product, root = weights.unbind(1)
    for side, out in ((pair.dense, p), (pair.perturbed, q)):
        torch.div(side.weights, 1 + side.rest, out=out)
    torch.mul(p, p, out=escort)
    torch.mul(p, q, out=product)
    torch.sqrt(product, out=root)
    return weights


def _divergence_sums(weights: Tensor, x: Tensor, room: tuple[Tensor, Tensor, Tensor]) -> Columns:
    """Sums over q - p or its square; ``ratio`` is q/p - 1.

    js = J/4 - sum (p+q)/2 log cosh(l/2) with J = sum (q-p) l, cosh^2(l/2) = 1 + (q-p)^2/4pq: both of second
    order, and the second about half of the first.
    """
    p, q, escort, _, root = weights.unbind(1)
    ratio, spare, change = room
    torch.expm1(x, out=ratio)
    excess = dot(p, ratio)
    ratio.sub_(excess.unsqueeze(-1)).div_((1 + excess).unsqueeze(-1))
    sums = {
        "excess": excess,
        "escort_first": dot(escort, ratio),
        "escort_second": dot(escort, torch.mul(ratio, ratio, out=spare)),
    }
    torch.mul(p, ratio, out=change)
    sums |= {
        "distance": torch.abs(change, out=spare).sum(-1),
        "chi2": dot(change, ratio),
        "chi2_reverse": dot(change, torch.div(change, q, out=spare)),
        "jeffreys": dot(change, x),
    }
    log_cosh = spare.mul_(ratio).mul_(0.25).log1p_()
    both = torch.add(p, q, out=ratio)
    sums["log_cosh"] = dot(both, log_cosh)
    sums["hellinger"] = dot(change, torch.div(change, both.add_(root, alpha=2), out=spare))
    return sums


def vector_sums(pair: Pair, x: Tensor) -> Columns:
    """Sums about logits, delta and its range that every way of computing a row needs, ``(rows,)``."""
    y, z, step = pair.dense.y, pair.z, pair.difference[0]
    return {
        "least": x.amin(-1),
        "most": x.amax(-1),
        "rest": pair.dense.rest.squeeze(-1),
        "margin": pair.dense.margin,
        "sum_x": x.sum(-1),
        "sum_xx": dot(x, x),
        "sum_y": y.sum(-1),
        "sum_yy": dot(y, y),
        "sum_xy": dot(x, y),
        "norm_sq": dot(z, z),
        "product": dot(z, step),
        "step_sq": dot(step, step),
    }


def fast_columns(sums: Columns, vocabulary: int) -> tuple[Columns, Tensor]:
    """All measured columns, each ``(rows,)``, and a mask of the doubtful rows."""
    least, most = sums["least"], sums["most"]
    in_range = (sums["lowest"] > -WIDEST_SPREAD) & (torch.maximum(-least, most) < LARGEST_STEP)
    doubt = Doubt(in_range)
    mass = sums["mass"]
    mean, square = sums["first"] / mass, sums["second"] / mass
    variance = doubt.check(square - mean * mean, square)
    shift = torch.log1p(sums["excess"])
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
        "gini_r": sums["fourth"] / mass[:, 2] ** 2,
    }
    columns |= {"var_u": uniform_variance(sums, vocabulary, doubt)}
    columns |= _divergences(sums, doubt) | vector_columns(sums, vocabulary, doubt) | shape(sums)
    entropy = torch.log1p(sums["rest_perturbed"]) - sums["weighted_y_perturbed"] / (
        1 + sums["rest_perturbed"]
    )
    return columns | {"entropy_perturbed": entropy}, doubt.rows()


def _divergences(sums: Columns, doubt: Doubt) -> Columns:
    escort_mass = sums["mass"][:, 2]
    mean, square = sums["escort_first"] / escort_mass, sums["escort_second"] / escort_mass
    return {
        "cosdist_p": distance_of_directions(mean, square, doubt),
        "tv": 0.5 * sums["distance"],
        "chi2": sums["chi2"],
        "chi2_reverse": sums["chi2_reverse"],
        "js": doubt.check(0.25 * (sums["jeffreys"] - sums["log_cosh"]), sums["jeffreys"]),
        "hellinger_sq": 0.5 * sums["hellinger"],
    }


def distance_of_directions(mean: Tensor, square: Tensor, doubt: Doubt) -> Tensor:
    """1 - cos(p, q) from mean and mean square of c q/p - 1 under weights p^2, for any c > 0."""
    across, along = doubt.check(square - mean * mean, square), 1 + mean
    length = torch.sqrt(along * along + across)
    return across / (length * (length + along))


def uniform_variance(sums: Columns, vocabulary: int, doubt: Doubt) -> Tensor:
    """Variance of delta under the uniform distribution."""
    mean, square = sums["sum_x"] / vocabulary, sums["sum_xx"] / vocabulary
    return doubt.check(square - mean * mean, square)


def shape(sums: Columns) -> Columns:
    """The columns about p alone, but for gini, and whether the largest logit is still the same."""
    mass = 1 + sums["rest"]
    return {
        "p_max": 1 / mass,
        "p_rest": sums["rest"] / mass,
        "entropy": torch.log1p(sums["rest"]) - sums["weighted_y"] / mass,
        "margin": sums["margin"],
        "top1_agree": sums["top1_agree"],
    }


def vector_columns(sums: Columns, vocabulary: int, doubt: Doubt) -> Columns:
    """The columns about z and z' as vectors; Pearson from z/T and delta, each less a constant."""
    norm_sq, product = sums["norm_sq"], sums["product"]
    cosdist, orthogonal_sq = _cosine(norm_sq, product, sums["step_sq"], doubt)
    sum_y, sum_x = sums["sum_y"], sums["sum_x"]
    spread = doubt.check(sums["sum_yy"] - sum_y * sum_y / vocabulary, sums["sum_yy"])
    step_sq = doubt.check(sums["sum_xx"] - sum_x * sum_x / vocabulary, sums["sum_xx"])
    centred = _cosine(spread, sums["sum_xy"] - sum_y * sum_x / vocabulary, step_sq, doubt)[0]
    return {
        "cosdist_z": cosdist,
        "cosdist_z_centred": centred,
        "orthogonal_sq": orthogonal_sq,
        "parallel": product / norm_sq,
        "norm_sq": norm_sq,
    }


def _cosine(norm_sq: Tensor, product: Tensor, step_sq: Tensor, doubt: Doubt) -> tuple[Tensor, Tensor]:
    """1 - cos(v, v + d) and ||d_perp||^2/||v||^2 from ||v||^2, <v, d> and ||d||^2 (A6)."""
    parallel = product / norm_sq
    relative_sq = step_sq / norm_sq
    orthogonal_sq = doubt.check(relative_sq - parallel * parallel, relative_sq)
    along = doubt.check(1 + parallel, torch.ones_like(parallel))
    length = torch.sqrt(along * along + orthogonal_sq)
    near = orthogonal_sq / (length * (length + along))
    return torch.where(along > 0, near, 1 - along / length), orthogonal_sq
