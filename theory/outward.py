"""Interval arithmetic on float64 tensors: every result is widened past its own rounding error.

A sum, difference, product or quotient of float64 numbers is correctly rounded, so widening by 2^-51 of its
size covers it, and one subnormal more covers underflow. torch's exp, expm1, log1p are assumed accurate to
``LIBRARY_ULPS`` units in the last place; the tests measure them.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

ROUNDING = 2.0**-51
LIBRARY_ULPS = 4
LEAST = 5e-324
_LARGEST_EXPONENT = 709.0


@dataclasses.dataclass(frozen=True)
class Interval:
    """Closed intervals [low, high], elementwise."""

    low: Tensor
    high: Tensor

    @staticmethod
    def exactly(value: Tensor) -> Interval:
        """The interval of one float each."""
        return Interval(value, value)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __add__(self, other: Interval) -> Interval:
        return Interval(_down(self.low + other.low), _up(self.high + other.high))

    def __sub__(self, other: Interval) -> Interval:
        return self + (-other)

    def times(self, weight: Interval) -> Interval:
        """The product with a nonnegative interval."""
        products = [(weight.low, self.low), (weight.high, self.low), (weight.low, self.high)]
        products.append((weight.high, self.high))
        low = torch.minimum(*(_down(a * b, a, b) for a, b in products[:2]))
        high = torch.maximum(*(_up(a * b, a, b) for a, b in products[2:]))
        return Interval(low, high)

    def over(self, weight: Interval) -> Interval:
        """The quotient by a positive interval."""
        low = torch.minimum(_down(self.low / weight.low, self.low), _down(self.low / weight.high, self.low))
        high = torch.maximum(_up(self.high / weight.low, self.high), _up(self.high / weight.high, self.high))
        return Interval(low, high)

    def scaled(self, power_of_two: float) -> Interval:
        """The product with a positive power of two, exact but for underflow."""
        return Interval(self.low * power_of_two, self.high * power_of_two)

    def squared(self) -> Interval:
        """x^2, also for intervals around 0."""
        least = torch.maximum(self.low, -self.high).clamp(min=0)
        most = torch.maximum(-self.low, self.high)
        return Interval(_down(least * least, least).clamp(min=0), _up(most * most, most))

    def total(self) -> Interval:
        """Sum over the last axis, ``(..., 1)``, by halving: the error grows with log V only."""
        return Interval(-_sum_up(-self.low), _sum_up(self.high))

    def exp(self) -> Interval:
        """e^x for x at most 709."""
        low, high = torch.exp(self.low), torch.exp(self.high)
        return Interval(_library(low, -1).clamp(min=0), _library(high, 1))

    def expm1(self) -> Interval:
        """e^x - 1, with an upper end of inf where that overflows."""
        low = torch.expm1(self.low.clamp(max=_LARGEST_EXPONENT))
        return Interval(_library(low, -1), _library(torch.expm1(self.high), 1))

    def log1p(self) -> Interval:
        """log(1 + x)."""
        return Interval(_library(torch.log1p(self.low), -1), _library(torch.log1p(self.high), 1))

    def meet(self, other: Interval) -> Interval:
        """The intersection of two intervals that contain the same number."""
        return Interval(torch.fmax(self.low, other.low), torch.fmin(self.high, other.high))


def _up(value: Tensor, *factors: Tensor) -> Tensor:
    """Above the exact result that ``value`` rounds; a nonzero product or quotient may have underflowed."""
    slack = value.abs() * ROUNDING
    if factors:
        nonzero = factors[0] != 0
        for factor in factors[1:]:
            nonzero = nonzero & (factor != 0)
        slack = slack + LEAST * nonzero
    return value + slack


def _down(value: Tensor, *factors: Tensor) -> Tensor:
    return -_up(-value, *factors)


def _library(value: Tensor, direction: int) -> Tensor:
    slack = value.abs() * (LIBRARY_ULPS * ROUNDING) + LEAST * (value != 0)
    return value + direction * slack


def _sum_up(values: Tensor) -> Tensor:
    """Above the exact sum over the last axis, ``(..., 1)``."""
    depth = max(1, math.ceil(math.log2(values.shape[-1]))) if values.shape[-1] > 1 else 0
    size = _halved_sum(values.abs())
    return _up(_halved_sum(values) + size * (depth * ROUNDING))


def _halved_sum(values: Tensor) -> Tensor:
    while values.shape[-1] > 1:
        half = (values.shape[-1] + 1) // 2
        rest = values[..., half:]
        folded = values[..., :half].clone()
        folded[..., : rest.shape[-1]] += rest
        values = folded
    return values
