"""Interval versions of the elementary functions, on top of ``mpmath.iv``.

``mpmath.iv`` rounds sums, products, quotients and square roots outward, but not its exponential and
logarithm: at 256 bits it returns exp(1e-42) = 1 + 1e-42 as an interval of width 0.  Here every
transcendental function is evaluated by ``mpmath`` with 64 bits more than asked for and widened by 2^-32 of
the last bit asked for, 2^32 times mpmath's error.  Roots and logarithms cut off the negative part of an
argument that is known to be non-negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import iv

MpInterval = Any  # mpmath.iv.mpf

GUARD_BITS = 64


def interval(lower: Any, upper: Any | None = None) -> MpInterval:
    """The interval of two numbers, exactly."""
    return iv.mpf([lower, lower if upper is None else upper])


def _nonnegative(x: MpInterval) -> MpInterval:
    x = iv.mpf(x)
    return iv.mpf([max(x.a, 0), x.b]) if x.a < 0 <= x.b else x


def sqrt(x: MpInterval) -> MpInterval:
    """Square root of a number known to be non-negative."""
    return iv.sqrt(_nonnegative(x))


def _increasing(function: Callable[[Any], Any]) -> Callable[[MpInterval], MpInterval]:
    def evaluate(x: MpInterval) -> MpInterval:
        x = iv.mpf(x)
        precision = iv.prec
        with mpmath.workprec(precision + GUARD_BITS):
            slack = mpmath.ldexp(1, -precision - GUARD_BITS // 2)
            low, high = (function(mpmath.mpf(end)) for end in (x.a._mpi_[0], x.b._mpi_[1]))
            return iv.mpf([low - abs(low) * slack, high + abs(high) * slack])

    return evaluate


_log = _increasing(mpmath.log)


def log(x: MpInterval) -> MpInterval:
    """Logarithm of a number known to be positive."""
    x = _nonnegative(x)
    if x.a > 0:
        return _log(x)
    return iv.mpf([-mpmath.inf, _log(iv.mpf(x.b)).b if x.b > 0 else -mpmath.inf])


def maximum(*terms: MpInterval) -> MpInterval:
    """Largest of some intervals."""
    numbers = [iv.mpf(term) for term in terms]
    return iv.mpf([max(x.a for x in numbers), max(x.b for x in numbers)])


def minimum(*terms: MpInterval) -> MpInterval:
    """Smallest of some intervals."""
    numbers = [iv.mpf(term) for term in terms]
    return iv.mpf([min(x.a for x in numbers), min(x.b for x in numbers)])


def heaviside(x: MpInterval, at_zero: Any = None) -> MpInterval:
    """Step function: it appears in derivatives of maxima and minima."""
    x = iv.mpf(x)
    return iv.mpf([1 if x.a > 0 else 0, 0 if x.b < 0 else 1])


INTERVAL_FUNCTIONS: dict[str, Any] = {
    "mpf": iv.mpf,
    "exp": _increasing(mpmath.exp),
    "log": log,
    "sqrt": sqrt,
    "atan": _increasing(mpmath.atan),
    "asin": _increasing(mpmath.asin),
    "atanh": _increasing(mpmath.atanh),
    "acosh": _increasing(mpmath.acosh),
    "erf": _increasing(mpmath.erf),
    "max": maximum,
    "min": minimum,
    "Heaviside": heaviside,
    "Abs": abs,
    "pi": iv.pi,
}


def lower_float(x: MpInterval) -> float:
    """Largest convenient float that is not above the interval."""
    return _outward(x.a._mpi_[0], -math.inf)


def upper_float(x: MpInterval) -> float:
    """Smallest convenient float that is not below the interval."""
    return _outward(x.b._mpi_[1], math.inf)


def _outward(raw: Any, towards: float) -> float:
    exact = mpmath.mp.make_mpf(raw)
    if mpmath.isnan(exact):
        return towards
    nearest = float(exact)
    if math.isinf(nearest):
        return nearest if (nearest > 0) == (towards > 0) else math.copysign(1.7976931348623157e308, nearest)
    beyond = nearest < exact if towards > 0 else nearest > exact
    return math.nextafter(nearest, towards) if beyond else nearest
