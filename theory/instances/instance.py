"""Adversarial pairs of distributions at high precision: what every claim is tried on, and what witnesses
return.

An ``Instance`` is a pair (logits, perturbation) of exact numbers; its columns are the textbook definitions at
``DIGITS`` digits, so atoms of 1e-30 and their squares are resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from theory.instances.definitions import high_precision

DIGITS = 120
Number = Any  # mpmath.mpf


class Instance:
    """One pair p = softmax(logits), q = softmax(logits + perturbation), at temperature 1."""

    def __init__(self, logits: Sequence[Number], perturbation: Sequence[Number]) -> None:
        self.z = [mpf(x) for x in logits]
        self.delta = [mpf(x) for x in perturbation]
        self._columns: dict[str, Number] = {}

    @cached_property
    def p(self) -> list[Number]:
        """Dense distribution."""
        return softmax(self.z)

    @cached_property
    def q(self) -> list[Number]:
        """Perturbed distribution."""
        return softmax([x + d for x, d in zip(self.z, self.delta, strict=True)])

    @cached_property
    def r(self) -> list[Number]:
        """Escort distribution, proportional to p squared."""
        return softmax([2 * x for x in self.z])

    def column(self, name: str) -> Number:
        """Column ``name`` of ``Drift`` at ``DIGITS`` digits."""
        if name not in self._columns:
            self._columns[name] = _column(self, name)
        return self._columns[name]

    def columns(self, names: Sequence[str]) -> dict[str, Number]:
        """Several columns by name."""
        return {name: self.column(name) for name in names}


def softmax(logits: Sequence[Number]) -> list[Number]:
    """Softmax of exact numbers."""
    top = max(logits)
    weights = [mpmath.exp(x - top) for x in logits]
    total = mpmath.fsum(weights)
    return [w / total for w in weights]


def mean(weights: Sequence[Number], values: Sequence[Number]) -> Number:
    """Mean under weights that sum to one."""
    return mpmath.fsum(w * x for w, x in zip(weights, values, strict=True))


def variance(weights: Sequence[Number], values: Sequence[Number]) -> Number:
    """Variance under weights that sum to one."""
    centre = mean(weights, values)
    return mpmath.fsum(w * (x - centre) ** 2 for w, x in zip(weights, values, strict=True))


def cumulant(weights: Sequence[Number], values: Sequence[Number], s: Number = 1) -> Number:
    """K_w(s) = log E_w exp(s x)."""
    top = max(s * x for x in values)
    return top + mpmath.log(mean(weights, [mpmath.exp(s * x - top) for x in values]))


def _column(instance: Instance, name: str) -> Number:
    special: dict[str, Callable[[], Number]] = {
        "vocabulary": lambda: mpf(len(instance.z)),
        "temperature": lambda: mpf(1),
        "option_mass": lambda: mpf(1),
        "option_mass_perturbed": lambda: mpf(1),
        "margin": lambda: _margin(instance.z),
    }
    if name in special:
        return special[name]()
    size = len(instance.z)
    return high_precision(name)(instance.p, instance.q, instance.z, instance.delta, instance.delta, size)


def _margin(logits: Sequence[Number]) -> Number:
    first, second = sorted(logits, reverse=True)[:2]
    return first - second


OSCILLATIONS = ("1e-12", "1e-6", "1e-3", "0.1", "0.5", "1", "1.3", "2", "3", "5", "10", "50", "200")


@cache
def adversarial() -> tuple[Instance, ...]:
    """A fixed set of hard instances: 13 oscillations, near-one-hot to uniform, spikes, ties, two-atom
    extremals.
    """
    with mpmath.workdps(DIGITS):
        return tuple(_generate(np.random.default_rng(20260324)))


def moderate(limit: float = 50.0) -> tuple[Instance, ...]:
    """The instances whose oscillation is at most ``limit``."""
    return tuple(instance for instance in adversarial() if instance.column("oscillation") <= limit)


def _generate(rng: np.random.Generator) -> Iterator[Instance]:
    for text in OSCILLATIONS:
        R = mpf(text)
        for weights in _weights(rng):
            size = len(weights)
            shape = _shape(rng, size)
            level, offset = mpf(float(rng.normal())), mpf(float(rng.normal()))
            yield Instance([mpmath.log(w) + level for w in weights], [R * x + offset for x in shape])
        for up in _extremal_masses(R):
            yield Instance([mpmath.log(up) + 1, mpmath.log(1 - up) + 1], [R, mpf(0)])


def _weights(rng: np.random.Generator) -> Iterator[list[Number]]:
    for _ in range(3):
        size = int(rng.integers(2, 8))
        draw = rng.dirichlet(np.full(size, 10 ** rng.uniform(-1.3, 1.0)))
        yield [mpf(float(x)) + mpf(10) ** -25 for x in draw]
    size = int(rng.integers(3, 7))
    yield [mpf(1)] + [mpf(10) ** -12 * (k + 1) for k in range(size)]
    yield [mpf(10) ** -30 if rng.random() < 0.5 else mpf(1) for _ in range(size)] + [mpf(1) / 7]
    yield [mpf(1) / (k + 1) ** mpf("1.3") for k in range(size)]
    yield [mpf(1)] * size


def _shape(rng: np.random.Generator, size: int) -> list[Number]:
    """Numbers from 0 to 1, both attained."""
    kind = rng.integers(4)
    if kind == 0:
        values = rng.normal(size=size)
    elif kind == 1:
        values = rng.integers(0, 2, size).astype(float)
    elif kind == 2:
        values = np.zeros(size)
        values[rng.integers(size)] = rng.choice([-1.0, 1.0])
    else:
        values = rng.standard_cauchy(size)
    if values.max() == values.min():
        values[0] += 1.0
    exact = [mpf(float(x)) for x in values]
    low, high = min(exact), max(exact)
    return [(x - low) / (high - low) for x in exact]


def _extremal_masses(R: Number) -> list[Number]:
    logistic = 1 / (1 + mpmath.exp(-R / 2))
    return [
        logistic,
        1 - logistic,
        1 / (1 + mpmath.exp(R)),
        1 / R - 1 / mpmath.expm1(R),
        mpf("1e-30"),
        1 - mpf("1e-30"),
        mpf(1) / 2,
    ]


def tilted(instance: Instance, s: Any) -> list[Any]:
    """p tilted by e^(s delta)."""
    return softmax([z + s * d for z, d in zip(instance.z, instance.delta, strict=True)])
