"""Checks of statements about more than one pair (p, q): noise, heads, option sets, rankings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from numpy.typing import NDArray

from theory.claims import Claim
from theory.instances import DIGITS, Number
from theory.safe_forms import Expression
from theory.steps import TOLERANCE, Method, Step, StepFailedError, computed, require

Array = NDArray[np.float64]
Relation = tuple[Any, str, Any]


def within(claim: Claim, value: Any, **symbols: Any) -> Iterator[Relation]:
    """The relations that a claim asserts of one exact value of its quantity."""
    for bound in claim.bounds:
        limit = bound.exact(**symbols)
        yield (value, "<=", limit) if bound.side == "upper" else (limit, "<=", value)


def related(
    text: str,
    relations: Callable[[], Iterable[Relation]],
    method: Method = Method.SAMPLED,
    *,
    tolerance: Any = TOLERANCE,
    equation: Expression | None = None,
) -> Step:
    """Relations ``(left, "=" or "<=", right)``, evaluated at ``DIGITS`` digits."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for left, relation, right in relations():
                require(left, relation, right, tolerance)
                count += 1
        return f"{count} cases"

    return computed(text, method, check, equation)


def simulated(text: str, samples: Callable[[], Iterable[tuple[Array, float]]]) -> Step:
    """Means of samples against predicted means: within five standard errors, with fixed seeds."""

    def check() -> str:
        worst = 0.0
        for sample, predicted in samples():
            error = float(sample.std()) / math.sqrt(sample.size)
            worst = max(worst, abs(float(sample.mean()) - predicted) / error)
        if worst > 5:
            raise StepFailedError(f"a mean is {worst:.1f} standard errors away")
        return f"largest deviation {worst:.1f} standard errors (5 allowed)"

    return computed(text, Method.SIMULATED, check)


def rarely(text: str, events: Callable[[], Iterable[tuple[NDArray[np.bool_], float]]]) -> Step:
    """Frequencies of events against upper bounds of their probability, five standard errors allowed."""

    def check() -> str:
        count = 0
        for happened, bound in events():
            count += 1
            allowance = 5 * math.sqrt(bound * (1 - bound) / happened.size) if bound < 1 else 0.0
            if float(happened.mean()) > bound + allowance:
                raise StepFailedError(f"frequency {happened.mean():.3g} exceeds {bound:.3g}")
        return f"{count} frequencies below their bound"

    return computed(text, Method.SIMULATED, check)


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
