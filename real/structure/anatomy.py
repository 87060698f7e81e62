"""The parts of a transformer that pruning and tracing need; :mod:`real.structure.recognise` finds them.

A *sublayer* (attention or MLP) reaches the residual stream only through its *writers*: the last weights it
applies (an output projection; the experts of a mixture). With the writers' output at zero the sublayer's
contribution, post-norm and residual scale included, is exactly zero. Every such claim is checked on the model
itself before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from torch import Tensor, nn

from real.structure.head import Head
from real.structure.part import Part

Kind = Literal["attn", "mlp"]
KINDS: tuple[Kind, ...] = ("attn", "mlp")
# What is said beside a refusal: these ways look at layers and matrices, not at sublayers.
_OTHERS = "drops of whole layers ('block:k') and specs on weights do not need it"


class AnatomyError(ValueError):
    """The structure of a model could not be found, or it lacks the part asked for."""


class Residual(Enum):
    """How a layer's two sublayers join the residual stream ``x``."""

    SEQUENTIAL = "sequential"  # m = x + attn(x), y = m + mlp(m); norms before or inside the sublayers
    PARALLEL = "parallel"  # y = x + attn(x) + mlp(x)
    POST_NORM = "post-norm"  # m = norm(x + attn(x)), y = norm(m + mlp(m))
    SCALED = "scaled"  # m = a ∘ x + attn(x), y = b ∘ m + mlp(m): fixed scales (and shifts) of every feature


@dataclass(frozen=True)
class Sublayer:
    """An attention or MLP sublayer.

    ``writers`` (modules) and ``biases`` (vectors that a containing module adds) are all through which it
    reaches the stream.
    """

    kind: Kind
    layer: int
    modules: tuple[nn.Module, ...]
    writers: tuple[nn.Module, ...]
    names: tuple[str, ...]
    stream_norm: nn.Module | None = None  # applied to stream + contribution (post-norm layers only)
    biases: tuple[nn.Parameter, ...] = ()

    @property
    def part(self) -> Part:
        """The sublayer as something that can be dropped."""
        return Part(self.layer, self.kind)

    def __str__(self) -> str:
        return str(self.part)


@dataclass(frozen=True)
class Layer:
    """One block: residual stream in, residual stream out.

    ``middle`` is the first module whose *input* is the pre-MLP residual point (None in parallel and post-norm
    layers, whose pre-MLP point is the layer's input and the first stream norm's output). ``why``: one
    sentence on why no sublayers were found.
    """

    index: int
    name: str
    module: nn.Module
    residual: Residual | None
    attention: Sublayer | None
    mlp: Sublayer | None
    middle: nn.Module | None
    why: str | None = None

    @property
    def sublayers(self) -> list[Sublayer]:
        """Those of attention and MLP that the layer has."""
        return [sublayer for sublayer in (self.attention, self.mlp) if sublayer is not None]

    def sublayer(self, kind: Kind) -> Sublayer | None:
        """The sublayer of that kind, None where the layer has none."""
        return self.attention if kind == "attn" else self.mlp


@dataclass(frozen=True)
class Overrides:
    """Names that a user gives where the search fails.

    layers: dotted name of the list of layers inside the model. attention, mlp: names of the modules inside
    one layer.
    """

    layers: str | None = None
    attention: tuple[str, ...] | None = None
    mlp: tuple[str, ...] | None = None


NO_OVERRIDES = Overrides()


@dataclass(frozen=True)
class Anatomy:
    """The parts of one model, as found with ``overrides``.

    What was not found is empty (``layers``) or None (``head``: an encoder without logits has none), and
    ``no_layers`` and ``no_head`` say why in one sentence; everything else can be used all the same.
    """

    model: nn.Module
    layers: tuple[Layer, ...]
    head: Head | None
    overrides: Overrides = NO_OVERRIDES
    no_layers: str | None = None
    no_head: str | None = None

    @property
    def final_norm(self) -> tuple[nn.Module, ...]:
        """What stands between the last residual point and the head, usually one norm."""
        return self.head.final_norm if self.head else ()

    def sublayers(self, kinds: Sequence[Kind] = KINDS) -> list[Sublayer]:
        """All sublayers of the given kinds in the order of computation.

        Raises
        ------
        AnatomyError
            The model has no sublayer of one of the kinds.
        """
        self.need_layers()
        for kind in kinds:
            if all(layer.sublayer(kind) is None for layer in self.layers):
                raise AnatomyError(self._without(kind))
        found = (layer.sublayer(kind) for layer in self.layers for kind in KINDS if kind in kinds)
        return [sublayer for sublayer in found if sublayer is not None]

    def sublayer(self, kind: Kind, index: int) -> Sublayer:
        """One sublayer by kind and layer index."""
        found = self.need_layers()[index].sublayer(kind)
        if found is None:
            raise AnatomyError(self._without(kind, index))
        return found

    def logits_from_hidden(self, hidden: Tensor, final_norm: bool = True) -> Tensor:
        """Logits ``(..., V)`` of residual vectors ``(..., d)`` by the model's own norm, head and soft cap."""
        return self.need_head().logits(hidden, final_norm)

    def need_head(self) -> Head:
        """The head.

        Raises
        ------
        AnatomyError
            There is none (an encoder), or none that could be told apart.
        """
        if self.head is None:
            name = type(self.model).__name__
            raise AnatomyError(self.no_head or f"{name} has no language-model head, so no logits")
        return self.head

    def need_layers(self) -> tuple[Layer, ...]:
        """The layers.

        Raises
        ------
        AnatomyError
            No list of layers was found.
        """
        if self.no_layers is not None:
            raise AnatomyError(self.no_layers)
        return self.layers

    def _without(self, kind: Kind, index: int | None = None) -> str:
        part = "attention" if kind == "attn" else "MLP"
        where = "" if index is None else f" in layer {index}"
        reasons = [layer.why for layer in self.layers if layer.why and index in (None, layer.index)]
        if reasons:
            return f"{reasons[0]}; {_OTHERS}"
        return (
            f"{type(self.model).__name__} has no {part} sublayer{where}: its layers are not made of an "
            f"attention and an MLP part; {_OTHERS}"
        )
