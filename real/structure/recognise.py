"""Find layers, sublayers, residual points and head by structure and a few probing forward passes.

Attention is the part of a layer that lets a later position see an earlier one (asked of autograd); the MLP is
the rest that has weights. Probing passes with silent writers then show how both join the residual stream.
Nothing is looked up by class name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from real.structure.anatomy import NO_OVERRIDES, Anatomy, AnatomyError, Layer, Overrides
from real.structure.head import Head, HeadError, find_head
from real.structure.probe import FAILURES, Call, first_line, position_mixers, probe_tokens, record
from real.structure.residual import Residuals
from real.structure.sketch import sketch_layers


def anatomy(
    model: nn.Module,
    *,
    layers: str | None = None,
    attention: str | Sequence[str] | None = None,
    mlp: str | Sequence[str] | None = None,
) -> Anatomy:
    """Find layers, sublayers, residual points, final norm and head of a transformer.

    Parameters
    ----------
    model:
        A ``transformers`` model in evaluation mode, causal or encoder.
    layers, attention, mlp:
        Overrides where the search fails: the dotted name of the list of layers inside ``model``, and the
        names of the attention and MLP modules inside one layer.

    Raises
    ------
    AnatomyError
        One sentence that says that no layers were found, or which override names no part.
    """
    found = examine(model, Overrides(layers, _names(attention), _names(mlp)))
    found.need_layers()
    return found


def _names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (given,) if isinstance(given, str) else None if given is None else tuple(given)


def examine(model: nn.Module, overrides: Overrides = NO_OVERRIDES) -> Anatomy:
    """What :func:`anatomy` finds; where something cannot be told apart the result says so and why.

    Raises
    ------
    AnatomyError
        An override names a part that the model does not have.
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(False):  # the search asks autograd
            return _examine(model, overrides)
    finally:
        model.train(training)


def _examine(model: nn.Module, overrides: Overrides) -> Anatomy:
    tokens = probe_tokens(model)
    try:
        calls = record(model, tokens)
    except FAILURES as error:
        raise AnatomyError(f"{type(model).__name__} fails on a few tokens: {first_line(error)}") from error
    blocks, prefix = _find_layers(model, calls, overrides.layers)
    head, no_head = _head(model, calls, blocks)
    if not blocks:
        why = (
            f"no list of layers found in {type(model).__name__}; pass layers='dotted.name' or "
            f"--parts layers=NAME (lists in the model: {', '.join(_lists(model)) or 'none'})"
        )
        return Anatomy(model, (), head, overrides, no_layers=why, no_head=no_head)
    try:
        layers = _describe(model, tokens, calls, blocks, prefix, overrides)
    except AnatomyError:
        raise
    except FAILURES as error:  # parts that no gradient goes through, weights that cannot be set to zero
        why = f"the sublayers of {type(model).__name__} cannot be told apart: {first_line(error)}"
        layers = _whole(blocks, prefix, why)
    return Anatomy(model, layers, head, overrides, no_head=no_head)


def _head(model: nn.Module, calls: list[Call], blocks: list[nn.Module]) -> tuple[Head | None, str | None]:
    try:
        return find_head(model, calls, blocks), None
    except HeadError as error:
        return None, str(error)


def _describe(
    model: nn.Module,
    tokens: Tensor,
    calls: list[Call],
    blocks: list[nn.Module],
    prefix: str,
    overrides: Overrides,
) -> tuple[Layer, ...]:
    children = [child for block in blocks for child in block.children()]
    sketches = sketch_layers(
        blocks, calls, position_mixers(model, tokens, children), overrides, tokens.numel()
    )
    settled = Residuals(model, sketches, blocks)
    if settled.broken_between():
        why = f"{type(model).__name__} changes the residual stream between its layers: no part explains it"
        return _whole(blocks, prefix, why)
    return tuple(settled.layer(i, f"{prefix}.{i}") for i in range(len(blocks)))


def _whole(blocks: list[nn.Module], prefix: str, why: str) -> tuple[Layer, ...]:
    """Layers whose sublayers are not known."""
    return tuple(
        Layer(i, f"{prefix}.{i}", block, None, None, None, None, why) for i, block in enumerate(blocks)
    )


def _find_layers(model: nn.Module, calls: list[Call], name: str | None) -> tuple[list[nn.Module], str]:
    """The list of modules called once each, in order, each taking and giving the residual stream."""
    once = {call.module: call for call in calls}
    order = {call.module: i for i, call in enumerate(calls)}
    times: dict[nn.Module, int] = {}
    for call in calls:
        times[call.module] = times.get(call.module, 0) + 1

    def is_stack(modules: Iterable[nn.Module]) -> bool:
        members = list(modules)
        if not members or any(times.get(member) != 1 for member in members):
            return False
        records = [once[member] for member in members]
        shapes = {r.output.shape if r.output is not None else None for r in records}
        shapes |= {r.inputs[0].shape if r.inputs else None for r in records}
        positions = [order[member] for member in members]
        return (
            len(shapes) == 1 and positions == sorted(positions) and all(r.output is not None for r in records)
        )

    lists = _lists(model)
    if name is not None:
        chosen = lists.get(name)
        if chosen is None or not is_stack(chosen):
            raise AnatomyError(
                f"layers {name!r} is not a list of decoder layers; lists found: {', '.join(lists)}"
            )
        return list(chosen), name
    stacks = {n: m for n, m in lists.items() if is_stack(m)}
    if not stacks:
        return [], ""
    best = max(stacks, key=lambda n: sum(p.numel() for p in stacks[n].parameters()))
    return list(stacks[best]), best


def _lists(model: nn.Module) -> dict[str, nn.ModuleList]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
