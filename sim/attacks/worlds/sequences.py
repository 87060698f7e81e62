"""Pairs of small autoregressive models: every prefix its own laws, or one token of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.attacks.worlds.differentiable import COLUMNS, Pair
from sim.attacks.worlds.world import Free, Given
from sim.logits.base import log_uniform
from theory.arrays import Array


@dataclass(frozen=True)
class Trees:
    """Two models of ``steps`` tokens with ``size`` tokens to choose from; each prefix has its own laws."""

    steps: int
    sizes: tuple[int, ...] = (2, 3, 8)

    @property
    def symbols(self) -> frozenset[str]:
        budgets = {"two_token_tv", "first_budget", "second_budget"} if self.steps == 2 else set()
        return frozenset(_SEQUENCES) | budgets | {"steps"}

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        shape = (rows, sum(size**level for level in range(self.steps)), size)
        z = log_uniform(rng, 0.1, 5.0, rows)[..., None] * rng.standard_normal(shape)
        return {"z": z, "delta": rng.standard_normal(shape)}

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        tree = _Tree(free["z"], _scaled(free["delta"], given.oscillation), self.steps)
        return {name: tree.column(name) for name in names}


def _scaled(delta: Tensor, oscillation: Tensor) -> Tensor:
    """All changes ``(rows, prefixes, V)`` times one number per row: the largest oscillation is the budget."""
    largest = (delta.amax(-1) - delta.amin(-1)).amax(-1)
    return delta * (oscillation / largest)[:, None, None]


class _Tree:
    def __init__(self, z: Tensor, delta: Tensor, steps: int) -> None:
        rows, prefixes, size = z.shape
        self.steps, self.z, self.delta = steps, z, delta
        flat = Pair(z.reshape(-1, size), delta.reshape(-1, size))
        self.step = {
            name: COLUMNS[name](flat).reshape(rows, prefixes) for name in ("tv", "kl", "oscillation")
        }
        log_p, log_q = (x.reshape(rows, prefixes, size) for x in (flat.log_p, flat.log_q))
        self.answer: list[Tensor] = []
        dense = perturbed = agree = torch.zeros(rows, 1, dtype=z.dtype)
        self.dense, self.survival, first = [dense], [], 0
        for level in range(steps):
            here = slice(first, first + size**level)
            first += size**level
            p, q = log_p[:, here], log_q[:, here]
            self.answer.append(p[:, 0, 0])
            agree = (agree[:, :, None] + torch.minimum(p, q)).reshape(rows, -1)
            dense = (dense[:, :, None] + p).reshape(rows, -1)
            perturbed = (perturbed[:, :, None] + q).reshape(rows, -1)
            self.dense.append(dense)
            self.survival.append(agree.exp().sum(-1))
        self.log_ratio = perturbed - dense
        self.leaves = dense.exp()

    def teacher_forced(self, name: str) -> Tensor:
        """Sum over steps of the mean over dense prefixes."""
        return (torch.cat(self.dense[:-1], -1).exp() * self.step[name]).sum(-1)

    def column(self, name: str) -> Tensor:
        if name == "steps":
            return torch.full_like(self.leaves[:, 0], self.steps)
        return _SEQUENCES[name](self) if name in _SEQUENCES else _BUDGETS[name](self)


def _sequence_tv(tree: _Tree) -> Tensor:
    return (tree.leaves * torch.expm1(tree.log_ratio).abs()).sum(-1) / 2


def _exact_match_change(tree: _Tree) -> Tensor:
    return (tree.leaves * torch.expm1(tree.log_ratio))[:, 0].abs()


_SEQUENCES: dict[str, Callable[[_Tree], Tensor]] = {
    "survival": lambda t: t.survival[-1],
    "identical_tokens": lambda t: torch.stack(t.survival).sum(0),
    "sequence_tv": _sequence_tv,
    "sequence_kl": lambda t: (t.leaves * (torch.expm1(t.log_ratio) - t.log_ratio)).sum(-1),
    "sequence_affinity": lambda t: (t.leaves * torch.exp(t.log_ratio / 2)).sum(-1),
    "sequence_chi2": lambda t: (t.leaves * torch.expm1(t.log_ratio) ** 2).sum(-1),
    "tv_total": lambda t: t.teacher_forced("tv"),
    "kl_total": lambda t: t.teacher_forced("kl"),
    "step_tv": lambda t: t.step["tv"].amax(-1),
    "oscillation": lambda t: t.step["oscillation"].amax(-1),
    "exact_match": lambda t: (t.leaves * t.log_ratio.exp())[:, 0],
    "exact_match_change": _exact_match_change,
    "token_probability": lambda t: torch.stack(t.answer).amin(0).exp(),
}

_BUDGETS: dict[str, Callable[[_Tree], Tensor]] = {
    "two_token_tv": _sequence_tv,
    "first_budget": lambda t: t.step["oscillation"][:, 0],
    "second_budget": lambda t: t.step["oscillation"][:, 1:].amax(-1),
}


@dataclass(frozen=True)
class Chains:
    """Two Markov chains over ``size`` states, both started in state 0."""

    steps: int = 3
    sizes: tuple[int, ...] = (2, 3, 8)

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(_KERNELS) | {"steps"}

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        shape = (rows, size, size)
        z = log_uniform(rng, 0.1, 5.0, rows)[..., None] * rng.standard_normal(shape)
        return {"z": z, "delta": rng.standard_normal(shape)}

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        if "row_distance" in names:
            return _rows_apart(free["z"], given.oscillation)
        kernels = _Kernels(free["z"], _scaled(free["delta"], given.oscillation), self.steps)
        return {name: _KERNELS[name](kernels) for name in names if name != "steps"} | {
            name: torch.full_like(given.share, self.steps) for name in names if name == "steps"
        }


class _Kernels:
    def __init__(self, z: Tensor, delta: Tensor, steps: int) -> None:
        self.log_p, self.log_q = torch.log_softmax(z, -1), torch.log_softmax(z + delta, -1)
        self.p, self.q, self.steps = self.log_p.exp(), self.log_q.exp(), steps
        self.change = self.p * torch.expm1(self.log_q - self.log_p)

    def step_tv(self) -> Tensor:
        return self.change.abs().sum(-1).amax(-1) / 2

    def contraction(self) -> Tensor:
        either = torch.minimum(_dobrushin(self.p), _dobrushin(self.q))
        return torch.minimum(either, 1 - self.step_tv())

    def marginal_tv(self) -> Tensor:
        law = torch.zeros_like(self.p[:, :1]).index_fill(-1, torch.tensor([0]), 1.0)
        difference = torch.zeros_like(law)
        for _ in range(self.steps):
            difference = difference @ self.q + law @ self.change
            law = law @ self.p
        return difference.abs().sum((-1, -2)) / 2

    def chernoff_rate(self) -> Tensor:
        tilts = torch.linspace(0, 1, 33, dtype=self.p.dtype)[:, None, None, None]
        return _perron(torch.exp((1 - tilts) * self.log_p + tilts * self.log_q)).amin(0)


def _dobrushin(kernel: Tensor) -> Tensor:
    return (kernel[:, :, None] - kernel[:, None]).abs().sum(-1).flatten(1).amax(-1) / 2


def _perron(matrices: Tensor) -> Tensor:
    """Largest eigenvalue of nonnegative matrices."""
    largest: Tensor = torch.linalg.eigvals(matrices).abs().amax(-1)
    return largest


def _rows_apart(z: Tensor, oscillation: Tensor) -> dict[str, Tensor]:
    """The largest projective distance of two rows is the budget."""
    gaps = z[:, :, None] - z[:, None]
    largest = (gaps.amax(-1) - gaps.amin(-1)).flatten(1).amax(-1)
    kernel = torch.softmax(z * (oscillation / largest)[:, None, None], -1)
    return {"row_tv": _dobrushin(kernel), "row_distance": oscillation}


_KERNELS: dict[str, Callable[[_Kernels], Tensor]] = {
    "marginal_tv": _Kernels.marginal_tv,
    "step_tv": _Kernels.step_tv,
    "contraction": _Kernels.contraction,
    "survival_rate": lambda k: _perron(torch.minimum(k.p, k.q)),
    "chernoff_rate": _Kernels.chernoff_rate,
    "row_tv": lambda k: _dobrushin(k.p),
    "row_distance": lambda k: torch.zeros_like(k.p[:, 0, 0]),
}
