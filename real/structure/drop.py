"""Drop sublayers and blocks: in memory by hooks, for good by zeroed output projections or removed layers.

A dropped sublayer still runs; only what it adds to the residual stream is zero. Attention must: its key-value
cache is the clock by which a model counts positions (layer 0's above all, and in caches of several kinds the
first layer of each kind), so cached and uncached generation agree, also with layer 0's attention gone. While
a model is being pruned, the products inside are computed for whoever watches them, for statistics or to see
that a drop took effect; afterwards :func:`products_skipped` leaves them out. Saved with zeroed projections,
a model is as slow as the dense one; blocks that are removed for good save time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from real.structure.anatomy import Anatomy
from real.structure.part import Part
from real.structure.probe import (
    first_tensor,
    forwards_replaced,
    hooks,
    probe_tokens,
    record,
    replace_first_tensor,
    same,
    zero_output,
)
from real.structure.stream import stream


class DropError(ValueError):
    """A part that was to be dropped still contributes to the residual stream."""


@contextmanager
def dropped(anatomy: Anatomy, parts: Collection[Part], verify: bool = True) -> Iterator[None]:
    """Inside the block the model runs without ``parts``; afterwards it is as before.

    Raises
    ------
    DropError
        Found by running the model once on a few tokens: a part still contributes.
    """
    with hooks(_handles(anatomy, parts)):
        if verify and parts:
            check_dropped(anatomy, parts)
        yield


def _handles(anatomy: Anatomy, parts: Collection[Part]) -> list[Any]:
    handles = []
    for part in parts:
        if part.kind == "block":
            handles += _skip(anatomy.layers[part.layer].module)
        else:
            writers = anatomy.sublayer(part.kind, part.layer).writers
            handles += [writer.register_forward_hook(zero_output) for writer in writers]
    return handles


@contextmanager
def products_skipped(anatomy: Anatomy, parts: Collection[Part]) -> Iterator[None]:
    """Inside, the linear maps of dropped ``parts`` give zeros without multiplying; no logit changes."""
    zeros: dict[nn.Module, Callable[..., Any]] = {}
    for part in parts:
        layer = anatomy.layers[part.layer]
        sublayers = layer.sublayers if part.kind == "block" else [anatomy.sublayer(part.kind, part.layer)]
        for module in (m for sublayer in sublayers for top in sublayer.modules for m in top.modules()):
            # Where accelerate has wrapped forward, the wrapper stays: it also moves tensors between devices.
            if isinstance(module, nn.Linear | Conv1D) and "forward" not in module.__dict__:
                width = module.out_features if isinstance(module, nn.Linear) else module.nf
                zeros[module] = partial(_zeros, cast("int", width))
    with forwards_replaced(zeros):
        yield


def _zeros(features: int, inputs: torch.Tensor) -> torch.Tensor:
    return inputs.new_zeros(*inputs.shape[:-1], features)


def _skip(layer: nn.Module) -> list[Any]:
    """Hooks that make a layer return the residual stream it was given; its cache is still filled."""
    entered: list[torch.Tensor] = []

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        tensor = first_tensor((args, kwargs))
        assert tensor is not None
        entered[:] = [tensor.clone()]  # the layer may write into its input

    def leave(module: nn.Module, args: Any, output: Any) -> Any:
        return replace_first_tensor(output, entered.pop())

    return [
        layer.register_forward_pre_hook(enter, with_kwargs=True),
        # First of all, so that every other hook sees what the next layer sees.
        layer.register_forward_hook(leave, prepend=True),
    ]


def check_dropped(anatomy: Anatomy, parts: Collection[Part]) -> None:
    """Raise :class:`DropError` unless each part's contribution to the residual stream is exactly zero."""
    tokens = probe_tokens(anatomy.model)
    seen = stream(anatomy, tokens)
    left: list[Part] = []
    pairs = {Part(p.sublayer.layer, p.sublayer.kind): p for p in seen.pairs}
    for part in parts:
        if part.kind == "block":
            before, after = seen.inputs[part.layer], seen.inputs[part.layer + 1]
        else:
            before, after = pairs[part].dropped, pairs[part].dense
        if not same(seen.points[before], seen.points[after]):
            left.append(part)
    if left:
        raise DropError(
            f"could not drop {', '.join(map(str, left))} of {type(anatomy.model).__name__}: "
            "it still contributes to the residual stream"
        )


@torch.no_grad()
def drop_for_good(anatomy: Anatomy, parts: Collection[Part]) -> None:
    """Zero the writers of dropped sublayers and remove dropped blocks; the model stays an ordinary one.

    ``anatomy`` describes the model before; examine it afresh where blocks are gone.

    Raises
    ------
    DropError
        The logits differ from those of the same drop by hooks.
    """
    model, tokens = anatomy.model, probe_tokens(anatomy.model)
    with dropped(anatomy, parts):
        expected = record(model, tokens)[-1].output
    blocks = {part.layer for part in parts if part.kind == "block"}
    for part in parts:
        if part.kind != "block":
            for writer in anatomy.sublayer(part.kind, part.layer).writers:
                for parameter in writer.parameters(recurse=False):
                    parameter.zero_()
    if blocks:
        remove_layers(anatomy, blocks)
    found = record(model, tokens)[-1].output
    if expected is None or found is None or not same(expected, found):
        raise DropError(
            f"{type(model).__name__}: the model pruned for good differs from the one pruned by hooks"
        )


def remove_layers(anatomy: Anatomy, indices: Collection[int]) -> None:
    """Take whole layers out: shorter list, ``layer_idx`` renumbered, per-layer settings of the config cut.

    ``anatomy`` describes the model before; examine it afresh afterwards.
    """
    model = anatomy.model
    kept = [layer for layer in anatomy.layers if layer.index not in indices]
    if not kept:
        raise ValueError(f"block: all {len(anatomy.layers)} layers would be removed; at least one must stay")
    parent_name, _, list_name = anatomy.layers[0].name.rpartition(".")[0].rpartition(".")
    parent = model.get_submodule(parent_name)
    setattr(parent, list_name, nn.ModuleList(layer.module for layer in kept))
    for new, layer in enumerate(kept):
        for module in layer.module.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = new  # type: ignore[assignment]
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    count = len(anatomy.layers)
    for name, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == count:
            setattr(config, name, [value[layer.index] for layer in kept])
    config.num_hidden_layers = len(kept)
