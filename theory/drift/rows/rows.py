"""Two blocks of logits and what every measurement of them starts from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from theory.drift.rows.buffers import Arena, Planes
from theory.drift.rows.stable import dot, two_difference

# Elements per chunk: a dozen float64 temporaries of this size stay in a core's share of the cache.
CHUNK = 2**16
LOG2E = math.log2(math.e)


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

    def __init__(
        self, logits: Tensor, temperature: float, arena: Arena, top: Tensor, room: Sequence[Tensor] = ()
    ) -> None:
        """``room`` may lend two float64 buffers that become ``y`` and ``weights``."""
        self.top = top
        self.y, self.weights = room or (arena.like(logits), arena.like(logits))
        torch.sub(logits, logits.gather(-1, self.top), out=self.y)
        divided(self.y, temperature).scatter_(-1, self.top, -torch.inf)
        self.margin = -self.y.amax(-1)
        torch.mul(self.y, LOG2E, out=self.weights).exp2_()  # exp takes three times longer
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


class Centred(NamedTuple):
    """delta less a constant per row: ``x``, ``(rows, V)``, and its least and largest value, ``(rows,)``."""

    x: Tensor
    least: Tensor
    most: Tensor


class Pair:
    """Dense and perturbed logits ``(rows, V)`` at temperature T, and their difference.

    Attributes
    ----------
    top_perturbed
        ``(rows, 1)`` place of the largest of z', the first one where several tie.
    step, step_rest
        z' - z as an unevaluated sum that is exact in float64; ``step_rest`` is None where it is zero.
    planes
        Room for what is summed over the vocabulary; y, p, z and the step are there from the start, x once
        :meth:`centred_delta` is asked for.
    """

    def __init__(
        self, logits: Tensor, perturbed: Tensor, temperature: float, arena: Arena, facts: Facts
    ) -> None:
        self.arena = arena
        self.temperature = temperature
        self.top_perturbed = facts.top_perturbed
        rows, vocabulary = logits.shape
        self.planes = Planes.of(self.arena.room((rows, 9, vocabulary), logits.device))
        self.z = self.planes.z.copy_(logits)
        self._perturbed = perturbed
        self.dense = Softmax(self.z, temperature, arena, facts.top, (self.planes.y, self.planes.p))
        self.step = torch.sub(perturbed, self.z, out=self.planes.step)  # in float64, as z is
        self.step_rest = None if facts.exact else self._step_rest()

    def _step_rest(self) -> Tensor | None:
        room = (self.arena.like(self.z), self.arena.like(self.z), self.arena.like(self.z))
        low = two_difference(self.z_perturbed, self.z, room)[1]
        return low if bool(low.any()) else None

    @cached_property
    def z_perturbed(self) -> Tensor:
        """z' in float64."""
        return self._perturbed.double()

    @property
    def difference(self) -> tuple[Tensor, Tensor]:
        """``step`` and ``step_rest``, zeros where that is None."""
        return self.step, torch.zeros_like(self.step) if self.step_rest is None else self.step_rest

    @cached_property
    def perturbed(self) -> Softmax:
        """softmax(z'/T)."""
        return Softmax(self.z_perturbed, self.temperature, self.arena, self.top_perturbed)

    def delta_from(self, place: Tensor) -> Tensor:
        """delta - delta[place], exact but for the last rounding; ``place`` is ``(rows, 1)``."""
        return self._delta_from(place, self.arena.like(self.step))

    def _delta_from(self, place: Tensor, room: Tensor) -> Tensor:
        result = torch.sub(self.step, self.step.gather(-1, place), out=room)
        if self.step_rest is not None:
            result.add_(self.step_rest).sub_(self.step_rest.gather(-1, place))
        return divided(result, self.temperature)

    def centred_delta(self) -> Centred:
        """delta less its value at p's top token, then less its mean under p where none has half the mass.

        Either way E_p e^x stays above one half, and small differences between heavy tokens stay exact, those
        of the mean from them too. Lies in the plane x.
        """
        x = self._delta_from(self.dense.top, self.planes.x)
        heavy = self.dense.rest <= 1
        if not bool(heavy.all()):
            mean = dot(self.dense.weights, x).unsqueeze(-1) / (1 + self.dense.rest)
            x.sub_(mean.masked_fill_(heavy, 0.0))
        least, most = x.amin(-1), x.amax(-1)
        outside = least.clamp(min=0) + most.clamp(max=0)
        if bool(outside.any()):  # by rounding: a shift common to all logits must leave exactly nothing
            x.sub_(outside.unsqueeze(-1))
            least, most = least - outside, most - outside
        return Centred(x, least, most)


@dataclass(frozen=True)
class Facts:
    """What is found for many rows at once, because single rows are dear to look at."""

    top: Tensor
    """``(rows, 1)`` place of the largest of z, the first one where several tie."""
    top_perturbed: Tensor
    """The same of z'."""
    exact: bool
    """Whether all of z' - z are float64 numbers."""


def pairs(
    logits: Tensor, perturbed: Tensor, temperature: float, arena: Arena
) -> Iterator[tuple[slice, Pair]]:
    """Chunks of ``(rows, V)`` logits, one at a time in ``arena``; one of no rows where there are none."""
    tops = first_largest(logits), first_largest(perturbed)
    exact = exact_differences(logits, perturbed)
    for rows in row_chunks(logits):
        arena.rewind()
        facts = Facts(tops[0][rows], tops[1][rows], all(exact[rows]))
        yield rows, Pair(logits[rows], perturbed[rows], temperature, arena, facts)


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


def exact_differences(logits: Tensor, perturbed: Tensor) -> list[bool]:
    """For each row, whether z' - z are float64 numbers because no bits of z and z' lie more than 53 apart."""
    if logits.dtype == torch.float64 or not logits.numel():
        return [logits.dtype != torch.float64] * len(logits)
    bounds = [magnitudes(logits), magnitudes(perturbed)]
    least, most = torch.minimum(bounds[0][0], bounds[1][0]), torch.maximum(bounds[0][1], bounds[1][1])
    exact: list[bool] = (most <= least.double() * 2.0**51 * torch.finfo(logits.dtype).eps).tolist()
    return exact


def magnitudes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest size of the entries of each row of ``(rows, V)``, both ``(rows,)``."""
    arena, least, most = Arena(), [], []
    for rows in row_chunks(values, 4 * CHUNK):
        arena.rewind()
        size = torch.abs(values[rows], out=arena.like(values[rows], values.dtype))
        least.append(size.amin(-1))
        most.append(size.amax(-1))
    return torch.cat(least), torch.cat(most)


def divided(values: Tensor, temperature: float) -> Tensor:
    """values/T in place, without a pass over them if T = 1."""
    return values if temperature == 1.0 else values.div_(temperature)


def row_chunks(rows: Tensor, size: int = CHUNK) -> Iterator[slice]:
    """Slices of about ``size`` elements; one empty slice where there are no rows, so that results exist."""
    step = max(1, size // rows.shape[-1])
    for start in range(0, max(1, rows.shape[0]), step):
        yield slice(start, start + step)
