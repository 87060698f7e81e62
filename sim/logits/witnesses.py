"""The theorems' own witnesses, exact and slightly disturbed, hidden in a vocabulary of any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mpmath
import numpy as np

from theory.arrays import Array
from theory.instances.instance import DIGITS
from theory.statements.catalogue import catalogue
from theory.theorems.theorem import Theorem, Witness

BUILDS_PER_UNIT = 16
DEPTH = 50.0
"""Padding tokens lie this many nats (plus log V) below the witness's lightest atom."""


def logit_witnesses(theorems: Iterable[Theorem] = catalogue) -> list[Witness]:
    """Every witness that consists of logits, in the catalogue's order."""
    return [w for theorem in theorems for w in theorem.witnesses if w.build is not None]


def witness_pair(witness: Witness, parameter: float) -> tuple[Array, Array]:
    """Logits and perturbation (T = 1) of one witness as float64, each of shape ``(atoms,)``."""
    assert witness.build is not None
    with mpmath.workdps(DIGITS):
        logits, perturbation = witness.build(mpmath.mpf(parameter))
        return np.array([float(x) for x in logits]), np.array([float(x) for x in perturbation])


def embed(logits: Array, perturbation: Array, vocabulary: int) -> tuple[Array, Array]:
    """Pad a witness to ``vocabulary`` tokens without weight and without a new extreme of the perturbation."""
    padding = vocabulary - len(logits)
    low = logits.min() - DEPTH - np.log(vocabulary)
    return (
        np.concatenate([logits, np.full(padding, low)]),
        np.concatenate([perturbation, np.full(padding, perturbation.mean())]),
    )


def witness_rows(
    rng: np.random.Generator, rows: int, vocabulary: int, witnesses: Sequence[Witness] | None = None
) -> tuple[Array, Array]:
    """Logits and perturbations ``(rows, V)`` at T = 1: witnesses that fit, half of them disturbed."""
    chosen = logit_witnesses() if witnesses is None else list(witnesses)
    built = []
    for _ in range(min(BUILDS_PER_UNIT, rows)):
        witness = chosen[rng.integers(len(chosen))]
        span = np.log([float(parameter) for parameter in witness.parameters])
        parameter = float(np.exp(rng.uniform(span.min(), span.max())))
        logits, perturbation = witness_pair(witness, parameter)
        if len(logits) <= vocabulary and np.isfinite(logits).all() and np.isfinite(perturbation).all():
            built.append(embed(logits, perturbation, vocabulary))
    if not built:
        return np.zeros((rows, vocabulary)), np.zeros((rows, vocabulary))
    index = np.arange(rows) % len(built)
    z = np.stack([pair[0] for pair in built])[index]
    delta = np.stack([pair[1] for pair in built])[index]
    disturbed = (rng.random((rows, 1)) < 0.5) * 10.0 ** rng.uniform(-6, -1, size=(rows, 1))
    spread = np.ptp(delta, axis=1, keepdims=True)
    z = z + disturbed * rng.standard_normal(z.shape)
    return z, delta + disturbed * spread * rng.standard_normal(z.shape)
