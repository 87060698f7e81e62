"""Tokens on their way up a model that is changed layer by layer below them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from real.structure.anatomy import Anatomy
from real.structure.places import Place
from real.structure.stream import trunk_up_to
from real.structure.walk import Walk


class Ascent:
    """Calibration tokens ``(N, T)``, watched at one place after another, from the bottom up.

    What enters the next place is kept, so that a place costs its own layers and those since the last one, not
    the model from the bottom. Changes below a place must be made before it is watched, above it after.
    ``layers_run`` counts layers of all tokens. Where layers are given more than the stream, every place is
    run from the bottom.
    """

    def __init__(self, anatomy: Anatomy, tokens: Tensor) -> None:
        self.anatomy = anatomy
        self.layers_run = 0
        self._walk = Walk(anatomy, tokens)
        self._streams = list(self._walk.embedded)
        self._at = 0

    @torch.no_grad()
    def watch(self, place: Place) -> tuple[Tensor, Tensor]:
        """What a substitute may read and what it should give, for every token, as rows ``(N * T, ...)``."""
        if self._walk.alone:
            self._climb(place.first)
            runs = [partial(self._through, stream, place) for stream in self._streams]
        else:
            top = self.anatomy.layers[place.parts[-1].layer]
            runs = [partial(trunk_up_to, self.anatomy, top, batch) for batch in self._walk.batches]
            self.layers_run += place.parts[-1].layer + 1
        pairs = [place.watch(self.anatomy, run) for run in runs]
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])

    def _climb(self, first: int) -> None:
        if first < self._at:
            raise ValueError(f"places come from the bottom up: layer {first} after layer {self._at}")
        for layer in self.anatomy.layers[self._at : first]:
            self._streams = [self._walk.run(layer, stream) for stream in self._streams]
            self.layers_run += 1
        self._at = first

    def _through(self, stream: Tensor, place: Place) -> None:
        """The layers of a place, for whoever watches; a copy goes in, because some models add in place."""
        stream = stream.clone()
        for layer in self.anatomy.layers[place.first : place.parts[-1].layer + 1]:
            stream = self._walk.run(layer, stream)
