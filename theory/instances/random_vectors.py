"""Random vectors, test distributions and moments of noise, for statements about more than one pair."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.arrays import Array
from theory.formulas.safe_forms import Expression
from theory.instances.instance import Number


def random_vector(rng: np.random.Generator, size: int, scale: float = 1.0) -> list[Number]:
    """Gaussian entries as exact numbers."""
    return [mpf(float(x)) * scale for x in rng.normal(size=size)]


def dot(x: Sequence[Number], y: Sequence[Number]) -> Number:
    """Inner product."""
    return mpmath.fsum(a * b for a, b in zip(x, y, strict=True))


def angle(x: Sequence[Number], y: Sequence[Number]) -> Number:
    """Angle of two vectors, accurate when it is small."""
    a, b = mpmath.sqrt(dot(x, x)), mpmath.sqrt(dot(y, y))
    chord = mpmath.sqrt(mpmath.fsum((s / a - t / b) ** 2 for s, t in zip(x, y, strict=True)))
    return 2 * mpmath.asin(min(chord / 2, mpf(1)))


def zipf(size: int, exponent: float = 1.2) -> Array:
    """Zipf's law as a test distribution, float64."""
    weights = np.arange(1, size + 1) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def escort(p: Array) -> Array:
    """r proportional to p squared."""
    return np.asarray(p * p / (p * p).sum(), dtype=np.float64)


def noise_mean(
    polynomial: Expression, values: Sequence[sp.Symbol], moments: Sequence[Expression]
) -> Expression:
    """Expectation of a polynomial in independent, identically distributed ``values``; moments[k] = E x^k."""
    terms = sp.Poly(polynomial, *values).terms()
    return sp.expand(sum(c * sp.prod([moments[power] for power in powers]) for powers, c in terms))


def gaussian_moments(variance: Expression, highest: int) -> list[Expression]:
    """E x^k, k = 0 .. highest, of a centred Gaussian."""
    return [
        sp.Integer(0) if k % 2 else variance ** (k // 2) * sp.factorial2(max(k - 1, 1))
        for k in range(highest + 1)
    ]
