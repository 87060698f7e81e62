"""Drop sublayers and blocks in memory, by hooks; :mod:`real.structure.removal` drops for good.

A dropped sublayer still runs; only what it adds to the residual stream is zero. Attention must: its key-value
cache is the clock by which a model counts positions (layer 0's above all, and in caches of several kinds the
first layer of each kind), so cached and uncached generation agree, also with layer 0's attention gone. While
a model is being pruned, the products inside are computed for whoever watches them, for statistics or to see
that a drop took effect; afterwards :func:`products_skipped` leaves them out. Saved with zeroed projections,
a model is as slow as the dense one; blocks that are removed for good save time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
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
    no_cache,
    parameters_zeroed,
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
    with hooks(_handles(anatomy, parts)), parameters_zeroed(_biases(anatomy, parts)):
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


def _biases(anatomy: Anatomy, parts: Collection[Part]) -> list[nn.Parameter]:
    dropped_sublayers = [anatomy.sublayer(p.kind, p.layer) for p in parts if p.kind != "block"]
    return [bias for sublayer in dropped_sublayers for bias in sublayer.biases]


@contextmanager
def products_skipped(anatomy: Anatomy, parts: Collection[Part]) -> Iterator[None]:
    """Inside, the linear maps of dropped ``parts`` give zeros without multiplying; no logit changes.

    Where a layer beside them needs what those maps give (shared keys and values), nothing is skipped.
    """
    with ExitStack() as stack:
        expected = record(anatomy.model, probe_tokens(anatomy.model))[-1].output if parts else None
        stack.enter_context(forwards_replaced(_zero_maps(anatomy, parts)))
        if parts:
            found = record(anatomy.model, probe_tokens(anatomy.model))[-1].output
            if expected is None or found is None or not same(expected, found):
                stack.close()
        yield


def _zero_maps(anatomy: Anatomy, parts: Collection[Part]) -> dict[nn.Module, Callable[..., Any]]:
    """Replacements for the forwards of linear maps; some routers are a kind of one and give more."""
    plain = _plain_maps(anatomy.model)
    zeros: dict[nn.Module, Callable[..., Any]] = {}
    for part in parts:
        layer = anatomy.layers[part.layer]
        sublayers = layer.sublayers if part.kind == "block" else [anatomy.sublayer(part.kind, part.layer)]
        for module in (m for sublayer in sublayers for top in sublayer.modules for m in top.modules()):
            # Where accelerate has wrapped forward, the wrapper stays: it also moves tensors between devices.
            if module in plain and "forward" not in module.__dict__:
                width = module.out_features if isinstance(module, nn.Linear) else module.nf
                zeros[module] = partial(_zeros, cast("int", width))
    return zeros


def _plain_maps(model: nn.Module) -> set[nn.Module]:
    """Linear maps that give one tensor, as the model calls them."""
    plain: set[nn.Module] = set()

    def look(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            plain.add(module)

    maps = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D)]
    with hooks([module.register_forward_hook(look) for module in maps]), torch.no_grad():
        model(input_ids=probe_tokens(model), **no_cache(model))
    return plain


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
    left = [part for part in parts if part.kind == "block" and not _passes_on(anatomy, part)]
    sublayers = [part for part in parts if part.kind != "block"]
    if sublayers:
        seen = stream(anatomy, probe_tokens(anatomy.model))
        pairs = {
            pair.sublayer.part: (seen.points[pair.dropped], seen.points[pair.dense]) for pair in seen.pairs
        }
        left += [part for part in sublayers if not same(*pairs[part])]
    if left:
        listed = ", ".join(str(part) for part in parts if part in left)
        raise DropError(
            f"could not drop {listed} of {type(anatomy.model).__name__}: "
            "it still contributes to the residual stream"
        )


def _passes_on(anatomy: Anatomy, part: Part) -> bool:
    """Whether a layer gives the residual stream exactly as it was given."""
    calls = record(anatomy.model, probe_tokens(anatomy.model))
    call = next(call for call in calls if call.module is anatomy.layers[part.layer].module)
    return call.output is not None and call.takes(call.output)
