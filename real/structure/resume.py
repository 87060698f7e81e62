"""One set of dropped parts after another on the same tokens, run from the lowest change on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from real.structure.anatomy import Anatomy
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.stream import trunk
from real.structure.walk import Walk


@dataclass(frozen=True)
class _Kept:
    """What enters every layer, and leaves the last, with ``parts`` dropped; a list of batches for each."""

    parts: frozenset[Part]
    inputs: tuple[tuple[Tensor, ...], ...]


class Resume:
    """A model on tokens ``(N, T)``, with any of its parts dropped.

    The residual stream of the dense model is kept at every layer, and that of one more set, the base. A set
    is run from the lowest layer at which it differs from the nearer of the two. ``layers_run`` counts them.
    Where layers are given more than the stream (``shares`` is false), every set is run from the bottom.
    """

    def __init__(self, anatomy: Anatomy, tokens: Tensor) -> None:
        self.anatomy, self.tokens = anatomy, tokens
        self.layers_run = 0
        self._walk = Walk(anatomy, tokens)
        self.shares = self._walk.alone and anatomy.need_head().no_lens is None
        self._dense = self._base = self._run(frozenset(), None)

    def rebase(self, parts: Collection[Part]) -> None:
        """Keep the stream of this set too: the sets to come resemble it."""
        if self.shares:
            chosen = frozenset(parts)
            self._base = self._run(chosen, self._nearest(chosen))

    def head_inputs(self, parts: Collection[Part]) -> Tensor:
        """What the head is given, ``(N, T, d)``, without ``parts``."""
        chosen = frozenset(parts)
        if not self.shares:
            self.layers_run += len(self.anatomy.layers)
            device = self.anatomy.model.get_input_embeddings().weight.device  # type: ignore[operator]
            with dropped(self.anatomy, chosen, verify=False):
                hidden: Tensor = trunk(self.anatomy, self.tokens.to(device)).last_hidden_state
            return hidden
        kept = self._run(chosen, self._nearest(chosen), everything=False)
        last = torch.cat([batch.reshape(-1, *batch.shape[-2:]) for batch in kept.inputs[-1]])
        return self.anatomy.need_head().normalise(last)

    def _nearest(self, parts: frozenset[Part]) -> _Kept:
        return max((self._dense, self._base), key=lambda kept: self._first_change(kept, parts))

    def _first_change(self, kept: _Kept, parts: frozenset[Part]) -> int:
        return min((part.layer for part in kept.parts ^ parts), default=len(self.anatomy.layers))

    @torch.no_grad()
    def _run(self, parts: frozenset[Part], start: _Kept | None, everything: bool = True) -> _Kept:
        """The stream with ``parts`` dropped, from where it leaves ``start``; all of it or its end."""
        first = 0 if start is None else self._first_change(start, parts)
        points = [self._walk.embedded] if start is None else list(start.inputs[: first + 1])
        if not self.shares:
            return _Kept(parts, ())
        with dropped(self.anatomy, parts, verify=False):
            for layer in self.anatomy.layers[first:]:
                leaves = tuple(self._walk.run(layer, batch.clone()) for batch in points[-1])
                points = [*points, leaves] if everything else [leaves]
                self.layers_run += 1
        return _Kept(parts, tuple(points))
