"""First guess at a layer's parts from one recorded forward pass; :mod:`real.structure.residual` proves it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import nn

from real.structure.anatomy import AnatomyError, Overrides
from real.structure.probe import Call, same

Named = tuple[tuple[str, nn.Module], ...]
Kin = tuple[type, str, type]


@dataclass(frozen=True)
class Sketch:
    """Sublayers of one layer before the probing passes; ``writers`` in order of preference.

    biases: vectors that a container of a sublayer adds itself, beside its writers. why: one sentence where
    the sublayers cannot even be guessed.
    """

    attention: Named = ()
    mlp: Named = ()
    attention_writers: tuple[nn.Module, ...] = ()
    mlp_writers: tuple[nn.Module, ...] = ()
    attention_biases: tuple[nn.Parameter, ...] = ()
    mlp_biases: tuple[nn.Parameter, ...] = ()
    why: str | None = None


def sketch_layers(
    blocks: Sequence[nn.Module],
    calls: list[Call],
    mixers: Collection[nn.Module],
    overrides: Overrides,
    positions: int,
) -> list[Sketch]:
    """A sketch of every layer, from a pass over so many ``positions``.

    A module of the same class and name as one that mixes positions in another layer of the same class does so
    too, also where it reads another layer's keys or has been silenced.
    """
    kin = {
        (type(block), name, type(child))
        for block in blocks
        for name, child in block.named_children()
        if child in mixers
    }
    streams = {call.module: call.inputs[0] for call in calls if call.inputs}
    return [
        _sketch(index, block, calls, kin, overrides)
        if len(streams[block]) == positions
        else Sketch(why=f"layer {index} carries more than one residual vector for each token")
        for index, block in enumerate(blocks)
    ]


def _sketch(index: int, block: nn.Module, calls: list[Call], kin: set[Kin], overrides: Overrides) -> Sketch:
    """Split a layer's children into attention (mixes positions), MLP (other weights) and norms."""
    children = dict(block.named_children())
    for name in (*(overrides.attention or ()), *(overrides.mlp or ())):
        if name not in children:
            raise AnatomyError(f"layer {index} has no module {name!r}; it has: {', '.join(children)}")
    mixing = [name for name, child in children.items() if (type(block), name, type(child)) in kin]
    first = overrides.attention or [name for name in mixing if not _follows(children[name], children, calls)]
    if not overrides.attention and len(first) > 1:
        return Sketch(
            why=f"layer {index} has several modules that mix positions ({', '.join(first)}): name what is to "
            f"be dropped as attention, all of them with --parts attention={'+'.join(first)}"
        )
    attention = tuple((name, children[name]) for name in first)
    called = {call.module for call in calls}
    feeds = {m for _, m in attention for m in _sources(m, children, calls)}
    others = [
        name
        for name, child in children.items()
        if name not in (*mixing, *first) and child in called and child not in feeds and has_matrix(child)
    ]
    mlp = tuple((name, children[name]) for name in overrides.mlp or others)
    if not attention or not mlp:
        return Sketch()
    width = next(call for call in calls if call.module is block).inputs[0].shape[-1]
    inside, within = (
        list(dict.fromkeys(m for _, c in part for m in c.modules())) for part in (attention, mlp)
    )
    return Sketch(
        attention,
        mlp,
        stream_writers(calls, set(inside), width),
        stream_writers(calls, set(within) - set(inside), width),
        _container_biases(inside, width),
        _container_biases(within, width),
    )


def _all_modules(named: Named) -> list[nn.Module]:
    return list(dict.fromkeys(module for _, child in named for module in child.modules()))


def has_matrix(module: nn.Module) -> bool:
    """Whether the module has weights beyond vectors."""
    return any(p.dim() >= 2 for p in module.parameters())


def stream_writers(calls: list[Call], within: set[nn.Module], width: int) -> tuple[nn.Module, ...]:
    """Modules with matrices of their own that give stream-wide vectors, last called first.

    Those whose parts have matrices as well come last: their own are rarely what they write with.
    """
    found = [
        call.module
        for call in reversed(calls)
        if call.module in within
        and any(p.dim() >= 2 for p in call.module.parameters(recurse=False))
        and call.output is not None
        and call.output.shape[-1] == width
    ]
    return tuple(dict.fromkeys(sorted(found, key=lambda module: any(map(has_matrix, module.children())))))


def _follows(module: nn.Module, children: dict[str, nn.Module], calls: list[Call]) -> bool:
    """Whether the module works on what another part with weights has just given (a convolution after it)."""
    return any(has_matrix(source) for source in _sources(module, children, calls))


def _sources(module: nn.Module, children: dict[str, nn.Module], calls: list[Call]) -> list[nn.Module]:
    """Siblings whose output is exactly the module's first input."""
    given = next((call.inputs[0] for call in calls if call.module is module and call.inputs), None)
    if given is None:
        return []
    siblings = [call for call in calls if call.module in set(children.values()) - {module}]
    return [call.module for call in siblings if call.output is not None and same(call.output, given)]


def _container_biases(modules: Sequence[nn.Module], width: int) -> tuple[nn.Parameter, ...]:
    """Stream-wide vectors named bias that belong to a module which has parts of its own."""
    return tuple(
        parameter
        for module in modules
        if any(True for _ in module.children())
        for name, parameter in module.named_parameters(recurse=False)
        if "bias" in name and parameter.dim() == 1 and parameter.numel() == width
    )
