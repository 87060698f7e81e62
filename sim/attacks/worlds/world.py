"""What an attack searches over: situations with free real parameters, and the symbols they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from theory.arrays import Array

Free = Mapping[str, Tensor]
"""Parameters that the search moves, float64, rows first."""


@dataclass(frozen=True)
class Given:
    """Numbers that stay fixed during the search, ``(rows,)`` each.

    Attributes
    ----------
    oscillation
        The budget R: as R goes to 0 most bounds become equalities, so it must not be searched over.
    share
        A number in (0, 1), from which a world takes orders and levels.
    """

    oscillation: Tensor
    share: Tensor


class World(Protocol):
    """A family of situations of growing size."""

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols of the catalogue that it gives values to."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes to search by default: tokens, states or dimensions."""

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        """Random free parameters."""

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        """Named symbols, ``(rows,)`` each, differentiable in ``free``."""


def with_range(direction: Tensor, span: Tensor) -> Tensor:
    """``direction`` moved and scaled so that max - min of its last axis is ``span``."""
    low, high = direction.amin(-1, keepdim=True), direction.amax(-1, keepdim=True)
    return span[..., None] * (direction - low) / (high - low)


def cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """1 - cos of two batches of vectors, accurate when it is small."""
    x, y = x / x.norm(dim=-1, keepdim=True), y / y.norm(dim=-1, keepdim=True)
    return ((x - y) ** 2).sum(-1) / 2
