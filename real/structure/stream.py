"""The residual stream with and without each sublayer, from one dense forward pass.

For sublayer s the pair is: the stream right after s has written to it (*dense*), and the same point had s
added nothing (*dropped*), everything before s untouched. Sequential layers: (x + s(x), x), so each dense
point is the next sublayer's dropped point. Parallel layers: (x + a + m, x + m) for attention. Post-norm
layers: (norm(x + s(x)), norm(x)). Layers that scale the stream are run once more, without s, on the same
inputs. These are the model's tensors; only sums and post-norms are computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from real.structure.anatomy import KINDS, Anatomy, Kind, Layer, Residual, Sublayer
from real.structure.probe import (
    first_tensor,
    hooks,
    no_cache,
    parameters_zeroed,
    replace_input,
    zero_output,
)

Caught = dict[tuple[nn.Module, str], Tensor]


@dataclass(frozen=True)
class StreamPair:
    """Indices into :attr:`Stream.points` of the residual point with a sublayer and with its substitute.

    ``dropped``: the substitute is nothing, or the sublayer with pruned weights (:func:`substitute`).
    """

    sublayer: Sublayer
    dense: int
    dropped: int


@dataclass
class Stream:
    """Residual points ``(B, T, d)`` of a forward pass; ``inputs[l]`` and ``inputs[l+1]`` bracket layer l."""

    points: list[Tensor] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    pairs: list[StreamPair] = field(default_factory=list)

    @property
    def last(self) -> Tensor:
        """The residual stream after the last layer, before the final norm."""
        return self.points[self.inputs[-1]]

    def add(self, point: Tensor) -> int:
        """Append a point; return its index."""
        self.points.append(point)
        return len(self.points) - 1


@torch.no_grad()
def trunk(anatomy: Anatomy, tokens: Tensor) -> Any:
    """Run everything below the head on ``tokens`` (B, T); the model's own output object."""
    module = anatomy.head.backbone if anatomy.head else anatomy.model
    return module(input_ids=tokens, **no_cache(module))


class _Enough(Exception):
    """Raised to stop a forward pass where no more of it is needed."""


@torch.no_grad()
def trunk_up_to(anatomy: Anatomy, layer: Layer, tokens: Tensor) -> None:
    """Run the model on ``tokens`` (B, T) from the bottom and stop after ``layer``, for whoever watches."""

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        raise _Enough

    with hooks([layer.module.register_forward_hook(leave)]), suppress(_Enough):
        trunk(anatomy, tokens)


@torch.no_grad()
def last_residual(anatomy: Anatomy, tokens: Tensor) -> Tensor:
    """Residual stream ``(B, T, d)`` after the last layer; keeps nothing else."""
    caught: list[Tensor] = []
    last = anatomy.layers[-1].module
    with hooks([last.register_forward_hook(lambda module, args, output: caught.append(_tensor(output)))]):
        trunk(anatomy, tokens)
    return caught[0].reshape(*tokens.shape, -1)


@torch.no_grad()
def stream(
    anatomy: Anatomy, tokens: Tensor, kinds: tuple[Kind, ...] = KINDS, inputs: list[Tensor] | None = None
) -> Stream:
    """Run the model once on ``tokens`` (B, T) and collect the residual points around every sublayer.

    ``inputs``: residual points to feed to the layers instead of what the layers before them give.
    """
    dense = _watch(anatomy, tokens, inputs)
    result = Stream()
    result.inputs.append(result.add(dense[anatomy.layers[0].module, "in"]))
    without = _silenced(anatomy, tokens, dense, kinds)
    for layer in anatomy.layers:
        _collect(result, layer, dense, without, kinds)
    return result


def _watch(
    anatomy: Anatomy, tokens: Tensor, inputs: list[Tensor] | None, silent: Sequence[Sublayer] = ()
) -> Caught:
    """What goes in and out of the modules around which the residual points lie, in one pass."""
    caught: Caught = {}

    def taking(module: nn.Module) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            caught[module, "in"] = _copy(first_tensor((args, kwargs)))

        return module.register_forward_pre_hook(hook, with_kwargs=True)

    def giving(module: nn.Module) -> Any:
        def hook(_: nn.Module, args: Any, output: Any) -> None:
            caught[module, "out"] = _copy(first_tensor(output))

        return module.register_forward_hook(hook)

    def feeding(module: nn.Module, point: Tensor) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> Any:
            old = first_tensor((args, kwargs))
            assert old is not None
            return replace_input(args, kwargs, point.reshape(old.shape))

        return module.register_forward_pre_hook(hook, with_kwargs=True)

    handles = [feeding(layer.module, x) for layer, x in zip(anatomy.layers, inputs or (), strict=False)]
    handles += [writer.register_forward_hook(zero_output) for s in silent for writer in s.writers]
    handles.append(taking(anatomy.layers[0].module))
    for layer in anatomy.layers:
        handles.append(giving(layer.module))
        if layer.middle is not None:
            handles.append(taking(layer.middle))
        if layer.residual is Residual.PARALLEL:
            handles += [giving(writer) for s in layer.sublayers for writer in s.writers]
        if layer.residual is Residual.POST_NORM and layer.attention and layer.attention.stream_norm:
            handles.append(giving(layer.attention.stream_norm))
    with hooks(handles), parameters_zeroed([bias for s in silent for bias in s.biases]):
        trunk(anatomy, tokens)
    return {key: tensor.reshape(*tokens.shape, -1) for key, tensor in caught.items()}


def _silenced(anatomy: Anatomy, tokens: Tensor, dense: Caught, kinds: tuple[Kind, ...]) -> dict[Kind, Caught]:
    """For layers that scale the stream: the same layer inputs once more, without each kind of sublayer."""
    scaled = [layer for layer in anatomy.layers if layer.residual is Residual.SCALED]
    if not scaled:
        return {}
    leaves = [dense[layer.module, "out"] for layer in anatomy.layers]
    inputs = [dense[anatomy.layers[0].module, "in"], *leaves[:-1]]
    return {
        kind: _watch(
            anatomy, tokens, inputs, [s for layer in scaled for s in layer.sublayers if s.kind == kind]
        )
        for kind in kinds
    }


def substitute(seen: Stream, other: Stream, kind: Kind) -> None:
    """In ``seen``, compare each sublayer of ``kind`` with what it gave in ``other`` for the same input."""
    given = {pair.sublayer: other.points[pair.dense] for pair in other.pairs}
    seen.pairs = [
        replace(pair, dropped=seen.add(given[pair.sublayer])) if pair.sublayer.kind == kind else pair
        for pair in seen.pairs
    ]


def _collect(
    result: Stream, layer: Layer, caught: Caught, without: dict[Kind, Caught], kinds: tuple[Kind, ...]
) -> None:
    """Add one layer's points and pairs."""
    entry = result.inputs[-1]
    exit_point = caught[layer.module, "out"]
    if layer.attention is None or layer.mlp is None:
        result.inputs.append(result.add(exit_point))
        return
    x = result.points[entry]
    if layer.residual is Residual.PARALLEL:
        written = {s.kind: torch.stack([caught[w, "out"] for w in s.writers]).sum(0) for s in layer.sublayers}
        leave = result.add(exit_point)
        without_attention, without_mlp = result.add(x + written["mlp"]), result.add(x + written["attn"])
        pairs = [(layer.attention, leave, without_attention), (layer.mlp, leave, without_mlp)]
    elif layer.residual is Residual.POST_NORM:
        assert layer.attention.stream_norm is not None
        assert layer.mlp.stream_norm is not None
        middle = caught[layer.attention.stream_norm, "out"]
        plain = result.add(layer.attention.stream_norm(x)), result.add(layer.mlp.stream_norm(middle))
        between, leave = result.add(middle), result.add(exit_point)
        pairs = [(layer.attention, between, plain[0]), (layer.mlp, leave, plain[1])]
    elif layer.residual is Residual.SCALED:
        leave = result.add(exit_point)
        place = (layer.module, "out") if layer.middle is None else (layer.middle, "in")
        between = leave if layer.middle is None else result.add(caught[place])
        pairs = []
        if "attn" in kinds:
            pairs.append((layer.attention, between, result.add(without["attn"][place])))
        if "mlp" in kinds:
            pairs.append((layer.mlp, leave, result.add(without["mlp"][layer.module, "out"])))
    else:
        assert layer.middle is not None
        between, leave = result.add(caught[layer.middle, "in"]), result.add(exit_point)
        pairs = [(layer.attention, between, entry), (layer.mlp, leave, between)]
    result.inputs.append(leave)
    result.pairs += [StreamPair(*pair) for pair in pairs if pair[0].kind in kinds]


def _tensor(output: Any) -> Tensor:
    tensor = first_tensor(output)
    assert tensor is not None
    return tensor


def _copy(tensor: Tensor | None) -> Tensor:
    """A copy: some models add into these tensors afterwards."""
    assert tensor is not None
    return tensor.detach().clone()
