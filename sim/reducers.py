"""What a sweep remembers of its draws: small arrays that merge, in any grouping, to the same counts.

One row per claim of the catalogue. Counts, extremes and histograms are exact; co-moments are floating-point
sums, which are reproducible because blocks are fixed and always merged in one order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from theory.arrays import Array
from theory.files import atomic_path

Counts = NDArray[np.int64]

TIGHTNESS_EDGES = np.linspace(0.0, 1.0, 201)
"""Bins of quantity/upper and lower/quantity; the last bin includes 1."""
RATIO_EDGES = np.linspace(-10.0, 10.0, 161)
"""Bins of log2(estimate/quantity); values outside are counted in the first or last bin."""


@dataclass
class Tally:
    """Mergeable record of one vocabulary size, for ``n`` claims.

    Attributes
    ----------
    draws, suspicious, violations
        Draws that the claim says something about; those beyond the rounding allowance; those of them
        confirmed in high precision. Shape ``(n,)``.
    tightest_upper, tightest_lower
        Largest quantity/upper and lower/quantity, ``(n,)``; 0 where there is none.
    histogram_upper, histogram_lower
        Exact histograms of the same ratios, ``(n, 200)``.
    histogram_ratio
        Exact histogram of log2(estimate/quantity), ``(n, 160)``.
    moments
        Of x = log quantity, y = log estimate: count, mean x, mean y, sum (x-mx)^2, sum (y-my)^2,
        sum (x-mx)(y-my); shape ``(n, 6)``.
    """

    draws: Counts
    suspicious: Counts
    violations: Counts
    tightest_upper: Array
    tightest_lower: Array
    histogram_upper: Counts
    histogram_lower: Counts
    histogram_ratio: Counts
    moments: Array

    @classmethod
    def empty(cls, claims: int) -> Tally:
        """A tally of no draws."""
        bins, ratios = len(TIGHTNESS_EDGES) - 1, len(RATIO_EDGES) - 1

        def zero(*shape: int) -> Counts:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            draws=zero(claims),
            suspicious=zero(claims),
            violations=zero(claims),
            tightest_upper=np.zeros(claims),
            tightest_lower=np.zeros(claims),
            histogram_upper=zero(claims, bins),
            histogram_lower=zero(claims, bins),
            histogram_ratio=zero(claims, ratios),
            moments=np.zeros((claims, 6)),
        )

    def merge(self, other: Tally) -> Tally:
        """The tally of both sets of draws."""
        merged = {
            f.name: getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)
            if not f.name.startswith("tightest") and f.name != "moments"
        }
        return Tally(
            **merged,
            tightest_upper=np.maximum(self.tightest_upper, other.tightest_upper),
            tightest_lower=np.maximum(self.tightest_lower, other.tightest_lower),
            moments=merge_moments(self.moments, other.moments),
        )

    def add_tightness(self, claim: int, side: str, ratio: Array, moved: NDArray[np.bool_]) -> None:
        """Record ratios in [0, 1] of a claim's upper or lower side; the extreme only where ``moved``."""
        tightest, histogram = getattr(self, f"tightest_{side}"), getattr(self, f"histogram_{side}")
        tightest[claim] = ratio[moved].max(initial=tightest[claim])
        bins = len(TIGHTNESS_EDGES) - 1
        index = np.clip((ratio * bins).astype(np.int64), 0, bins - 1)
        histogram[claim] += np.bincount(index, minlength=bins)

    def add_estimate(self, claim: int, quantity: Array, estimate: Array) -> None:
        """Record estimates beside the truth, both positive."""
        if quantity.size == 0:
            return
        x, y = np.log(quantity), np.log(estimate)
        bins = len(RATIO_EDGES) - 1
        position = ((y - x) / np.log(2.0) - RATIO_EDGES[0]) / (RATIO_EDGES[1] - RATIO_EDGES[0])
        index = np.clip(position, 0, bins - 1).astype(np.int64)
        self.histogram_ratio[claim] += np.bincount(index, minlength=bins)
        dx, dy = x - x.mean(), y - y.mean()
        batch = np.array([x.size, x.mean(), y.mean(), dx @ dx, dy @ dy, dx @ dy])
        self.moments[claim] = merge_moments(self.moments[claim], batch)

    def save(self, path: Path) -> None:
        """Write all arrays to one ``.npz`` file, atomically."""
        with atomic_path(path) as partial:
            np.savez_compressed(partial, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Tally:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def merge_moments(a: Array, b: Array) -> Array:
    """Pairwise merge of (count, mean x, mean y, Sxx, Syy, Sxy) along the last axis (Chan, Golub, LeVeque)."""
    count = a[..., 0] + b[..., 0]
    share = np.divide(b[..., 0], count, out=np.zeros_like(count), where=count > 0)
    shift = b[..., 1:3] - a[..., 1:3]
    between = a[..., 0] * share
    merged = np.empty_like(a)
    merged[..., 0] = count
    merged[..., 1:3] = a[..., 1:3] + shift * share[..., None]
    merged[..., 3:5] = a[..., 3:5] + b[..., 3:5] + shift**2 * between[..., None]
    merged[..., 5] = a[..., 5] + b[..., 5] + shift[..., 0] * shift[..., 1] * between
    return merged


def quantile(histogram: Counts, edges: Array, level: float) -> float:
    """Upper edge of the bin that holds the ``level`` quantile; NaN for an empty histogram."""
    total = histogram.sum()
    if total == 0:
        return float("nan")
    return float(edges[1:][np.searchsorted(histogram.cumsum(), level * total, side="left")])
