"""Interval arithmetic on float64 tensors: every result is widened past its own rounding error.

A sum, difference, product or quotient of float64 numbers is correctly rounded, so widening by 2^-51 of its
size covers it, and ``UNDERFLOW`` more covers underflow. torch's exp, expm1, log1p are assumed accurate to
``LIBRARY_ULPS`` units in the last place; the tests measure them.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

ROUNDING = 2.0**-51
LIBRARY_ULPS = 4
UNDERFLOW = 2.0**-1000  # far above what underflow can lose, and fast: not a subnormal number
BLOCK = 32
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
        low = torch.minimum(self.low * weight.low, self.low * weight.high)
        high = torch.maximum(self.high * weight.low, self.high * weight.high)
        return Interval(_down(low, UNDERFLOW), _up(high, UNDERFLOW))

    def times_as_nonnegative(self, weight: Interval) -> Interval:
        """The product of two nonnegative intervals."""
        return Interval(_down(self.low * weight.low, UNDERFLOW), _up(self.high * weight.high, UNDERFLOW))

    def over(self, weight: Interval) -> Interval:
        """The quotient by a positive interval; 0 stays 0 exactly."""
        low = torch.minimum(self.low / weight.low, self.low / weight.high)
        high = torch.maximum(self.high / weight.low, self.high / weight.high)
        return Interval(
            _down(low, UNDERFLOW * self.low.sign().abs()), _up(high, UNDERFLOW * self.high.sign().abs())
        )

    def scaled(self, power_of_two: float) -> Interval:
        """The product with a positive power of two, exact but for underflow."""
        return Interval(self.low * power_of_two, self.high * power_of_two)

    def squared(self) -> Interval:
        """x^2, also for intervals around 0."""
        least = torch.maximum(self.low, -self.high).clamp(min=0)
        most = torch.maximum(-self.low, self.high)
        return Interval(_down(least * least, UNDERFLOW).clamp_(min=0), _up(most * most, UNDERFLOW))

    def total(self) -> Interval:
        """Sum over the last axis, ``(..., 1)``; its width grows with log V only."""
        return Interval(-_sum_up(-self.low), _sum_up(self.high))

    def exp(self) -> Interval:
        """e^x for x at most 709; of a narrow interval only one end needs the function."""
        low = torch.exp(self.low)
        width = self.high - self.low
        wide = bool((width > 1).any())
        high = torch.exp(self.high) if wide else low + low * width.mul_(2)  # e^w <= 1 + 2w for w <= 1
        return Interval(_library(low, -1).clamp_(min=0), _library(high, 1))

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

    def zero_where(self, mask: Tensor) -> Interval:
        """The same intervals, but 0 exactly where ``mask`` says so."""
        zero = torch.zeros_like(self.low)
        return Interval(torch.where(mask, zero, self.low), torch.where(mask, zero, self.high))


def _up(value: Tensor, underflow: Tensor | float = 0.0) -> Tensor:
    """Above the exact result that ``value`` rounds; products and quotients may have underflowed."""
    return value + torch.add(value.abs().mul_(ROUNDING), underflow)


def _down(value: Tensor, underflow: Tensor | float = 0.0) -> Tensor:
    return value - torch.add(value.abs().mul_(ROUNDING), underflow)


def _library(value: Tensor, direction: int) -> Tensor:
    slack = value.abs().mul_(LIBRARY_ULPS * ROUNDING).add_(UNDERFLOW)
    return value + direction * slack


def _sum_up(values: Tensor) -> Tensor:
    """Above the exact sum over the last axis, ``(..., 1)``.

    Summing blocks of BLOCK, then blocks of their sums, loses at most BLOCK units per level in any order.
    """
    count = values.shape[-1]
    size = values.abs().sum(-1, keepdim=True) * (1 + count * ROUNDING)
    levels = 0
    while values.shape[-1] > 1:
        values = torch.nn.functional.pad(values, (0, -values.shape[-1] % BLOCK))
        values = values.reshape(*values.shape[:-1], -1, BLOCK).sum(-1)
        levels += 1
    return _up(values + size * (levels * BLOCK * ROUNDING / 2))
