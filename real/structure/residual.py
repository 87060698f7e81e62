"""How the sublayers of a layer join the residual stream, asked of the model with parts of it silent.

A claim holds on two probes or it is not made: with both sublayers silent the layer is the identity, a chain
of norms, or a fixed scale and shift of each feature; what reads the stream after attention marks the pre-MLP
point; several branches that are called an MLP add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from real.structure.anatomy import Kind, Layer, Residual, Sublayer
from real.structure.probe import Call, probe_tokens, record, same, second_probe
from real.structure.sketch import Sketch, has_matrix

# Relative rounding allowance when sums of a few terms are compared with the model's own in another order.
SUM_ALLOWANCE = 64

Calls = list[Call]


class NotApartError(ValueError):
    """The sublayers of a layer cannot be told apart; the layer as a whole can still be used."""


@dataclass
class _Silent:
    """What is set to zero to silence one sublayer: writers found so far, and biases beside them."""

    kind: Kind
    candidates: tuple[nn.Module, ...]
    spare: tuple[nn.Parameter, ...]
    writers: tuple[nn.Module, ...] = ()
    biases: tuple[nn.Parameter, ...] = ()

    def grow(self) -> bool:
        """Silence one thing more; False when nothing is left."""
        if len(self.writers) < len(self.candidates):
            self.writers = self.candidates[: len(self.writers) + 1]
            return True
        return self.unbias()

    def unbias(self) -> bool:
        """Silence the biases as well; False where that is done or there are none."""
        more = len(self.biases) != len(self.spare)
        self.biases = self.spare
        return more


class Residuals:
    """Probing passes over a model, with sublayers silent, and what they say of each layer."""

    def __init__(self, model: nn.Module, sketches: Sequence[Sketch], blocks: Sequence[nn.Module]) -> None:
        self._model, self._sketches, self._blocks = model, sketches, blocks
        self._attention = [_Silent("attn", s.attention_writers, s.attention_biases) for s in sketches]
        self._mlp = [_Silent("mlp", s.mlp_writers, s.mlp_biases) for s in sketches]
        for silent in (*self._attention, *self._mlp):
            silent.grow()
        self._probes = [probe_tokens(model), second_probe(model)]
        self._settle()
        self._dense = [self._run([], tokens) for tokens in self._probes]
        self._no_mlp = [self._run(self._mlp, tokens) for tokens in self._probes]
        self._no_attention = [self._run(self._attention, tokens) for tokens in self._probes]

    def _settle(self) -> None:
        """Silence more, layer by layer, until nothing but the stream is left of it."""
        while True:
            every = [*self._attention, *self._mlp]
            self._nothing = [self._run(every, tokens) for tokens in self._probes]
            grown = False
            for i, sketch in enumerate(self._sketches):
                carries = self._carries(i) if sketch.attention else Residual.SEQUENTIAL
                for silent in (self._mlp[i], self._attention[i]):
                    # A shift may be the bias that a container of the sublayer adds.
                    grown |= (
                        silent.grow() if carries is None else carries is Residual.SCALED and silent.unbias()
                    )
            if not grown:
                return

    def _run(self, silent: Iterable[_Silent], tokens: Tensor) -> dict[nn.Module, Calls]:
        """Calls of one probing pass, per layer; the layer's own call comes last."""
        silent = list(silent)
        zeroed = [writer for part in silent for writer in part.writers]
        calls = record(self._model, tokens, zeroed, [bias for part in silent for bias in part.biases])
        inside = {m: block for block in self._blocks for m in block.modules()}
        per_layer: dict[nn.Module, Calls] = {block: [] for block in self._blocks}
        for call in calls:
            if call.module in inside:
                per_layer[inside[call.module]].append(call)
        return per_layer

    def broken_between(self) -> bool:
        """Whether anything but the layers changes the stream between the first and the last."""
        return any(
            not same(_gives(seen[one]), _enters(seen[two]))
            for seen in self._dense
            for one, two in pairwise(self._blocks)
        )

    def _carries(self, index: int) -> Residual | None:
        """What the layer makes of the stream with both sublayers silent; None if something else is left.

        SEQUENTIAL stands for the identity here.
        """
        seen = [nothing[self._blocks[index]] for nothing in self._nothing]
        norms = [_norm_chain(calls) for calls in seen]
        unchanged = all(same(_enters(calls), _gives(calls)) for calls in seen)
        # A norm may leave normalised vectors as they are; its weights tell it from an idle dropout.
        weighted = all(any(True for _ in norm.parameters()) for norm in norms[0] or ())
        if norms[0] is not None and norms[0] == norms[1] and (weighted or not unchanged):
            return Residual.POST_NORM
        if unchanged:
            return Residual.SEQUENTIAL
        if _is_affine(*(torch.cat([end(calls) for calls in seen]) for end in (_enters, _gives))):
            return Residual.SCALED
        return None

    def layer(self, index: int, name: str) -> Layer:
        """The finished description of one layer; without sublayers, and why, where none can be proved."""
        block, sketch = self._blocks[index], self._sketches[index]
        if not sketch.attention:
            return Layer(index, name, block, None, None, None, None, sketch.why)
        try:
            residual, middle, norms = self._residual(index)
            self._check_branches(index)
        except NotApartError as error:
            return Layer(index, name, block, None, None, None, None, str(error))
        attention = self._sublayer(self._attention[index], index, name, norms[0])
        mlp = self._sublayer(self._mlp[index], index, name, norms[1])
        return Layer(index, name, block, residual, attention, mlp, middle)

    def _sublayer(self, silent: _Silent, index: int, name: str, norm: nn.Module | None) -> Sublayer:
        sketch = self._sketches[index]
        named = sketch.attention if silent.kind == "attn" else sketch.mlp
        modules, names = tuple(m for _, m in named), tuple(f"{name}.{n}" for n, _ in named)
        return Sublayer(silent.kind, index, modules, silent.writers, names, norm, silent.biases)

    def _residual(
        self, index: int
    ) -> tuple[Residual, nn.Module | None, tuple[nn.Module, nn.Module] | tuple[None, None]]:
        block = self._blocks[index]
        carries = self._carries(index)
        if carries is None:
            raise NotApartError(
                f"layer {index} of {type(self._model).__name__} changes the residual stream by more than "
                "its attention and MLP add; name them with --parts attention=NAME,mlp=NAME"
            )
        if carries is Residual.POST_NORM:
            norms = _norm_chain(self._nothing[0][block])
            assert norms is not None
            if all(self._norms_follow(seen[block], index, norms) for seen in self._dense):
                return Residual.POST_NORM, None, norms
            raise NotApartError(
                f"layer {index} of {type(self._model).__name__} adds to the normed stream, not to the stream"
            )
        if carries is Residual.SCALED:
            return Residual.SCALED, self._reader(index), (None, None)
        middles = [self._middle(index, no_mlp[block]) for no_mlp in self._no_mlp]
        if middles[0] is not None and middles[0] is middles[1]:
            return Residual.SEQUENTIAL, middles[0], (None, None)
        if all(self._is_parallel(index, dense[block]) for dense in self._dense):
            return Residual.PARALLEL, None, (None, None)
        raise NotApartError(
            f"layer {index} ({type(block).__name__}): the pre-MLP residual point was not found"
        )

    def _middle(self, index: int, no_mlp: Calls) -> nn.Module | None:
        """Who reads the layer's output without MLP, the pre-MLP point, after the attention."""
        after = _last(no_mlp, self._attention[index].writers) + 1
        return next((call.module for call in no_mlp[after:-1] if call.takes(_gives(no_mlp))), None)

    def _reader(self, index: int) -> nn.Module | None:
        """What reads the stream for the MLP, if attention has written to it by then: the MLP or its norm."""
        block = self._blocks[index]
        dense, without = self._dense[0][block], self._no_attention[0][block]
        modules = {module for _, module in self._sketches[index].mlp}
        at = next(i for i, call in enumerate(dense) if call.module in modules)
        entry = dense[at].inputs[0]
        norms = [c for c in dense[:at] if c.output is not None and same(c.output, entry) and c.inputs]
        reader = next((c for c in reversed(norms) if not has_matrix(c.module)), dense[at])
        silent = next(call for call in without if call.module is reader.module)
        return None if same(reader.inputs[0], silent.inputs[0]) else reader.module

    def _norms_follow(self, dense: Calls, index: int, norms: tuple[nn.Module, nn.Module]) -> bool:
        """Whether each norm comes after what it normalises has been added (else it is a norm before)."""
        order = [call.module for call in dense]
        written = [_last(dense, silent[index].writers) for silent in (self._attention, self._mlp)]
        return all(order.index(norm) > at for norm, at in zip(norms, written, strict=True))

    def _is_parallel(self, index: int, calls: Calls) -> bool:
        """Whether output = input + attention + MLP, up to the order of summation."""
        x, y = _enters(calls), _gives(calls)
        written = {id(w) for part in (self._attention, self._mlp) for w in part[index].writers}
        parts = [call.output for call in calls if id(call.module) in written and call.output is not None]
        return bool(_close(x + sum(parts), y, x.abs() + sum(part.abs() for part in parts)))

    def _check_branches(self, index: int) -> None:
        """Several modules that write for the MLP must be branches that add up, not one after the other."""
        silent, block = self._mlp[index], self._blocks[index]
        tops = {m: top for top, (_, child) in enumerate(self._sketches[index].mlp) for m in child.modules()}
        groups: dict[int, list[nn.Module]] = {}
        for writer in silent.writers:
            groups.setdefault(tops[writer], []).append(writer)
        if len(groups) < 2:
            return
        attention = self._attention[index]

        def gives(writers: list[nn.Module]) -> Tensor:
            quiet = [attention, _Silent("mlp", (), (), tuple(writers), silent.biases)]
            return _gives(self._run(quiet, self._probes[0])[block])

        base, every = gives(list(silent.writers)), gives([])
        alone = [gives([w for w in silent.writers if w not in group]) - base for group in groups.values()]
        if not _close(base + sum(alone), every, base.abs() + sum(part.abs() for part in alone)):
            raise NotApartError(
                f"layer {index} of {type(self._model).__name__} has a further branch after its MLP: "
                "its output is not input + attention + MLP"
            )


def _norm_chain(calls: Calls) -> tuple[nn.Module, nn.Module] | None:
    """The two norms that take exactly the stream when the sublayers are silent (post-norm layers)."""
    x, y = _enters(calls), _gives(calls)
    plain = [c for c in calls if c.output is not None and not has_matrix(c.module)]
    for call in (c for c in plain if c.takes(x)):
        assert call.output is not None
        second = [c for c in plain if c.takes(call.output) and c.output is not None and same(c.output, y)]
        if second and second[-1].module is not call.module:
            return call.module, second[-1].module
    return None


def _is_affine(x: Tensor, y: Tensor) -> bool:
    """Whether each feature of y is a fixed scale (not 0) of that feature of x, and a shift, to rounding."""
    if x.shape != y.shape:
        return False
    x, y = x.double(), y.double()
    low, high = x.argmin(0, keepdim=True), x.argmax(0, keepdim=True)
    rise, run = (v.gather(0, high) - v.gather(0, low) for v in (y, x))
    scale = torch.where(run > 0, rise / run, 0)
    shift = y.gather(0, low) - scale * x.gather(0, low)
    eps = torch.finfo(torch.float32).eps
    allowance = SUM_ALLOWANCE * eps * (y.abs().amax(0) + (scale * x).abs().amax(0) + shift.abs())
    return bool((scale != 0).all() and ((scale * x + shift - y).abs() <= allowance).all())


def _close(total: Tensor, expected: Tensor, size: Tensor) -> bool:
    return bool(((total - expected).abs() <= SUM_ALLOWANCE * torch.finfo(total.dtype).eps * size).all())


def _last(calls: Calls, modules: Sequence[nn.Module]) -> int:
    return max(i for i, call in enumerate(calls) if call.module in modules)


def _enters(calls: Calls) -> Tensor:
    """Residual stream at the layer's input."""
    return calls[-1].inputs[0]


def _gives(calls: Calls) -> Tensor:
    """Residual stream at the layer's output."""
    output = calls[-1].output
    assert output is not None
    return output
