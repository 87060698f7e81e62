"""Two blocks of logits and what every measurement of them starts from."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from theory.stable import two_difference

# Elements per chunk: a dozen float64 temporaries of this size stay in a core's share of the cache.
CHUNK = 2**16


class Pair:
    """Dense and perturbed logits ``(rows, V)`` at temperature T, and what every quantity needs of them."""

    def __init__(self, logits: Tensor, perturbed: Tensor, temperature: float) -> None:
        self.z, self.z_perturbed = logits.double(), perturbed.double()
        self.temperature = temperature
        self.difference = two_difference(self.z_perturbed, self.z)
        self.y, self.rest, self.top = exponents(self.z, temperature)
        self.y_perturbed, self.rest_perturbed, self.top_perturbed = exponents(self.z_perturbed, temperature)
        self.log_p = self.y - torch.log1p(self.rest)
        self.log_q = self.y_perturbed - torch.log1p(self.rest_perturbed)

    def delta_from(self, place: Tensor) -> Tensor:
        """delta - delta[place], exact but for the last rounding; ``place`` is ``(rows, 1)``."""
        high, low = self.difference
        return ((high - high.gather(-1, place)) + (low - low.gather(-1, place))) / self.temperature

    def centred_delta(self) -> Tensor:
        """delta less its value at p's heaviest token, or less its mean under p where none has half the mass.

        Either way E_p e^x stays above one half, and small differences between heavy tokens stay exact.
        """
        high, low = self.difference
        anchored = self.delta_from(self.top)
        mean = (torch.exp(self.log_p) * anchored).sum(-1, keepdim=True) * self.temperature
        centre = high.gather(-1, self.top) + mean
        averaged = ((high - centre) + low) / self.temperature
        return torch.where(self.rest <= 1, anchored, averaged)


def exponents(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """(z - max z)/T, the sum of its exponentials without the largest, and the place of the largest."""
    largest, top = logits.max(-1, keepdim=True)
    y = (logits - largest) / temperature
    rest = torch.exp(y).scatter_(-1, top, 0.0).sum(-1, keepdim=True)
    return y, rest, top


def row_chunks(rows: Tensor) -> Iterator[slice]:
    """Slices of about CHUNK elements; one empty slice where there are no rows, so that results exist."""
    step = max(1, CHUNK // rows.shape[-1])
    for start in range(0, max(1, rows.shape[0]), step):
        yield slice(start, start + step)
