"""Find layers, sublayers, residual points and head by structure and a few probing forward passes.

Attention is the part of a layer that lets a later position see an earlier one (asked of autograd); the MLP is
the rest that has weights. Probing passes with silent writers then show how both join the residual stream.
Nothing is looked up by class name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from real.structure.anatomy import NO_OVERRIDES, Anatomy, AnatomyError, Layer, Overrides, Residual, Sublayer
from real.structure.head import HeadError, find_head
from real.structure.probe import Call, position_mixers, probe_tokens, record, same
from real.structure.sketch import Sketch, has_matrix, sketch_layer

# Relative rounding allowance when a sum of three terms is compared with the model's own sum in another order.
SUM_ALLOWANCE = 64


def anatomy(
    model: nn.Module,
    *,
    layers: str | None = None,
    attention: str | None = None,
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
    names = (mlp,) if isinstance(mlp, str) else mlp
    found = examine(model, Overrides(layers, attention, None if names is None else tuple(names)))
    found.need_layers()
    return found


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
    calls = record(model, tokens)
    blocks, prefix = _find_layers(model, calls, overrides.layers)
    if not blocks:
        why = (
            f"no list of layers found in {type(model).__name__}; pass layers='dotted.name' "
            f"(lists in the model: {', '.join(_lists(model)) or 'none'})"
        )
        return Anatomy(model, (), None, overrides, no_layers=why, no_head=why)
    head, no_head = None, None
    try:
        head = find_head(model, calls, blocks)
    except HeadError as error:
        no_head = str(error)
    try:
        layers = _describe(model, tokens, calls, blocks, prefix, overrides)
    except _NotApartError as error:
        layers = tuple(
            Layer(i, f"{prefix}.{i}", block, None, None, None, None, why=str(error))
            for i, block in enumerate(blocks)
        )
    return Anatomy(model, layers, head, overrides, no_head=no_head)


class _NotApartError(AnatomyError):
    """The sublayers of a model cannot be told apart; its layers as a whole can still be used."""


def _describe(
    model: nn.Module,
    tokens: Tensor,
    calls: list[Call],
    blocks: list[nn.Module],
    prefix: str,
    overrides: Overrides,
) -> tuple[Layer, ...]:
    candidates = [child for block in blocks for child in block.children()]
    mixers = position_mixers(model, tokens, candidates) if overrides.attention is None else set()
    sketches = [sketch_layer(i, block, calls, mixers, overrides) for i, block in enumerate(blocks)]
    settled = _Residuals(model, tokens, sketches, blocks)
    return tuple(settled.layer(i, f"{prefix}.{i}") for i in range(len(blocks)))


def _find_layers(model: nn.Module, calls: list[Call], name: str | None) -> tuple[list[nn.Module], str]:
    """The list of modules called once each, in order, each taking and giving the residual stream."""
    once = {call.module: call for call in calls}
    order = {call.module: i for i, call in enumerate(calls)}

    def is_stack(modules: Iterable[nn.Module]) -> bool:
        members = list(modules)
        if not members or any(member not in once for member in members):
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


class _Residuals:
    """Probing passes with writers at zero: which writers suffice, and how the sublayers join the stream."""

    def __init__(
        self, model: nn.Module, tokens: Tensor, sketches: list[Sketch], blocks: list[nn.Module]
    ) -> None:
        self._model, self._tokens, self._sketches, self._blocks = model, tokens, sketches, blocks
        attention, mlp = [s.attention_writers for s in sketches], [s.mlp_writers for s in sketches]
        self.attention_writers = [writers[:1] for writers in attention]
        self.mlp_writers = [writers[:1] for writers in mlp]
        for _ in range(max((len(w) for w in (*attention, *mlp)), default=0)):
            self._nothing = self._run(self.attention_writers, self.mlp_writers)
            if all(self._settled(i) for i in range(len(blocks))):
                break
            # A second branch (a shared expert) writes as well: silence one more module.
            self.mlp_writers = [w[: len(kept) + 1] for w, kept in zip(mlp, self.mlp_writers, strict=True)]
        self._dense = self._run([], [])
        self._no_attention = self._run(self.attention_writers, [])
        self._no_mlp = self._run([], self.mlp_writers)
        streams = [self._dense[block] for block in blocks]
        if any(not same(_gives(one), _enters(two)) for one, two in pairwise(streams)):
            raise _NotApartError(
                f"{type(model).__name__} changes the residual stream between its layers: no part explains it"
            )

    def _run(
        self, attention: list[list[nn.Module]], mlp: list[list[nn.Module]]
    ) -> dict[nn.Module, list[Call]]:
        """Calls of one probing pass, per layer; the layer's own call comes last."""
        zeroed = [module for group in (*attention, *mlp) for module in group]
        calls = record(self._model, self._tokens, zeroed)
        inside = {m: block for block in self._blocks for m in block.modules()}
        per_layer: dict[nn.Module, list[Call]] = {block: [] for block in self._blocks}
        for call in calls:
            if call.module in inside:
                per_layer[inside[call.module]].append(call)
        return per_layer

    def _settled(self, index: int) -> bool:
        """Whether the layer with silent writers is the identity, or a chain of norms of the identity."""
        sketch, calls = self._sketches[index], self._nothing[self._blocks[index]]
        if sketch.attention is None:
            return True
        return same(_enters(calls), _gives(calls)) or self._norms(index) is not None

    def _norms(self, index: int) -> tuple[nn.Module, nn.Module] | None:
        """Post-norm layer: the two norms that take exactly the stream when the sublayers are silent."""
        calls = self._nothing[self._blocks[index]]
        x, y = _enters(calls), _gives(calls)
        first = [c for c in calls if c.takes(x) and c.output is not None and not has_matrix(c.module)]
        for call in first:
            second = [
                c
                for c in calls
                if call.output is not None
                and c.takes(call.output)
                and c.output is not None
                and same(c.output, y)
            ]
            second = [c for c in second if not has_matrix(c.module)]
            if second and second[-1].module is not call.module:
                return call.module, second[-1].module
        return None

    def layer(self, index: int, name: str) -> Layer:
        """The finished description of one layer."""
        block, sketch = self._blocks[index], self._sketches[index]
        if sketch.attention is None:
            return Layer(index, name, block, None, None, None, None)
        residual, middle, norms = self._residual(index)
        attention = Sublayer(
            "attn",
            index,
            (sketch.attention[1],),
            tuple(self.attention_writers[index]),
            (f"{name}.{sketch.attention[0]}",),
            norms[0],
        )
        mlp = Sublayer(
            "mlp",
            index,
            tuple(module for _, module in sketch.mlp),
            tuple(self.mlp_writers[index]),
            tuple(f"{name}.{n}" for n, _ in sketch.mlp),
            norms[1],
        )
        return Layer(index, name, block, residual, attention, mlp, middle)

    def _residual(
        self, index: int
    ) -> tuple[Residual, nn.Module | None, tuple[nn.Module, nn.Module] | tuple[None, None]]:
        block = self._blocks[index]
        nothing, no_mlp = self._nothing[block], self._no_mlp[block]
        norms, unchanged = self._norms(index), same(_enters(nothing), _gives(nothing))
        # A norm may leave normalised vectors as they are; its weights tell it from an idle dropout.
        if norms and (not unchanged or all(any(True for _ in norm.parameters()) for norm in norms)):
            return Residual.POST_NORM, None, norms
        if not unchanged:
            raise _NotApartError(
                f"layer {index} of {type(self._model).__name__} changes the residual stream by more than "
                "its attention and MLP add; name them with anatomy(model, attention=..., mlp=...)"
            )
        # With the MLP silent the layer's output is the pre-MLP point; who reads it after attention marks it.
        pre_mlp = _gives(no_mlp)
        writer = self.attention_writers[index][0]
        after = next(i for i, call in enumerate(no_mlp) if call.module is writer) + 1
        readers = [call.module for call in no_mlp[after:-1] if call.takes(pre_mlp)]
        if readers:
            return Residual.SEQUENTIAL, readers[0], (None, None)
        if self._is_parallel(index):
            return Residual.PARALLEL, None, (None, None)
        raise _NotApartError(
            f"layer {index} ({type(block).__name__}): the pre-MLP residual point was not found"
        )

    def _is_parallel(self, index: int) -> bool:
        """Whether output = input + attention + MLP, up to the order of summation."""
        calls = self._dense[self._blocks[index]]
        x, y = _enters(calls), _gives(calls)
        written = {id(w) for w in (*self.attention_writers[index], *self.mlp_writers[index])}
        parts = [call.output for call in calls if id(call.module) in written and call.output is not None]
        total = x + sum(parts)
        allowance = SUM_ALLOWANCE * torch.finfo(x.dtype).eps * (x.abs() + sum(part.abs() for part in parts))
        return bool(((total - y).abs() <= allowance).all())


def _enters(calls: list[Call]) -> Tensor:
    """Residual stream at the layer's input."""
    return calls[-1].inputs[0]


def _gives(calls: list[Call]) -> Tensor:
    """Residual stream at the layer's output."""
    output = calls[-1].output
    assert output is not None
    return output
