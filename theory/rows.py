"""Two blocks of logits and what every measurement of them starts from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from theory.stable import dot, two_difference

# Elements per chunk: a dozen float64 temporaries of this size stay in a core's share of the cache.
CHUNK = 2**16
LOG2E = math.log2(math.e)


class Arena:
    """Buffers for one chunk of rows, lent again to the next: fresh pages cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._lent = 0

    def rewind(self) -> None:
        """Take all buffers back."""
        self._lent = 0

    def like(self, model: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        """An uninitialised tensor of the shape of ``model``, for use as ``out=``."""
        if self._lent == len(self._buffers):
            self._buffers.append(torch.empty(model.numel(), dtype=torch.float64, device=model.device))
        if self._buffers[self._lent].numel() < model.numel():
            self._buffers[self._lent] = torch.empty(model.numel(), dtype=torch.float64, device=model.device)
        self._lent += 1
        return self._buffers[self._lent - 1].view(dtype)[: model.numel()].view(model.shape)


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

    def __init__(self, logits: Tensor, temperature: float, arena: Arena, room: Tensor | None = None) -> None:
        """``room`` may lend a float64 buffer that becomes ``weights``."""
        self.top = first_largest(logits)
        self.y = torch.sub(logits, logits.gather(-1, self.top), out=arena.like(logits))
        divided(self.y, temperature).scatter_(-1, self.top, -torch.inf)
        self.margin = -self.y.amax(-1)
        room = arena.like(logits) if room is None else room
        self.weights = torch.mul(self.y, LOG2E, out=room).exp2_()  # exp takes three times longer
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
    """Dense and perturbed logits ``(rows, V)`` at temperature T, and their difference.

    Attributes
    ----------
    step, step_rest
        z' - z as an unevaluated sum that is exact in float64; ``step_rest`` is None where it is zero.
    room
        ``(rows, 5, V)`` with ``dense.weights`` first, and room for four more.
    """

    def __init__(
        self, logits: Tensor, perturbed: Tensor, temperature: float, arena: Arena | None = None
    ) -> None:
        self.arena = arena or Arena()
        self.z, self.z_perturbed = (self.arena.like(side).copy_(side) for side in (logits, perturbed))
        self.temperature = temperature
        self.room = self.arena.like(self.z.unsqueeze(1).expand(-1, 5, -1))
        self.dense = Softmax(self.z, temperature, self.arena, self.room[:, 0])
        self.step = torch.sub(self.z_perturbed, self.z, out=self.arena.like(self.z))
        self.step_rest = self._step_rest((logits, perturbed))

    def _step_rest(self, sides: tuple[Tensor, Tensor]) -> Tensor | None:
        if all(side.dtype != torch.float64 for side in sides) and _fit_in_float64(sides, self.arena):
            return None
        room = (self.arena.like(self.z), self.arena.like(self.z), self.arena.like(self.z))
        low = two_difference(self.z_perturbed, self.z, room)[1]
        return low if bool(low.any()) else None

    @property
    def difference(self) -> tuple[Tensor, Tensor]:
        """``step`` and ``step_rest``, zeros where that is None."""
        return self.step, torch.zeros_like(self.step) if self.step_rest is None else self.step_rest

    @cached_property
    def perturbed(self) -> Softmax:
        """softmax(z'/T)."""
        return Softmax(self.z_perturbed, self.temperature, self.arena)

    def delta_from(self, place: Tensor) -> Tensor:
        """delta - delta[place], exact but for the last rounding; ``place`` is ``(rows, 1)``."""
        low = self.step_rest
        return self._delta_less(self.step.gather(-1, place), None if low is None else low.gather(-1, place))

    def _delta_less(self, centre: Tensor, centre_rest: Tensor | None) -> Tensor:
        result = torch.sub(self.step, centre, out=self.arena.like(self.step))
        if self.step_rest is not None:
            result.add_(self.step_rest)
        if centre_rest is not None:
            result.sub_(centre_rest)
        return divided(result, self.temperature)

    def centred_delta(self) -> Tensor:
        """delta less its value at p's heaviest token, or less its mean under p where none has half the mass.

        Either way E_p e^x stays above one half, and small differences between heavy tokens stay exact.
        """
        top, rest = self.dense.top, self.step_rest
        centre = self.step.gather(-1, top)
        centre_rest = None if rest is None else rest.gather(-1, top)
        heavy = self.dense.rest <= 1
        if not bool(heavy.all()):
            mean = dot(self.dense.weights, self.step).unsqueeze(-1) / (1 + self.dense.rest)
            # Within the range despite rounding: a shift common to all logits must leave exactly nothing.
            mean = mean.clamp(self.step.amin(-1, keepdim=True), self.step.amax(-1, keepdim=True))
            centre = torch.where(heavy, centre, mean)
            centre_rest = None if centre_rest is None else torch.where(heavy, centre_rest, 0.0)
        return self._delta_less(centre, centre_rest)


def first_largest(values: Tensor) -> Tensor:
    """Places ``(rows, 1)`` of the largest of ``(rows, V)``, the first one where several tie."""
    width = 256  # amax is fast, argmax is not: look for the block first
    if values.shape[-1] % width:
        return values.max(-1, keepdim=True).indices
    blocks = values.reshape(len(values), values.shape[-1] // width, width)
    block = blocks.amax(-1).max(-1, keepdim=True).indices
    inside = (
        blocks.gather(1, block.unsqueeze(-1).expand(-1, -1, width)).squeeze(1).max(-1, keepdim=True).indices
    )
    return block * width + inside


def _fit_in_float64(sides: tuple[Tensor, Tensor], arena: Arena) -> bool:
    """Whether all differences of these logits are float64 numbers: no bits lie more than 53 apart."""
    if not sides[0].numel():
        return True
    sizes = [torch.abs(side, out=arena.like(side, side.dtype)) for side in sides]
    least = min(float(size.amin()) for size in sizes)
    most = max(float(size.amax()) for size in sizes)
    return most <= least * 2.0**51 * torch.finfo(sides[0].dtype).eps


def divided(values: Tensor, temperature: float) -> Tensor:
    """values/T in place, without a pass over them if T = 1."""
    return values if temperature == 1.0 else values.div_(temperature)


def row_chunks(rows: Tensor) -> Iterator[slice]:
    """Slices of about CHUNK elements; one empty slice where there are no rows, so that results exist."""
    step = max(1, CHUNK // rows.shape[-1])
    for start in range(0, max(1, rows.shape[0]), step):
        yield slice(start, start + step)
