"""Perturbations: what pruning might do to the logits, from noise to a worst case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory.arrays import Array

Perturbation = Callable[[np.random.Generator, Array, Array], Array]

HEAD_RANK = 8
ASCENT_STEPS = 4


def gaussian(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Isotropic normal noise of standard deviation ``scale``."""
    return scale * rng.standard_normal(z.shape)


def student_t(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Heavy tails: Student's t with 3 degrees of freedom (finite variance, no exponential moment)."""
    return scale * rng.standard_t(3.0, size=z.shape)


def uniform(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Uniform on ``[-scale, scale]``, the rounding error of a quantiser."""
    return scale * rng.uniform(-1.0, 1.0, size=z.shape)


def sparse(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """A few tokens move, the others stay exactly; often the top token is among them."""
    rows, vocabulary = z.shape
    moved = max(1, vocabulary // 100)
    tokens = rng.integers(vocabulary, size=(rows, moved))
    tokens[:, 0] = np.where(rng.random(rows) < 0.5, z.argmax(axis=1), tokens[:, 0])
    perturbation = np.zeros_like(z)
    np.put_along_axis(perturbation, tokens, scale * rng.standard_normal((rows, moved)), axis=1)
    return perturbation


def common_shift(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """The same number added to every logit: invisible to the softmax, visible to the cosine of logits."""
    return np.broadcast_to(scale * rng.standard_normal((z.shape[0], 1)), z.shape).copy()


def along(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Along ``z``: a pure change of temperature, invisible to the cosine of logits."""
    change: Array = scale * rng.standard_normal((z.shape[0], 1)) * z
    return change


def orthogonal(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Normal noise with its component along ``z`` removed."""
    noise = rng.standard_normal(z.shape)
    norm_sq = np.einsum("ij,ij->i", z, z)[:, None]
    inner = np.einsum("ij,ij->i", noise, z)[:, None]
    share = np.divide(inner, norm_sq, out=np.zeros_like(inner), where=norm_sq > 0)
    change: Array = scale * (noise - share * z)
    return change


def low_rank(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """``W dh``: a hidden-state error seen through one random head of rank 8 shared by the rows."""
    head = rng.standard_normal((HEAD_RANK, z.shape[1])) / np.sqrt(HEAD_RANK)
    change: Array = scale * (rng.standard_normal((z.shape[0], HEAD_RANK)) @ head)
    return change


def two_valued(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """``D`` in {0, R}, raised on a random upper or lower set of ``z``: the extreme points of the cube."""
    threshold = np.take_along_axis(z, rng.integers(z.shape[1], size=(z.shape[0], 1)), axis=1)
    upper = rng.random((z.shape[0], 1)) < 0.5
    return scale * np.where(upper, z >= threshold, z <= threshold)


def swap(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Two tokens exchange their logits: the worst case of symmetric divergences (``scale`` unused)."""
    rows, vocabulary = z.shape
    first = z.argmax(axis=1)
    second = (first + rng.integers(1, vocabulary, size=rows)) % vocabulary
    everyone = np.arange(rows)
    gap = z[everyone, first] - z[everyone, second]
    perturbation = np.zeros_like(z)
    perturbation[everyone, first] = -gap
    perturbation[everyone, second] = gap
    return perturbation


def adversary(rng: np.random.Generator, z: Array, scale: Array) -> Array:
    """Projected gradient ascent of KL(p||q) over ``0 <= D <= scale`` from a random start.

    The gradient of KL(p||q) in ``D`` is ``q - p``, so a few steps already drive ``D`` to the cube's corners.
    """
    dense = _softmax(z)
    perturbation = scale * rng.random(z.shape)
    for _ in range(ASCENT_STEPS):
        ascent = _softmax(z + perturbation) - dense
        largest = np.abs(ascent).max(axis=1, keepdims=True)
        ascent = np.divide(ascent, largest, out=np.zeros_like(ascent), where=largest > 0)
        perturbation = np.clip(perturbation + scale * ascent, 0.0, scale)
    return perturbation


def _softmax(z: NDArray[np.float64]) -> Array:
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    probabilities: Array = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


PERTURBATIONS: dict[str, Perturbation] = {
    f.__name__.replace("_", "-"): f
    for f in (
        gaussian,
        student_t,
        uniform,
        sparse,
        common_shift,
        along,
        orthogonal,
        low_rank,
        two_valued,
        swap,
        adversary,
    )
}
