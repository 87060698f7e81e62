"""Two blocks of logits and what every measurement of them starts from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from theory.stable import dot, two_difference

# Elements per chunk: a dozen float64 temporaries of this size stay in a core's share of the cache.
CHUNK = 2**16


class Arena:
    """Buffers for one chunk of rows, lent again to the next: fresh pages cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._lent = 0

    def rewind(self) -> None:
        """Take all buffers back."""
        self._lent = 0

    def like(self, model: Tensor) -> Tensor:
        """An uninitialised float64 tensor of the shape of ``model``, for use as ``out=``."""
        if self._lent == len(self._buffers):
            self._buffers.append(torch.empty(model.numel(), dtype=torch.float64, device=model.device))
        if self._buffers[self._lent].numel() < model.numel():
            self._buffers[self._lent] = torch.empty(model.numel(), dtype=torch.float64, device=model.device)
        self._lent += 1
        return self._buffers[self._lent - 1][: model.numel()].view(model.shape)


class Softmax:
    """softmax(z/T) of ``(rows, V)`` logits, kept as what it is made of.

    Attributes
    ----------
    y
        (z - max z)/T.
    weights, rest
        e^y, exactly 1 at the largest, and ``(rows, 1)`` the sum over all others: p_max = 1/(1 + rest) and
        log p_max = -log1p(rest) keep their digits when p is nearly certain.
    top
        ``(rows, 1)`` place of the largest logit, the first one where several tie.
    margin
        ``(rows,)`` largest less second largest y; inf if V = 1.
    """

    def __init__(self, logits: Tensor, temperature: float, arena: Arena) -> None:
        largest, self.top = logits.max(-1, keepdim=True)
        self.y = divided(torch.sub(logits, largest, out=arena.like(logits)), temperature)
        self.y.scatter_(-1, self.top, -torch.inf)
        self.margin = -self.y.amax(-1)
        self.weights = torch.exp(self.y, out=arena.like(logits))
        self.rest = self.weights.sum(-1, keepdim=True)
        self.y.scatter_(-1, self.top, 0.0)
        self.weights.scatter_(-1, self.top, 1.0)

    @cached_property
    def log_probs(self) -> Tensor:
        """log p."""
        return self.y - torch.log1p(self.rest)

    @cached_property
    def probs(self) -> Tensor:
        """p."""
        return self.weights / (1 + self.rest)

    @property
    def p_max(self) -> Tensor:
        """Largest probability, ``(rows,)``."""
        return 1 / (1 + self.rest).squeeze(-1)

    @property
    def p_rest(self) -> Tensor:
        """1 - p_max, ``(rows,)``."""
        return (self.rest / (1 + self.rest)).squeeze(-1)

    @property
    def entropy(self) -> Tensor:
        """Entropy in nats, ``(rows,)``, as a sum of two nonnegative terms."""
        return torch.log1p(self.rest).squeeze(-1) - dot(self.weights, self.y) / (1 + self.rest).squeeze(-1)


class Pair:
    """Dense and perturbed logits ``(rows, V)`` at temperature T, and their difference."""

    def __init__(
        self, logits: Tensor, perturbed: Tensor, temperature: float, arena: Arena | None = None
    ) -> None:
        self.arena = arena or Arena()
        self.z, self.z_perturbed = (self.arena.like(side).copy_(side) for side in (logits, perturbed))
        self.temperature = temperature
        self.dense = Softmax(self.z, temperature, self.arena)
        room = (self.arena.like(self.z), self.arena.like(self.z), self.arena.like(self.z))
        self.difference = two_difference(self.z_perturbed, self.z, room)

    @cached_property
    def perturbed(self) -> Softmax:
        """softmax(z'/T)."""
        return Softmax(self.z_perturbed, self.temperature, self.arena)

    def delta_from(self, place: Tensor) -> Tensor:
        """delta - delta[place], exact but for the last rounding; ``place`` is ``(rows, 1)``."""
        high, low = self.difference
        return self._delta_less(high.gather(-1, place), low.gather(-1, place))

    def _delta_less(self, centre_high: Tensor, centre_low: Tensor) -> Tensor:
        high, low = self.difference
        result = torch.sub(high, centre_high, out=self.arena.like(high))
        return divided(result.add_(low).sub_(centre_low), self.temperature)

    def centred_delta(self) -> Tensor:
        """delta less its value at p's heaviest token, or less its mean under p where none has half the mass.

        Either way E_p e^x stays above one half, and small differences between heavy tokens stay exact.
        """
        high, low = self.difference
        centre_high, centre_low = high.gather(-1, self.dense.top), low.gather(-1, self.dense.top)
        heavy = self.dense.rest <= 1
        from_top = torch.sub(high, centre_high, out=self.arena.like(high))
        mean = dot(self.dense.weights, from_top).unsqueeze(-1) / (1 + self.dense.rest)
        centre_high = torch.where(heavy, centre_high, centre_high + mean)
        return self._delta_less(centre_high, torch.where(heavy, centre_low, 0.0))


def divided(values: Tensor, temperature: float) -> Tensor:
    """values/T in place, without a pass over them if T = 1."""
    return values if temperature == 1.0 else values.div_(temperature)


def row_chunks(rows: Tensor) -> Iterator[slice]:
    """Slices of about CHUNK elements; one empty slice where there are no rows, so that results exist."""
    step = max(1, CHUNK // rows.shape[-1])
    for start in range(0, max(1, rows.shape[0]), step):
        yield slice(start, start + step)
