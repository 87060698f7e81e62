"""Mean drift under independent noise, exactly, as integrals over one variable (theorem F3).

The noise on every logit (after division by T) is one frozen ``scipy.stats`` distribution: normal, uniform,
Laplace, Student's t, discrete.  The cost hardly depends on the size of the vocabulary: the product over atoms
is a convolution with the histogram of log-weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.arrays import Array

STEP = 0.05
"""Spacing of log x.  The integrands are analytic for |Im log x| < pi/2, where this step costs below 1e-11."""
FARTHEST = 1000.0
"""Largest |log x| on the grid; beyond it, to the left, union and sum of the atoms' tails agree."""
LOG_ZERO = -1e6
"""Logarithm of a number that stands for zero."""
LARGEST = 700.0
"""Largest argument of the exponential."""
ALMOST_ALL = 1 - 2.0**-53
STENCIL = np.arange(-3, 5)
"""Neighbours of the 8-point interpolation by which a log-weight is spread over the grid."""


@dataclass(frozen=True)
class Tables:
    """Functions of x, or their sums over the atoms, on a grid of log x."""

    log_excess: Array
    """log E exp(-x expm1(scale delta)): small for weak noise; meant for x of order 1 and below."""
    log_laplace: Array
    """log E exp(-x e^(scale delta)), at least LOG_ZERO."""
    tilted_excess: Array
    """sqrt(x) times the mean of expm1(delta) under weights proportional to exp(-x e^(scale delta))."""
    tilted: Array
    """The same with e^delta in place of expm1(delta)."""


@dataclass(frozen=True)
class Noise:
    """A distribution of delta replaced by nodes and weights of a double-exponential rule in probability.

    The rule is applied to the lower and the upper half separately, so heavy tails, a kink at the median and
    symmetric two-point laws lose no accuracy.
    """

    distribution: Any

    @cached_property
    def rule(self) -> tuple[Array, Array]:
        """Nodes and weights of the expectation; the weights sum to 1."""
        t = np.linspace(-4.3, 4.3, 173)
        share = (
            1 / (1 + np.exp(-math.pi * np.sinh(t))) / 2
        )  # of the probability, from the end of the tail: 0 .. 1/2
        weight = np.cosh(t) / np.cosh(math.pi / 2 * np.sinh(t)) ** 2
        inside = share > 1e-300
        share, weight = share[inside], weight[inside]
        nodes = np.concatenate([self.distribution.ppf(share), self.distribution.isf(share)])
        weights = np.concatenate([weight, weight])
        finite = np.isfinite(nodes)
        return nodes[finite], weights[finite] / weights[finite].sum()

    def mean(self, values: Array) -> Array:
        """Expectation of values at the nodes, which lie along the last axis."""
        return values @ self.rule[1]

    def tables(self, log_x: Array, scale: float) -> Tables:
        """The one-atom functions of x; every exponent is written so that weak noise cancels nothing."""
        nodes, weights = self.rule
        columns = [np.empty_like(log_x) for _ in range(4)]
        for rows in np.array_split(np.arange(log_x.size), max(1, log_x.size * nodes.size // 2**21)):
            part = log_x[rows, None]
            x, shift = np.exp(np.minimum(part, LARGEST)), scale * nodes
            exponent = np.exp(np.minimum(part + shift, LARGEST))
            growth = np.where(shift < 1, x * np.expm1(np.minimum(shift, 1)), exponent - x)
            root = np.exp(np.minimum(part / 2, LARGEST))
            lifted = np.exp(np.minimum(part / 2 + nodes, LARGEST))
            lift = np.where(nodes < 1, root * np.expm1(np.minimum(nodes, 1)), lifted - root)
            excess = np.expm1(np.minimum(-growth, LARGEST)) @ weights
            lightest = exponent.min(axis=1, keepdims=True)
            mass = np.exp(lightest - exponent) * weights
            total = mass.sum(axis=1)
            columns[0][rows] = np.log1p(np.maximum(excess, -ALMOST_ALL))
            columns[1][rows] = np.maximum(np.log(total) - lightest[:, 0], LOG_ZERO)
            columns[2][rows] = (mass * lift).sum(axis=1) / total
            columns[3][rows] = (mass * lifted).sum(axis=1) / total
        return Tables(*columns)


def _noise(distribution: Any) -> Noise:
    if not math.isfinite(float(distribution.mean())):
        raise ValueError("noise must have a finite mean, got one whose mean is infinite or undefined")
    return Noise(distribution)


def _weights(weights: ArrayLike) -> Array:
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("weights must be a non-empty one-dimensional array of finite numbers >= 0")
    if values.sum() <= 0:
        raise ValueError("weights must have a positive sum")
    values = values[values > 0]
    return values / values.sum()


def _histogram(log_weights: Array, amounts: Array) -> tuple[int, Array]:
    """Spread ``amounts`` at ``log_weights`` over the grid by 8-point Lagrange interpolation.

    Returns the grid index of the first cell and the cells.
    """
    position = log_weights / STEP
    base = np.floor(position).astype(np.int64)
    fraction = position - base
    first = int(base.min()) + int(STENCIL[0])
    cells = np.zeros(int(base.max()) - first + int(STENCIL[-1]) + 1)
    for offset in STENCIL:
        others = STENCIL[offset != STENCIL]
        share = np.prod((fraction[:, None] - others) / (offset - others), axis=1)
        np.add.at(cells, base + offset - first, amounts * share)
    return first, cells


def _over_atoms(
    weights: Array, noise: Noise, scale: float, left: float, right: float
) -> tuple[Array, Tables]:
    """Grid of log x, and there the sums over atoms j of the tables at w_j x, tilted ones times sqrt(w_j)."""
    log_weights = np.log(weights)
    first, counts = _histogram(log_weights, np.ones_like(weights))
    _, roots = _histogram(log_weights, np.sqrt(weights))
    start, stop = math.floor(left / STEP), math.ceil(right / STEP)
    cells = np.arange(start + first, stop + first + counts.size)
    single = noise.tables(np.asarray(cells * STEP, dtype=np.float64), scale)
    sums = Tables(
        np.correlate(single.log_excess, counts, mode="valid"),
        np.correlate(single.log_laplace, counts, mode="valid"),
        np.correlate(single.tilted_excess, roots, mode="valid"),
        np.correlate(single.tilted, roots, mode="valid"),
    )
    return np.asarray(np.arange(start, stop + 1) * STEP, dtype=np.float64), sums


def _near(log_x: Array, sums: Tables) -> NDArray[np.bool_]:
    """Where the forms for weak noise hold: elsewhere nothing cancels and the plain ones do."""
    return (log_x < 3) & (np.abs(sums.log_excess) < 0.5)


def _reach(noise: Noise, atoms: int) -> tuple[float, float]:
    """How far the noise carries an atom up and down, tails below double precision left out."""
    up = float(noise.distribution.isf(1e-17 / atoms))
    down = -float(noise.distribution.ppf(1e-17))
    return min(max(up, 0.0), FARTHEST), min(max(down, 0.0), FARTHEST)


def expected_kl(weights: ArrayLike, distribution: Any) -> float:
    """Mean of KL(p||q) in nats when every delta is an independent draw of ``distribution`` (theorem F3).

    Parameters
    ----------
    weights
        Dense probabilities p, shape (V,); normalised here.
    distribution
        Frozen ``scipy.stats`` distribution of delta = D/T, with a finite mean.
    """
    p, noise = _weights(weights), _noise(distribution)
    if p.size == 1:
        return 0.0
    up, down = _reach(noise, p.size)
    log_x, sums = _over_atoms(p, noise, 1.0, -40.0 - up, 5.0 + down)
    near, x = _near(log_x, sums), np.exp(np.minimum(log_x, LARGEST))
    gap = np.exp(-x) - np.exp(sums.log_laplace)
    gap[near] = -np.exp(-x[near]) * np.expm1(sums.log_excess[near])
    nodes, node_weights = noise.rule
    threshold = -log_x[0] - np.log(p)
    far = nodes > threshold.min()
    beyond = sum(
        weight * float(np.maximum(node - threshold, 0).sum())
        for node, weight in zip(nodes[far], node_weights[far], strict=True)
    )
    return float(STEP * gap.sum() + beyond - noise.mean(nodes))


def expected_cosdist(weights: ArrayLike, distribution: Any) -> float:
    """Mean of 1 - cos(p, q) when every delta is an independent draw of ``distribution`` (theorem F3).

    ``weights`` are the dense probabilities p, shape (V,); the escort r of theorem F3 is formed here.
    """
    p, noise = _weights(weights), Noise(distribution)
    r = _weights((p / p.max()) ** 2)
    if r.size == 1:
        return 0.0
    up, down = _reach(noise, r.size)
    log_x, sums = _over_atoms(r, noise, 2.0, -80.0 - 2 * up, 5.0 + 2 * down)
    near, x = _near(log_x, sums), np.exp(np.minimum(log_x, LARGEST))
    product = np.exp(sums.log_laplace)
    gap = np.sqrt(x) * np.exp(-x) - sums.tilted * product
    weak = -np.exp(-x[near]) * np.expm1(sums.log_excess[near])
    gap[near] = np.sqrt(x[near]) * weak - sums.tilted_excess[near] * product[near]
    beyond = float(np.sqrt(r) @ distribution.sf(-(log_x[0] + np.log(r)) / 2))
    return float(STEP * gap.sum() / math.sqrt(math.pi) - beyond)


def moments(weights: ArrayLike, suffix: str) -> dict[str, float]:
    """Power sums of weights (V,) as theorems F1 to F5 name them: ``gini_p``, ``cubes_p`` for suffix "p"."""
    w = _weights(weights)
    return {f"gini_{suffix}": float((w**2).sum()), f"cubes_{suffix}": float((w**3).sum())}
