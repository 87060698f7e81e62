"""One set of changes after another on the same tokens, run from the lowest change on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from real.structure.anatomy import Anatomy
from real.structure.drop import dropped
from real.structure.stream import trunk
from real.structure.walk import Walk


class Change(Hashable, Protocol):
    """Something that is done to one layer, such as to drop its attention."""

    @property
    def layer(self) -> int: ...


@dataclass(frozen=True)
class _Kept:
    """What enters every layer, and leaves the last, with ``changes`` made; a list of batches for each."""

    changes: frozenset[Change]
    inputs: tuple[tuple[Tensor, ...], ...]


class Resume:
    """A model on tokens ``(N, T)``, changed in any set of its layers.

    ``changed(changes)`` is a context in which the model is so changed; by default changes are parts, dropped.
    The residual stream of the dense model is kept at every layer, and that of one more set, the base. A set
    is run from the lowest layer at which it differs from the nearer of the two. ``layers_run`` counts them.
    Where layers are given more than the stream (``shares`` is false), every set is run from the bottom.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        tokens: Tensor,
        changed: Callable[[Any], AbstractContextManager[object]] | None = None,
    ) -> None:
        self.anatomy, self.tokens = anatomy, tokens
        self._changed = changed or partial(dropped, anatomy, verify=False)
        self.layers_run = 0
        self._walk = Walk(anatomy, tokens)
        self.shares = self._walk.alone and anatomy.need_head().no_lens is None
        self._dense = self._base = self._run(frozenset(), None)

    def rebase(self, changes: Collection[Change]) -> None:
        """Keep the stream of this set too: the sets to come resemble it."""
        if self.shares:
            chosen = frozenset(changes)
            self._base = self._run(chosen, self._nearest(chosen))

    def head_inputs(self, changes: Collection[Change]) -> Tensor:
        """What the head is given, ``(N, T, d)``, with ``changes``."""
        chosen = frozenset(changes)
        if not self.shares:
            self.layers_run += len(self.anatomy.layers)
            device = self.anatomy.model.get_input_embeddings().weight.device  # type: ignore[operator]
            with self._changed(chosen):
                hidden: Tensor = trunk(self.anatomy, self.tokens.to(device)).last_hidden_state
            return hidden
        kept = self._run(chosen, self._nearest(chosen), everything=False)
        last = torch.cat([batch.reshape(-1, *batch.shape[-2:]) for batch in kept.inputs[-1]])
        return self.anatomy.need_head().normalise(last)

    def _nearest(self, changes: frozenset[Change]) -> _Kept:
        return max((self._dense, self._base), key=lambda kept: self._first_change(kept, changes))

    def _first_change(self, kept: _Kept, changes: frozenset[Change]) -> int:
        return min((one.layer for one in kept.changes ^ changes), default=len(self.anatomy.layers))

    @torch.no_grad()
    def _run(self, changes: frozenset[Change], start: _Kept | None, everything: bool = True) -> _Kept:
        """The stream with ``changes``, from where it leaves ``start``; all of it or its end."""
        first = 0 if start is None else self._first_change(start, changes)
        points = [self._walk.embedded] if start is None else list(start.inputs[: first + 1])
        if not self.shares:
            return _Kept(changes, ())
        with self._changed(changes):
            for layer in self.anatomy.layers[first:]:
                leaves = tuple(self._walk.run(layer, batch.clone()) for batch in points[-1])
                points = [*points, leaves] if everything else [leaves]
                self.layers_run += 1
        return _Kept(changes, tuple(points))
