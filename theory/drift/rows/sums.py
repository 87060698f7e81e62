"""Sums over the vocabulary from which the columns of a row follow: one field per sum, a row per entry.

There are three ways of computing a row, and one record for each: :class:`SmallSums`, :class:`FastSums`,
:class:`ApartSums`. Fields are ``(rows,)``, and ``(rows, 5)`` where they hold one value for each of the
weights of :class:`Weighted`, in that order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Self = TypeVar("Self", bound="PairSums")


class Weighted(NamedTuple):
    """One value per row, ``(rows,)``, under each of the weights p, q, p*q, p^2 and sqrt(p*q)."""

    p: Tensor
    q: Tensor
    product: Tensor
    escort: Tensor
    root: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Weighted:
        """The columns of ``(rows, 5)``."""
        return cls(*values.unbind(-1))


@dataclasses.dataclass(frozen=True)
class PairSums:
    """What every way of computing a row needs. x is delta less a constant, y is (z - max z)/T."""

    rest: Tensor
    """Sum of e^y over all but the largest."""
    margin: Tensor
    lowest: Tensor
    """Least y."""
    least: Tensor
    """Least x."""
    most: Tensor
    """Largest x."""
    xx: Tensor
    """Sum of x^2."""
    yy: Tensor
    x_spread: Tensor
    """Sum of (x - mean x)^2 over the vocabulary, and of the other products of x and y less their means."""
    y_spread: Tensor
    xy_spread: Tensor
    zz: Tensor
    z_step: Tensor
    """<z, z' - z>."""
    step_step: Tensor
    top1_agree: Tensor

    @classmethod
    def cat(cls: type[Self], parts: Sequence[Self]) -> Self:
        """The rows of all parts, one after the other."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


@dataclasses.dataclass(frozen=True)
class SmallSums(PairSums):
    """For rows whose logits hardly moved: moments of x = delta - E_p delta from the 0th on, ``(rows, k)``."""

    moments: Tensor
    """E_p x^k."""
    log_moments: Tensor
    """E_p y x^k."""
    escort_moments: Tensor
    """E_r x^k, r the escort."""
    escort_mass: Tensor
    """Sum of e^(2y)."""
    fourth: Tensor
    """Sum of e^(4y)."""
    tv: Tensor


@dataclasses.dataclass(frozen=True)
class FastSums(PairSums):
    """For all other rows; E = E_p e^x, and change = (q/p - 1) E/2."""

    py: Tensor
    """Sum of e^y y."""
    qy: Tensor
    """Sum of e^(x+y) y."""
    mass: Tensor
    """Of the weights, ``(rows, 5)``, as are the mean of x, that of x^2, and the variance of x."""
    mean: Tensor
    square: Tensor
    variance: Tensor
    fourth: Tensor
    """Sum of e^(4y)."""
    excess: Tensor
    """E - 1."""
    root_excess: Tensor
    """E_p e^(x/2) - 1."""
    escort_change: Tensor
    """Sum of e^(2y) change."""
    distance: Tensor
    """Sum of e^y |change|."""
    sinh_sq_p: Tensor
    """Sum of sinh^2(l/2) = (q-p)^2/4pq, l = log(q/p), under weights p; likewise q and p*q."""
    sinh_sq_q: Tensor
    sinh_sq_product: Tensor
    log_cosh_p: Tensor
    """Sum of 2 log cosh(l/2) under weights p; likewise q."""
    log_cosh_q: Tensor


@dataclasses.dataclass(frozen=True)
class ApartSums(FastSums):
    """For chunks with rows whose two distributions hardly overlap."""

    over_p: Tensor
    """Sum of log(1 + q/p) under weights p."""
    over_q: Tensor
    """Sum of log(1 + p/q) under weights q."""
    most_q: Tensor
    """Of q, times a constant: its largest entry, the sum of all others, and of q log(max q/q)."""
    rest_q: Tensor
    fallen_q: Tensor
    about_mean: Tensor
    """Sums of x less its mean, of its square, and of its size times |x|, ``(rows, 5)``."""
    about_mean_sq: Tensor
    rounding: Tensor
