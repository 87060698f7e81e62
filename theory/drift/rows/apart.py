"""Rows whose two distributions hardly overlap: some sums of :mod:`theory.drift.rows.fast`, taken anew.

Far apart, js is much smaller than the Jeffreys divergence, the entropy of q much smaller than the cross
entropy, and most of q may sit far from where delta is centred.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from theory.drift.rows.careful import Columns
from theory.drift.rows.fast import VARIANCES, Doubt, jensen_shannon, shared_columns
from theory.drift.rows.rows import Pair
from theory.drift.rows.stable import dot

# Jeffreys divergence in nats from which on two distributions count as apart.
APART = 4.0


def apart(sums: Columns) -> Tensor:
    """Which rows are apart, ``(rows,)``, from :func:`theory.drift.rows.fast.fast_sums`."""
    return sums["mean"][:, 1] - sums["mean"][:, 0] >= APART


def apart_sums(pair: Pair, x: Tensor, growth: Tensor, sums: Columns) -> Columns:
    """The sums over the vocabulary that :func:`apart_columns` needs, ``(rows,)`` or ``(rows, 5)``.

    ``x``, ``growth`` and ``sums``: those of :func:`theory.drift.rows.fast.fast_sums`; overwrites ``growth``.
    """
    return (
        sums
        | _mixture_sums(pair, x, growth, 1 + sums["excess"].unsqueeze(-1))
        | _entropy_sums(pair, x, growth)
        | _moments_about_means(pair, x, growth, sums["mean"])
    )


def _mixture_sums(pair: Pair, x: Tensor, growth: Tensor, mean_growth: Tensor) -> Columns:
    """Of log(1 + q/p) under p and of log(1 + p/q) under q; a difference of the sums would cancel."""
    share = growth.square_().div_(mean_growth).log1p_()
    over_p = dot(pair.room[:, 2], share)
    share.sub_(x).add_(mean_growth.log())
    return {"over_p": over_p, "over_q": dot(pair.room[:, 3], share)}


def _entropy_sums(pair: Pair, x: Tensor, spare: Tensor) -> Columns:
    """Of q, times a constant: its largest entry, the sum of all others, and the mean of log(max q/q)."""
    weights = pair.room[:, 3]
    top = pair.top_perturbed
    exponent = torch.add(pair.dense.y, x, out=spare)
    fall = torch.sub(exponent.gather(-1, top), exponent, out=spare)
    most = weights.gather(-1, top)
    fallen = dot(weights, fall)
    rest = weights.scatter_(-1, top, 0.0).sum(-1)
    weights.scatter_(-1, top, most)
    return {"most_q": most.squeeze(-1), "rest_q": rest, "fallen_q": fallen}


def _moments_about_means(pair: Pair, x: Tensor, spare: Tensor, mean: Tensor) -> Columns:
    """Means of x less its mean, of its square, and of its size times |x|, ``(rows, 5)``: one per weights."""
    product, moments = pair.arena.like(x), []
    for weights, centre in zip(pair.room[:, 2:7].unbind(1), mean.unbind(-1), strict=True):
        away = torch.sub(x, centre.unsqueeze(-1), out=spare)
        first, second = dot(weights, away), dot(weights, torch.mul(away, away, out=product))
        moments.append((first, second, dot(weights, torch.mul(away, x, out=product).abs_())))
    names = ("about_mean", "about_mean_sq", "rounding")
    return {name: torch.stack(kind, -1) for name, kind in zip(names, zip(*moments, strict=True), strict=True)}


def apart_columns(sums: Columns, vocabulary: int) -> tuple[Columns, Tensor]:
    """All measured columns, each ``(rows,)``, and the mask of :meth:`theory.drift.rows.fast.Doubt.rows`."""
    doubt = Doubt(sums)
    columns = shared_columns(sums, vocabulary, doubt)
    mass = sums["mass"]
    first, second, rounding = (sums[name] / mass for name in ("about_mean", "about_mean_sq", "rounding"))
    variance = doubt.check("variances", second - first * first, rounding)
    columns |= zip(VARIANCES, variance.unbind(-1), strict=True)
    entropy = torch.log1p(sums["rest_q"] / sums["most_q"]) + sums["fallen_q"] / mass[:, 1]
    return columns | {"js": _jensen_shannon(sums, columns, doubt), "entropy_perturbed": entropy}, doubt.rows()


def _jensen_shannon(sums: Columns, columns: Columns, doubt: Doubt) -> Tensor:
    """Of rows apart, log 2 less half of E_p log(1 + q/p) + E_q log(1 + p/q)."""
    p, q = sums["mass"][:, :2].unbind(-1)
    js = math.log(2) - 0.5 * (sums["over_p"] / p + sums["over_q"] / q)
    (near, scale), far = jensen_shannon(sums, columns), apart(sums)
    return doubt.check("divergences", torch.where(far, js, near), torch.where(far, 1.0, scale))
