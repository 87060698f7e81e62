"""Rows whose two distributions hardly overlap: some sums of :mod:`theory.drift.rows.fast`, taken anew.

Far apart, js is much smaller than the Jeffreys divergence, the entropy of q much smaller than the cross
entropy, and most of q may sit far from where delta is centred.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from theory.drift.rows.careful import Columns
from theory.drift.rows.doubt import Doubt, Found
from theory.drift.rows.fast import jensen_shannon, shared_columns, variances
from theory.drift.rows.rows import Pair
from theory.drift.rows.stable import dot
from theory.drift.rows.sums import ApartSums, FastSums, Weighted

# Jeffreys divergence in nats from which on two distributions count as apart.
APART = 4.0


def apart(sums: FastSums) -> Tensor:
    """Which rows are apart, ``(rows,)``."""
    mean = Weighted.of(sums.mean)
    return mean.q - mean.p >= APART


def apart_sums(pair: Pair, x: Tensor, growth: Tensor, sums: FastSums) -> ApartSums:
    """The sums over the vocabulary of a chunk.

    ``x``, ``growth`` and ``sums``: those of :func:`theory.drift.rows.fast.fast_sums`; overwrites ``growth``.
    """
    return ApartSums(
        **vars(sums),
        **_mixture_sums(pair, x, growth, 1 + sums.excess.unsqueeze(-1)),
        **_entropy_sums(pair, x, growth),
        **_moments_about_means(pair, x, growth, sums.mean),
    )


def _mixture_sums(pair: Pair, x: Tensor, growth: Tensor, mean_growth: Tensor) -> Columns:
    """Of log(1 + q/p) under p and of log(1 + p/q) under q; a difference of the sums would cancel."""
    share = growth.square_().div_(mean_growth).log1p_()
    over_p = dot(pair.planes.p, share)
    share.sub_(x).add_(mean_growth.log())
    return {"over_p": over_p, "over_q": dot(pair.planes.q, share)}


def _entropy_sums(pair: Pair, x: Tensor, spare: Tensor) -> Columns:
    """Of q, times a constant: its largest entry, the sum of all others, and the mean of log(max q/q)."""
    q, top = pair.planes.q, pair.top_perturbed
    exponent = torch.add(pair.planes.y, x, out=spare)
    fallen = dot(q, torch.sub(exponent.gather(-1, top), exponent, out=spare))
    rest = spare.copy_(q).scatter_(-1, top, 0.0).sum(-1)
    return {"most_q": q.gather(-1, top).squeeze(-1), "rest_q": rest, "fallen_q": fallen}


def _moments_about_means(pair: Pair, x: Tensor, spare: Tensor, mean: Tensor) -> Columns:
    """Means of x less its mean, of its square, and of its size times |x|, ``(rows, 5)``: one per weights."""
    product, moments = pair.arena.like(x), []
    for weights, centre in zip(pair.planes.weights.unbind(1), mean.unbind(-1), strict=True):
        away = torch.sub(x, centre.unsqueeze(-1), out=spare)
        first, second = dot(weights, away), dot(weights, torch.mul(away, away, out=product))
        moments.append((first, second, dot(weights, torch.mul(away, x, out=product).abs_())))
    names = ("about_mean", "about_mean_sq", "rounding")
    return {name: torch.stack(kind, -1) for name, kind in zip(names, zip(*moments, strict=True), strict=True)}


def apart_columns(sums: ApartSums, vocabulary: int) -> Found:
    """All measured columns and which of them to doubt."""
    doubt = Doubt(sums)
    columns = shared_columns(sums, vocabulary, doubt)
    first, second, rounding = (
        total / sums.mass for total in (sums.about_mean, sums.about_mean_sq, sums.rounding)
    )
    columns |= variances(doubt.check("variances", second - first * first, rounding))
    entropy = torch.log1p(sums.rest_q / sums.most_q) + sums.fallen_q / Weighted.of(sums.mass).q
    columns |= {"js": _jensen_shannon(sums, columns, doubt), "entropy_perturbed": entropy}
    return Found(columns, doubt.rows())


def _jensen_shannon(sums: ApartSums, columns: Columns, doubt: Doubt) -> Tensor:
    """Of rows apart, log 2 less half of E_p log(1 + q/p) + E_q log(1 + p/q)."""
    mass = Weighted.of(sums.mass)
    js = math.log(2) - 0.5 * (sums.over_p / mass.p + sums.over_q / mass.q)
    (near, scale), far = jensen_shannon(sums, columns), apart(sums)
    return doubt.check("divergences", torch.where(far, js, near), torch.where(far, 1.0, scale))
