"""Memory for one chunk of rows, and the names of what lies in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class Arena:
    """Buffers for one chunk of rows, lent again to the next: fresh pages cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._views: list[Tensor] = []
        self._lent = 0

    def rewind(self) -> None:
        """Take all buffers back."""
        self._lent = 0

    def like(self, model: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        """An uninitialised tensor of the shape of ``model``, for use as ``out=``."""
        return self.room(model.shape, model.device, dtype)

    def room(self, shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float64) -> Tensor:
        """An uninitialised tensor."""
        place, self._lent = self._lent, self._lent + 1
        if place < len(self._views):
            view = self._views[place]
            if view.shape == shape and view.dtype == dtype:
                return view  # as the chunk before had it
        else:
            self._buffers.append(torch.empty(0, dtype=torch.float64, device=device))
            self._views.append(self._buffers[place])
        size = math.prod(shape)
        if self._buffers[place].numel() < size:
            self._buffers[place] = torch.empty(size, dtype=torch.float64, device=device)
        self._views[place] = self._buffers[place].view(dtype)[:size].view(shape)
        return self._views[place]


@dataclass(frozen=True)
class Planes:
    """What is summed over the vocabulary: ``(rows, V)`` views of one buffer ``(rows, 9, V)``.

    The properties are blocks ``(rows, k, V)`` of neighbours: one matrix product sums them all.
    """

    buffer: Tensor
    x: Tensor
    """delta less a constant per row."""
    y: Tensor
    """(z - max z)/T."""
    p: Tensor
    """Weights proportional to p, and to q, p*q, p^2 and sqrt(p*q) in the next four."""
    q: Tensor
    product: Tensor
    escort: Tensor
    root: Tensor
    z: Tensor
    """Dense logits in float64."""
    step: Tensor
    """z' - z, rounded."""

    @classmethod
    def of(cls, buffer: Tensor) -> Planes:
        """Names for the planes of a buffer."""
        return cls(buffer, *buffer.unbind(1))

    @property
    def exponents(self) -> Tensor:
        """x and y."""
        return self.buffer[:, :2]

    @property
    def weights(self) -> Tensor:
        """p, q, p*q, p^2 and sqrt(p*q)."""
        return self.buffer[:, 2:7]

    @property
    def exponents_and_weights(self) -> Tensor:
        """x, y and the five weights."""
        return self.buffer[:, :7]

    @property
    def y_p_q(self) -> Tensor:
        """y, p and q."""
        return self.buffer[:, 1:4]

    @property
    def vectors(self) -> Tensor:
        """z and z' - z."""
        return self.buffer[:, 7:]
