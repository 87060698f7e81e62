"""What the tests of ``measure`` share: agreement with 50-digit arithmetic, and the rows of its module."""

from __future__ import annotations

import math

import mpmath
from mpmath import mpf
from torch import Tensor

from tests.theory import oracle
from theory import measure
from theory.drift.rows.buffers import Arena
from theory.drift.rows.rows import Facts, Pair, exact_differences, first_largest

TOLERANCE = 1e-12
SMALLEST = 1e-285  # below it, atoms and their squares are subnormal or zero
CANCELLING = ("cosdist_z", "cosdist_z_centred", "orthogonal_sq")  # exactly parallel vectors: noise of 1e-32


def error(name: str, found: float, truth: mpf) -> float:
    """Relative error; 0 where both are beyond what float64 can hold."""
    if mpmath.isnan(truth) or mpmath.isinf(truth):
        return 0.0 if str(found) == str(float(truth)) else math.inf
    if found == math.inf and truth > mpf("1.7e308"):
        return 0.0
    if abs(truth) < SMALLEST and abs(found) < 10 * SMALLEST:
        return 0.0
    if truth == 0:
        return 0.0 if found == 0 or (name in CANCELLING and abs(found) < 1e-31) else math.inf
    return float(abs(mpf(found) / truth - 1))


def agrees(logits: Tensor, perturbed: Tensor, temperature: float) -> None:
    drift = measure(logits, perturbed, temperature)
    truth = oracle.drift_columns(logits.double().tolist(), perturbed.double().tolist(), temperature)
    for name, value in truth.items():
        found = getattr(drift, name).item()
        assert error(name, found, value) <= allowed(name, truth, logits, perturbed), (name, found, value)


def allowed(name: str, truth: dict[str, mpf], logits: Tensor, perturbed: Tensor) -> float:
    """1e-12, but for two columns that are small when a vector is nearly orthogonal or parallel to another."""
    value = truth[name]
    if not mpmath.isfinite(value) or value == 0:
        return TOLERANCE
    if name == "parallel":  # an inner product: its error is relative to the lengths
        return TOLERANCE * float(mpmath.hypot(mpmath.sqrt(truth["orthogonal_sq"]), value) / abs(value))
    if name == "cosdist_z_centred":  # rounding the mean turns the logits by up to one unit
        step = (perturbed.double() - logits.double()).std(correction=0) / logits.double().std(correction=0)
        return TOLERANCE + 1e-15 * step.item() / math.sqrt(float(value))
    return TOLERANCE


def whole_pair(logits: Tensor, perturbed: Tensor, temperature: float = 1.0) -> Pair:
    """A block ``(rows, V)`` of any size as one chunk."""
    facts = Facts(first_largest(logits), first_largest(perturbed), all(exact_differences(logits, perturbed)))
    return Pair(logits, perturbed, temperature, Arena(), facts)
