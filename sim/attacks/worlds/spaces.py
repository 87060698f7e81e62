"""Vectors: a hidden state before a head, and embeddings that are ranked by their angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.attacks.worlds.differentiable import COLUMNS, Pair
from sim.attacks.worlds.world import Free, Given, cosine_distance
from theory.arrays import Array
from theory.effects.retrieval import angle

WIDTH = 3
LARGEST_MOVE = 1.0
"""Radians by which query and documents turn together at most: beyond, rankings mean nothing."""


@dataclass(frozen=True)
class Heads:
    """A hidden state of ``WIDTH`` numbers moves before a head of ``size`` rows, with or without RMS norm."""

    normed: bool
    sizes: tuple[int, ...] = (2, 3, 8, 64)

    @property
    def symbols(self) -> frozenset[str]:
        route = {"width", "head_diameter", "cosdist_hidden"}
        return frozenset(COLUMNS) | (route if self.normed else {"hidden_change", "row_diameter"})

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        shapes = {"hidden": (rows, WIDTH), "moved": (rows, WIDTH), "head": (rows, size, WIDTH)}
        return {name: rng.standard_normal(shape) for name, shape in shapes.items()}

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        before, after, head = free["hidden"], free["moved"], free["head"]
        if self.normed:
            before, after = (WIDTH**0.5 * x / x.norm(dim=-1, keepdim=True) for x in (before, after))
        delta = (head @ (after - before)[:, :, None])[:, :, 0]
        gain = given.oscillation / (delta.amax(-1) - delta.amin(-1))
        head = gain[:, None, None] * head
        pair = Pair((head @ before[:, :, None])[:, :, 0], gain[:, None] * delta)
        diameter = (head[:, :, None] - head[:, None]).square().sum(-1).flatten(1).amax(-1).sqrt()
        ours = {
            "width": torch.full_like(diameter, WIDTH),
            "head_diameter": diameter,
            "row_diameter": diameter,
            "cosdist_hidden": cosine_distance(before, after),
            "hidden_change": (after - before).norm(dim=-1),
        }
        return {name: ours[name] if name in ours else COLUMNS[name](pair) for name in names}


@dataclass(frozen=True)
class Embeddings:
    """A query e and documents a, b in ``size`` dimensions; together they turn by the budget, 1 at most."""

    sizes: tuple[int, ...] = (2, 3, 8, 64)
    symbols = frozenset({"lead", "lead_after", "query_move", "first_move", "second_move"})

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        vectors = {name: rng.standard_normal((rows, size)) for name in ("e", "a", "b")}
        turns = {f"{name}_towards": rng.standard_normal((rows, size)) for name in vectors}
        return vectors | turns | {"split": rng.standard_normal((rows, 3))}

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        budget = given.oscillation.clamp(max=LARGEST_MOVE)[:, None] * torch.softmax(free["split"], -1)
        moves = dict(zip(("e", "a", "b"), budget.unbind(-1), strict=True))
        moved = {name: _turned(free[name], free[f"{name}_towards"], move) for name, move in moves.items()}
        values = {
            "lead": _angle(free["e"], free["b"]) - _angle(free["e"], free["a"]),
            "lead_after": _angle(moved["e"], moved["b"]) - _angle(moved["e"], moved["a"]),
            "query_move": moves["e"],
            "first_move": moves["a"],
            "second_move": moves["b"],
        }
        return {name: values[name] for name in names}


def _angle(x: Tensor, y: Tensor) -> Tensor:
    return angle(cosine_distance(x, y))


def _turned(x: Tensor, towards: Tensor, move: Tensor) -> Tensor:
    """Unit vectors ``x``, turned by ``move`` radians in the plane of ``towards``."""
    x = x / x.norm(dim=-1, keepdim=True)
    across = towards - (towards * x).sum(-1, keepdim=True) * x
    across = across / across.norm(dim=-1, keepdim=True)
    turned: Tensor = torch.cos(move)[:, None] * x + torch.sin(move)[:, None] * across
    return turned
