"""Drop for good: zeroed output projections, removed layers. The model stays an ordinary one.

Everything done here can be undone, so that what a drop for good would compute is known before it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from real.structure.anatomy import Anatomy, Layer
from real.structure.drop import DropError
from real.structure.part import Part
from real.structure.probe import (
    FAILURES,
    first_line,
    first_tensor,
    no_cache,
    parameters_zeroed,
    probe_tokens,
    record,
    same,
    second_probe,
)

# Attributes in which modules of a layer keep the number of their layer.
LAYER_NUMBERS = ("layer_idx", "layer_id", "layer_index", "layer_number", "layer_num")

Undo = Callable[[], None]


def probe_logits(anatomy: Anatomy) -> list[Tensor | None]:
    """What the model gives on both probes without a cache, and on the first with one (None: it cannot)."""
    model, first = anatomy.model, probe_tokens(anatomy.model)
    plain = [record(model, tokens)[-1].output for tokens in (first, second_probe(model))]
    if not no_cache(model):
        return plain
    try:
        with torch.no_grad():
            return [*plain, first_tensor(model(input_ids=first, use_cache=True))]
    except FAILURES:
        return [*plain, None]


def check_for_good(anatomy: Anatomy, parts: Collection[Part], expected: list[Tensor | None]) -> None:
    """Would the model without ``parts`` for good give the ``expected`` logits of the one without by hooks?

    Raises
    ------
    DropError
        It would not: other layers need what a removed one computes, or a weight is used elsewhere.
    """
    with gone_for_good(anatomy, parts):
        _compare(anatomy, parts, expected)


@torch.no_grad()
def drop_for_good(anatomy: Anatomy, parts: Collection[Part]) -> None:
    """Zero the writers of dropped sublayers and remove dropped blocks.

    ``anatomy`` describes the model before; examine it afresh where blocks are gone.
    """
    for parameter in _written(anatomy, parts):
        parameter.zero_()
    blocks = _blocks(parts)
    if blocks:
        remove_layers(anatomy, blocks)


@contextmanager
def gone_for_good(anatomy: Anatomy, parts: Collection[Part]) -> Iterator[None]:
    """Inside, the model is what :func:`drop_for_good` makes of it; afterwards it is as before."""
    with ExitStack() as stack:
        stack.enter_context(parameters_zeroed(_written(anatomy, parts)))
        blocks = _blocks(parts)
        if blocks:
            for undo in remove_layers(anatomy, blocks):
                stack.callback(undo)
        yield


def _compare(anatomy: Anatomy, parts: Collection[Part], expected: list[Tensor | None]) -> None:
    listed, name = ", ".join(map(str, parts)), type(anatomy.model).__name__
    try:
        found = probe_logits(anatomy)
    except FAILURES as error:
        raise DropError(
            f"could not drop {listed} of {name}: without it the model fails ({first_line(error)})"
        ) from error
    pairs = [(one, other) for one, other in zip(expected, found, strict=True) if one is not None]
    if any(other is None for _, other in pairs):
        raise DropError(f"could not drop {listed} of {name}: its cache does not fit the layers that are left")
    if not all(other is not None and same(one, other) for one, other in pairs):
        raise DropError(f"could not drop {listed} of {name}: other layers depend on what it computes")


def _written(anatomy: Anatomy, parts: Collection[Part]) -> list[nn.Parameter]:
    sublayers = [anatomy.sublayer(part.kind, part.layer) for part in parts if part.kind != "block"]
    found = [p for s in sublayers for writer in s.writers for p in writer.parameters(recurse=False)]
    return list(dict.fromkeys([*found, *(bias for s in sublayers for bias in s.biases)]))


def _blocks(parts: Collection[Part]) -> set[int]:
    return {part.layer for part in parts if part.kind == "block"}


def remove_layers(anatomy: Anatomy, indices: Collection[int]) -> list[Undo]:
    """Take whole layers out: shorter list, layers renumbered, per-layer settings of the config cut.

    Returns what puts everything back, to be called in reverse order. ``anatomy`` describes the model before;
    examine it afresh afterwards.

    Raises
    ------
    DropError
        No layer would be left, or the model's configuration does not let its number of layers be set.
    """
    name, count = type(anatomy.model).__name__, len(anatomy.layers)
    kept = [layer for layer in anatomy.layers if layer.index not in indices]
    if not kept:
        raise DropError(f"block: all {count} layers would be removed; at least one must stay")
    undo: list[Undo] = []
    try:
        for owner, attribute, value in _changes(anatomy, kept):
            before = getattr(owner, attribute)
            setattr(owner, attribute, value)
            undo.append(partial(setattr, owner, attribute, before))
    except FAILURES as error:
        for step in reversed(undo):
            step()
        raise DropError(
            f"could not drop a block of {name}: its configuration keeps {count} layers"
        ) from error
    return undo


def _changes(anatomy: Anatomy, kept: Sequence[Layer]) -> Iterator[tuple[Any, str, Any]]:
    """Object, attribute and new value of everything that says which layers there are."""
    config = anatomy.model.config.get_text_config()  # type: ignore[union-attr,operator]
    for name, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == len(anatomy.layers):
            yield config, name, [value[layer.index] for layer in kept]
    yield config, "num_hidden_layers", len(kept)
    for new, layer in enumerate(kept):
        for module in layer.module.modules():
            for attribute in LAYER_NUMBERS:
                number = getattr(module, attribute, None)
                if isinstance(number, int) and number == layer.index:
                    yield module, attribute, new
    parent_name, _, list_name = anatomy.layers[0].name.rpartition(".")[0].rpartition(".")
    layers = nn.ModuleList(layer.module for layer in kept)
    yield anatomy.model.get_submodule(parent_name), list_name, layers.train(anatomy.model.training)
