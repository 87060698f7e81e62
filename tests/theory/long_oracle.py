"""Truth for long rows, where mpmath takes minutes: the textbook formulas in NumPy's extended precision.

Sums are pairwise and have 64 bits, so relative errors are near 1e-18 unless a result is a small difference.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

Wide = np.ndarray


def wide(values: Tensor) -> Wide:
    return np.asarray(values.double().numpy(), dtype=np.longdouble)


def mean(weights: Wide, values: Wide) -> Wide:
    return (weights * values).sum() / weights.sum()


def variance(weights: Wide, values: Wide) -> Wide:
    return mean(weights, (values - mean(weights, values)) ** 2)


def cosine_distance(x: Wide, d: Wide) -> Wide:
    """Of x and x + d."""
    norm = (x * x).sum()
    along = (d * x).sum() / norm
    across = ((d - along * x) ** 2).sum() / norm
    length = np.sqrt((1 + along) ** 2 + across)
    return across / (length * (length + 1 + along)) if along > -1 else 1 - (1 + along) / length


def exponential_gap(x: Wide) -> Wide:
    """e^x - 1 - x."""
    series = np.zeros_like(x)
    for k in range(11, 1, -1):
        series = (series + 1) * x / k
    return np.where(np.abs(x) < 1e-2, series * x, np.expm1(x) - x)


def drift_columns(logits: Tensor, perturbed: Tensor) -> dict[str, float]:
    z, w = wide(logits), wide(perturbed)
    p, q = np.exp(z - z.max()), np.exp(w - w.max())
    p, q, d = p / p.sum(), q / q.sum(), w - z
    x = d - d[p.argmax()]
    excess = (p * np.expm1(x)).sum()
    ratio = x - np.log1p(excess)
    change, r = np.expm1(ratio), p * p / (p * p).sum()
    middle = np.log1p(change / 2)
    tangent = np.sqrt(variance(r, change)) / (1 + mean(r, change))
    secant = np.sqrt(1 + tangent**2)
    across = d - (d * z).sum() / (z * z).sum() * z
    weights = {"p": p, "q": q, "r": r, "w": p * q, "g": np.sqrt(p * q), "u": np.ones_like(p)}
    return {
        "kl": (p * exponential_gap(ratio)).sum(),
        "kl_reverse": (q * exponential_gap(-ratio)).sum(),
        "js": ((q * (ratio - middle)).sum() - (p * middle).sum()) / 2,
        "tv": (p * np.abs(change)).sum() / 2,
        "hellinger_sq": (p * np.expm1(ratio / 2) ** 2).sum() / 2,
        "chi2": (p * change**2).sum(),
        "cosdist_p": tangent**2 / (secant * (secant + 1)),
        "cosdist_z": cosine_distance(z, d),
        "cosdist_z_centred": cosine_distance(z - z.mean(), d - d.mean()),
        "orthogonal_sq": (across**2).sum() / (z * z).sum(),
        **{f"var_{name}": variance(weight, d) for name, weight in weights.items()},
        "entropy": -(p * np.log(p)).sum(),
        "entropy_perturbed": -(q * np.log(q)).sum(),
        "rho_plus": ratio.max(),
        "rho_minus": -ratio.min(),
        "low_r": -mean(r, d - d.min()),
        "high_r": mean(r, d.max() - d),
        "gini_r": (r * r).sum(),
    }
