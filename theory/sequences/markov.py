"""Finite-state chains: how far two autoregressive models with one token of memory drift apart, exactly.

A model is a row-stochastic float64 matrix ``(k, k)``; ``dense`` and ``perturbed`` start from one law
``start`` ``(k,)``. What decides between "soon" and "never" is the small chance of disagreeing, so the solvers
work with ``leak = TV(dense[x], perturbed[x])`` and add nonnegative numbers only: relative accuracy survives
drifts far below the rounding unit of a probability near 1. Theorems G2, G7, G14.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse.csgraph import shortest_path

from theory.arrays import Array


def leak(dense: Array, perturbed: Array) -> Array:
    """Total variation of the next-token laws after each token, shape ``(k,)``."""
    return 0.5 * np.abs(dense - perturbed).sum(-1)


def dobrushin(kernel: Array) -> float:
    """Dobrushin coefficient: largest total variation between two rows; one step contracts by this factor."""
    return float(0.5 * np.abs(kernel[:, None] - kernel[None]).sum(-1).max())


def hilbert_diameter(kernel: Array) -> float:
    """Largest Hilbert projective distance between two rows; infinite where supports differ (G14)."""
    positive = kernel > 0
    if (positive != positive[0]).any():
        return math.inf
    logs = np.log(kernel[:, positive[0]])
    return float(np.ptp(logs[:, None] - logs[None], axis=-1).max())


def survival(start: Array, dense: Array, perturbed: Array, steps: int) -> Array:
    """Chance that stepwise maximally coupled runs still agree after 0, 1, .., ``steps`` steps (G2, G7).

    ``S_n = start M^n 1`` with ``M = min(dense, perturbed)`` entrywise; shape ``(steps + 1,)``.
    """
    agree = np.minimum(dense, perturbed)
    mass, values = start, [1.0]
    for _ in range(steps):
        mass = mass @ agree
        values.append(float(mass.sum()))
    return np.array(values)


def mean_first_divergence(start: Array, dense: Array, perturbed: Array) -> float:
    """Expected step (1, 2, ..) of the first disagreement: ``start (I - M)^-1 1`` (G7).

    Infinite if it may never come.
    """
    agree, loss = np.minimum(dense, perturbed), leak(dense, perturbed)
    reach = np.isfinite(shortest_path(agree > 0, unweighted=True))
    never = ~(reach & (loss > 0)).any(1)
    hopeless = (reach & never).any(1)
    if (start[hopeless] > 0).any():
        return math.inf
    alive = ~hopeless
    loss = loss[alive] + agree[np.ix_(alive, hopeless)].sum(1)
    times = _absorption_times(agree[np.ix_(alive, alive)], loss)
    return float(start[alive] @ times)


def _absorption_times(agree: Array, loss: Array) -> Array:
    """``t = (I - agree)^-1 1`` with ``loss = 1 - agree.sum(1)``: elimination without a subtraction (GTH)."""
    flow, loss, gain = agree.copy(), loss.copy(), np.ones(len(loss))
    pivots = np.empty(len(loss))
    for n in range(len(loss) - 1, -1, -1):
        pivots[n] = loss[n] + flow[n, :n].sum()
        factor = flow[:n, n] / pivots[n]
        flow[:n, :n] += np.outer(factor, flow[n, :n])
        loss[:n] += factor * loss[n]
        gain[:n] += factor * gain[n]
    times = np.empty(len(loss))
    for n in range(len(loss)):
        times[n] = (gain[n] + flow[n, :n] @ times[:n]) / pivots[n]
    return times


def decay_rate(dense: Array, perturbed: Array) -> float:
    """Decay of agreement, nats per step: ``-log`` of the Perron root of ``min(dense, perturbed)`` (G7).

    For an irreducible minimum it does not depend on the start; otherwise it is the slowest rate of any start.
    """
    values, vectors = np.linalg.eig(np.minimum(dense, perturbed).T)
    perron = int(np.argmax(values.real))
    law = np.abs(vectors[:, perron].real)
    if law.sum() == 0.0 or values[perron].real <= 0.0:
        return math.inf
    # 1 - root = what leaks from the quasi-stationary law: no subtraction from 1
    lost = float(law @ leak(dense, perturbed) / law.sum())
    return -math.log1p(-lost) if lost < 1.0 else math.inf


def half_life(dense: Array, perturbed: Array) -> float:
    """Steps in which, in the long run, half of the agreeing runs diverge (G7); infinite without drift."""
    rate = decay_rate(dense, perturbed)
    return math.log(2) / rate if rate > 0 else math.inf


def stationary(kernel: Array) -> Array:
    """Stationary law of an irreducible chain, shape ``(k,)``, by subtraction-free elimination."""
    flow = kernel.copy()
    size = len(flow)
    for n in range(size - 1, 0, -1):
        flow[:n, n] /= flow[n, :n].sum()
        flow[:n, :n] += np.outer(flow[:n, n], flow[n, :n])
    law = np.zeros(size)
    law[0] = 1.0
    for n in range(1, size):
        law[n] = law[:n] @ flow[:n, n]
    return law / law.sum()


def stationary_shift(dense: Array, perturbed: Array) -> Array:
    """Perturbed minus dense stationary law from the drift: ``pi_Q (Q - P) (I - P + 1 pi_P)^-1`` (G7)."""
    law = stationary(dense)
    fundamental = np.eye(len(dense)) - dense + law
    shift = np.linalg.solve(fundamental.T, stationary(perturbed) @ (perturbed - dense))
    return np.asarray(shift, dtype=np.float64)


def marginal_tv(start: Array, dense: Array, perturbed: Array, steps: int) -> Array:
    """Total variation of the two laws of token n, n = 0 .. ``steps``, shape ``(steps + 1,)``.

    The difference itself is propagated, so equal chains give exactly 0.
    """
    law, difference, values = start, np.zeros_like(start), [0.0]
    for _ in range(steps):
        difference = difference @ perturbed + law @ (perturbed - dense)
        law = law @ dense
        values.append(float(0.5 * np.abs(difference).sum()))
    return np.array(values)


def marginal_tv_bound(step_tv: float, contraction: float, steps: int) -> Array:
    """Dobrushin saturation: bound on ``marginal_tv`` from the largest step drift and one contraction (G7).

    ``epsilon (1 - k^n) / (1 - k)`` with ``k = min(contraction, 1 - step_tv)``; shape ``(steps + 1,)``.
    """
    factor = min(contraction, 1.0 - step_tv)
    return step_tv * np.concatenate([[0.0], np.cumsum(factor ** np.arange(steps))])


def chernoff_exponent(dense: Array, perturbed: Array) -> float:
    """Decay of ``1 - TV`` of the sequence laws, nats per step: ``-log min_s rho(P^(1-s) * Q^s)`` (G14)."""
    both = (dense > 0) & (perturbed > 0)
    log_dense = np.log(dense, where=both, out=np.zeros_like(dense))
    log_perturbed = np.log(perturbed, where=both, out=np.zeros_like(dense))

    def root(tilt: float) -> float:
        mixed = np.where(both, np.exp((1 - tilt) * log_dense + tilt * log_perturbed), 0.0)
        return float(np.abs(np.linalg.eigvals(mixed)).max())

    best = minimize_scalar(root, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10})
    return -math.log(best.fun) if best.fun > 0 else math.inf
