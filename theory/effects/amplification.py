"""How much the softmax amplifies: mean and extreme directions of A = (1 - cos(p,q))/(1 - cos(z,z')).

Theorems E2 to E4, and E6 for the head.  "Second order" is the leading term for a small perturbation,
A = |z|^2 Var_r(D) / (T^2 |D_perp|^2), with r = softmax(2z/T).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from theory.arrays import Array

DENSE_LIMIT = 64
"""Up to this vocabulary the extreme directions come from a dense eigenvalue problem."""
BISECTIONS = 200


def _logits(logits: Tensor, smallest: int) -> Tensor:
    if logits.ndim == 0 or logits.shape[-1] < smallest:
        raise ValueError(
            f"logits must have at least {smallest} entries on the last axis, got {tuple(logits.shape)}"
        )
    if not torch.isfinite(logits).all():
        raise ValueError("logits must be finite")
    return logits.to(torch.float64)


def _temperature(temperature: float) -> float:
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    return temperature


def expected_amplification(logits: Tensor, temperature: float = 1.0, *, centred: bool = False) -> Tensor:
    """Exact mean of the second-order amplification under isotropic Gaussian noise (E2; centred: E3).

    Parameters
    ----------
    logits
        Dense logits ``(..., V)``, V > 3 (V > 4 if centred).
    centred
        Whether logits and noise are centred first, so that cos(z,z') is Pearson's correlation.

    Returns
    -------
    Tensor
        float64 ``(...)``.
    """
    free = 1 if centred else 0
    z = _logits(logits, 4 + free)
    T = _temperature(temperature)
    size = z.shape[-1]
    r = torch.softmax(2 * z / T, dim=-1)
    spread = z - (r * z).sum(-1, keepdim=True)
    var_z = (r * spread * spread).sum(-1)
    if centred:
        z = z - z.mean(-1, keepdim=True)
    trace = 1 - (r * r).sum(-1)
    plain = (z * z).sum(-1) * trace / (size - 1 - free)
    parallel = 2 * var_z / ((size - 1 - free) * (size - 3 - free))
    return (plain + parallel) / T**2


def largest_covariance_eigenvalue(weights: ArrayLike) -> float:
    """Largest eigenvalue of diag(w) - w w^T, the largest root of sum w_i^2/(w_i - x) = 1 (E4).

    It is the variance of delta under the weights w, shape (V,), sum 1, in the worst direction of unit length.
    """
    w = np.sort(np.asarray(weights, dtype=np.float64).ravel())[::-1]
    if w.size == 0 or not np.isfinite(w).all() or w[-1] < 0 or abs(w.sum() - 1) > 1e-9:
        raise ValueError("weights must be finite, non-negative and sum to 1")
    if w.size == 1 or w[1] == 0:
        return 0.0
    # x = w_2 + share (w_1 - w_2), and the left side grows from -inf to +inf: bisect for the share.
    gap = w[0] - w[1]
    if gap == 0:
        return float(w[0])
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        share = (low + high) / 2
        if share in (low, high):
            break
        rest = w[2:] - w[1] - share * gap
        secular = (w[0] / gap) * w[0] / (1 - share) - (w[1] / gap) * w[1] / share + (w[2:] ** 2 / rest).sum()
        low, high = (low, share) if secular > 1 else (share, high)
    return float(w[1] + (low + high) / 2 * gap)


@dataclass(frozen=True)
class ExtremeDirection:
    """A unit direction D (V,) orthogonal to z and to the constants, and its second-order amplification."""

    amplification: float
    direction: Array


def worst_direction(logits: ArrayLike, temperature: float = 1.0) -> ExtremeDirection:
    """The most amplified direction among those orthogonal to z and to a common shift (E4).

    Without these two conditions the supremum is infinite (D parallel to z), the infimum 0 (a shift).
    ``logits`` has shape (V,), V > 2; the cost is O(V) per Lanczos step.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 1 or z.size < 3 or not np.isfinite(z).all():
        raise ValueError(
            f"logits must be one-dimensional and finite with at least 3 entries, got shape {z.shape}"
        )
    T = _temperature(temperature)
    r = np.exp(2 * (z - z.max()) / T)
    r /= r.sum()
    basis, _ = np.linalg.qr(np.stack([np.ones_like(z), z], axis=1))
    if np.ptp(z) == 0:
        basis = basis[:, :1]

    def project(x: Array) -> Array:
        return x - basis @ (basis.T @ x)

    def apply(x: Array) -> Array:
        x = project(x.ravel())
        return project(r * (x - r @ x))

    if z.size <= DENSE_LIMIT:
        values, vectors = np.linalg.eigh(np.stack([apply(e) for e in np.eye(z.size)]))
        value, direction = values[-1], vectors[:, -1]
    else:
        operator = LinearOperator((z.size, z.size), matvec=apply, dtype=np.float64)
        start = project(r + 1.0 / z.size * np.cos(np.arange(z.size)))
        found, columns = eigsh(operator, k=1, which="LA", v0=start, ncv=min(z.size, 40))
        value, direction = found[0], columns[:, 0]
    return ExtremeDirection(float(max(value, 0.0) * (z @ z) / T**2), direction)


def head_diameter(rows: Tensor, gain: Tensor | None = None, *, chunk: int = 2048) -> float:
    """Largest distance of two rows (k, d) of a head, each multiplied by the norm's gain (d,) if given (E6).

    The cost is O(k^2 d): meant for option sets.  For a whole vocabulary see ``head_diameter_bound``.
    """
    points = _rows(rows, gain)
    largest = 0.0
    for part in torch.split(points, chunk):
        largest = max(
            largest, float(torch.cdist(part, points, compute_mode="donot_use_mm_for_euclid_dist").max())
        )
    return largest


def head_diameter_bound(rows: Tensor, gain: Tensor | None = None) -> float:
    """An upper bound of ``head_diameter`` in O(k d): twice the largest distance from a middle."""
    points = _rows(rows, gain)
    middle = (points.amax(0) + points.amin(0)) / 2
    radius = min(float((points - centre).norm(dim=1).max()) for centre in (middle, points.mean(0)))
    return 2 * radius


def _rows(rows: Tensor, gain: Tensor | None) -> Tensor:
    if rows.ndim != 2 or rows.shape[0] == 0:
        raise ValueError(f"rows must have shape (k, d) with k >= 1, got {tuple(rows.shape)}")
    points = rows.detach().to(torch.float64)
    return points if gain is None else points * gain.detach().to(torch.float64)


def augmented_hidden(hidden: Tensor, epsilon: float, *, centre: bool = False) -> Tensor:
    """(h, sqrt(d eps)), whose direction is all that an RMS norm keeps; centred for a layer norm (E6).

    RMSNorm(h) is sqrt(d) times the first d coordinates of this vector scaled to length 1, so the cosine
    of two such vectors ``(..., d + 1)`` is the hidden statistic that bounds the drift behind the norm.
    """
    if epsilon < 0:
        raise ValueError(f"epsilon must be >= 0, got {epsilon!r}")
    h = hidden.to(torch.float64)
    if centre:
        h = h - h.mean(-1, keepdim=True)
    last = torch.full_like(h[..., :1], (h.shape[-1] * epsilon) ** 0.5)
    return torch.cat([h, last], dim=-1)
