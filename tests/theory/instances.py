"""Hard logits, by number: one-hot to flat, ties, atoms of 1e-300, gaps to 1e4, changes from 1e-10 to 1e4."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

DTYPES = (torch.float64, torch.float64, torch.float32, torch.float16, torch.bfloat16)
TEMPERATURES = (1.0, 1.0, 0.7, 0.1, 3.0, 100.0)


class Instance(NamedTuple):
    """Dense and perturbed logits ``(V,)`` and a temperature."""

    logits: Tensor
    perturbed: Tensor
    temperature: float

    @property
    def arguments(self) -> tuple[list[float], list[float], float]:
        """The same as exact Python floats."""
        return self.logits.double().tolist(), self.perturbed.double().tolist(), self.temperature


class _Draws:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.size = (1, 2, 2, 3, 3, 5, 8, 17, 40)[self.integer(9)]

    def integer(self, bound: int) -> int:
        return int(torch.randint(bound, (), generator=self.generator))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def power(self, low: float, high: float) -> float:
        return float(10 ** self.uniform(low, high))

    def normal(self) -> Tensor:
        return torch.randn(self.size, generator=self.generator, dtype=torch.float64)

    def some(self, share: float) -> Tensor:
        return (torch.rand(self.size, generator=self.generator) < share).double()

    def spikes(self, background: float, count: int) -> Tensor:
        logits = torch.full((self.size,), background, dtype=torch.float64)
        for _ in range(count):
            logits[self.integer(self.size)] = 0.0
        return logits

    def offset(self) -> float:
        return self.uniform(-1, 1) * self.power(-2, 4) if self.integer(3) == 0 else 0.0


_BASES: tuple[Callable[[_Draws], Tensor], ...] = (
    lambda d: d.normal() * d.power(-3, 1),
    lambda d: d.normal() * 0,
    lambda d: d.normal() * d.power(0, 4) * d.some(0.7),
    lambda d: d.spikes(-690.0, 1),
    lambda d: torch.round(d.normal() * 2),
    lambda d: -torch.arange(1, d.size + 1, dtype=torch.float64).log() * d.uniform(0.5, 3),
    lambda d: d.normal() * d.power(-12, 4),
    lambda d: d.spikes(-d.uniform(0, 60), 2),
)
_CHANGES: tuple[Callable[[_Draws, Tensor, float], Tensor], ...] = (
    lambda d, z, size: d.normal() * size,
    lambda d, z, size: d.spikes(size, 1),
    lambda d, z, size: z * d.power(-9, 0),
    lambda d, z, size: d.some(0.5) * size,
    lambda d, z, size: d.normal() * d.power(0, 4),
    lambda d, z, size: d.normal() / d.normal() * size,
    lambda d, z, size: -2 * z,
    lambda d, z, size: d.normal() * size * d.some(0.3),
    lambda d, z, size: -z + d.normal() * size,
)


def instance(seed: int) -> Instance:
    """The ``seed``-th instance."""
    draws = _Draws(seed)
    dtype = DTYPES[draws.integer(len(DTYPES))]
    logits = _BASES[draws.integer(len(_BASES))](draws) + draws.offset()
    change = _CHANGES[draws.integer(len(_CHANGES))](draws, logits, draws.power(-10, 2)) + draws.offset()
    temperature = TEMPERATURES[draws.integer(len(TEMPERATURES))]
    dense = logits.clamp(-3e4, 3e4).to(dtype)
    return Instance(dense, (dense.double() + change).clamp(-6e4, 6e4).to(dtype), temperature)
