"""Base logits: what the dense model might say before anything is pruned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from theory.arrays import Array

Base = Callable[[np.random.Generator, int, int], Array]


def log_uniform(rng: np.random.Generator, low: float, high: float, rows: int) -> Array:
    """One positive number per row, uniform in its logarithm; shape ``(rows, 1)``."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size=(rows, 1)))


def flat(rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    """All logits equal; the common offset is random because the probabilities must not depend on it."""
    return np.repeat(rng.normal(0.0, 10.0, size=(rows, 1)), vocabulary, axis=1)


def gaussian(rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    """Independent normal logits, standard deviation 0.1 to 10."""
    return log_uniform(rng, 0.1, 10.0, rows) * rng.standard_normal((rows, vocabulary))


def zipf(rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    """Power-law probabilities of exponent 0.5 to 3: ``z_i = -s log i``."""
    return -rng.uniform(0.5, 3.0, size=(rows, 1)) * np.log(np.arange(1, vocabulary + 1))


def peaked(rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    """One confident token, 1 to 60 above normal noise."""
    logits = rng.standard_normal((rows, vocabulary))
    top = rng.integers(vocabulary, size=rows)
    logits[np.arange(rows), top] += log_uniform(rng, 1.0, 60.0, rows)[:, 0]
    return logits


def bimodal(rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    """Two competing tokens with a small gap, high above normal noise."""
    logits = rng.standard_normal((rows, vocabulary))
    height = log_uniform(rng, 1.0, 60.0, rows)[:, 0]
    first = rng.integers(vocabulary, size=rows)
    second = (first + rng.integers(1, vocabulary, size=rows)) % vocabulary
    logits[np.arange(rows), first] += height
    logits[np.arange(rows), second] += height + rng.normal(0.0, 2.0, size=rows)
    return logits


BASES: dict[str, Base] = {f.__name__: f for f in (flat, gaussian, zipf, peaked, bimodal)}


def _rows_of_file(rows_of_model: Array, rng: np.random.Generator, rows: int, vocabulary: int) -> Array:
    chosen = rows_of_model[rng.integers(len(rows_of_model), size=rows)]
    tokens = rng.integers(chosen.shape[1], size=(rows, vocabulary))
    # The most probable token always stays: a subset without it says nothing about the model's confidence.
    tokens[:, 0] = chosen.argmax(axis=1)
    return np.take_along_axis(chosen, tokens, axis=1)


def base_from_file(path: str | Path) -> Base:
    """A family that draws rows from a ``.npy`` file of a real model's logits, shape ``(rows, V)``.

    A smaller or larger vocabulary is met by drawing tokens with replacement around the row's top token.

    Raises
    ------
    ValueError
        If the file does not hold a non-empty two-dimensional array of finite numbers.
    """
    logits = np.load(path, allow_pickle=False)
    if logits.ndim != 2 or logits.size == 0 or not np.isfinite(logits).all():
        raise ValueError(
            f"logits file {str(path)!r} holds shape {logits.shape}; required: (rows, V), all finite"
        )
    return partial(_rows_of_file, logits.astype(np.float64))
