"""First guess at a layer's parts from one recorded forward pass; :mod:`real.anatomy` then proves it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from real.structure.anatomy import AnatomyError, Overrides
from real.structure.probe import Call


@dataclass(frozen=True)
class Sketch:
    """Sublayers of one layer before the probing passes; ``writers`` in order of preference."""

    attention: tuple[str, nn.Module] | None
    mlp: tuple[tuple[str, nn.Module], ...]
    attention_writers: list[nn.Module]
    mlp_writers: list[nn.Module]


def sketch_layer(
    index: int,
    block: nn.Module,
    calls: list[Call],
    mixers: set[nn.Module],
    overrides: Overrides,
) -> Sketch:
    """Split a layer's children into attention (mixes positions), MLP (other weights) and norms."""
    children = dict(block.named_children())
    attention, mlp = overrides.attention, overrides.mlp
    for name in (*([attention] if attention else []), *(mlp or ())):
        if name not in children:
            raise AnatomyError(f"layer {index} has no module {name!r}; it has: {', '.join(children)}")
    called = {call.module for call in calls}
    mixing = [attention] if attention else [n for n, m in children.items() if m in mixers]
    if len(mixing) > 1:
        raise AnatomyError(
            f"layer {index} has several modules that mix positions ({', '.join(mixing)}); "
            "pass attention='name' of the one that is the attention sublayer"
        )
    first = (mixing[0], children[mixing[0]]) if mixing else None
    inside = set(first[1].modules()) if first else set()
    names = mlp or [n for n, m in children.items() if n not in mixing and m in called and has_matrix(m)]
    second = tuple((name, children[name]) for name in names)
    within = {m for _, child in second for m in child.modules()} - inside
    if not second:
        return Sketch(None, (), [], [])
    width = next(call for call in calls if call.module is block).inputs[0].shape[-1]
    return Sketch(first, second, stream_writers(calls, inside, width), stream_writers(calls, within, width))


def has_matrix(module: nn.Module) -> bool:
    return any(p.dim() >= 2 for p in module.parameters())


def stream_writers(calls: list[Call], within: set[nn.Module], width: int) -> list[nn.Module]:
    """Modules with matrices of their own that give stream-wide vectors, last called first."""
    return [
        call.module
        for call in reversed(calls)
        if call.module in within
        and any(p.dim() >= 2 for p in call.module.parameters(recurse=False))
        and call.output is not None
        and call.output.shape[-1] == width
    ]
