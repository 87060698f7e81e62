"""Where something can be put in the place of a dropped part, each place tried on the model itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from real.structure.anatomy import Anatomy, AnatomyError, Sublayer
from real.structure.part import Part
from real.structure.probe import (
    Call,
    first_tensor,
    hooks,
    probe_tokens,
    record,
    replace_first_tensor,
    rows,
)

ROUNDING = 64  # units of rounding of the largest value
_STRAIGHT = 1e-3  # relative error of what a vector, added to a writer's output, adds to the stream


class RepairError(ValueError):
    """A dropped part that cannot be repaired as asked."""


@dataclass(frozen=True)
class Place:
    """``carrier``'s output stands for what ``parts`` gave to the stream.

    One sublayer: the carrier's output is replaced; ``reader`` is what is given the sublayer's input, and
    ``target`` what gives its output. A run of blocks: the carrier is the last MLP below them and its output,
    changed, reaches the stream ``share`` times; it is its own reader.
    """

    parts: tuple[Part, ...]
    carrier: nn.Module
    reader: nn.Module
    target: nn.Module
    share: float = 1.0

    @property
    def adds(self) -> bool:
        """Whether the carrier's own output stays."""
        return self.parts[0].kind == "block"

    def __str__(self) -> str:
        return " ".join(map(str, self.parts))

    @property
    def first(self) -> int:
        """The lowest layer that takes part: of the carrier."""
        return self.parts[0].layer - self.adds

    @torch.no_grad()
    def watch(self, anatomy: Anatomy, run: Callable[[], object]) -> tuple[Tensor, Tensor]:
        """What a substitute may read and what it should give, for every token that ``run`` runs, as rows."""
        first, last = (anatomy.layers[part.layer].module for part in (self.parts[0], self.parts[-1]))
        seen: dict[str, Tensor] = {}

        def taking(name: str) -> Any:
            def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
                seen[name] = _copied((args, kwargs))

            return hook

        def giving(name: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                seen[name] = _copied(output)

            return hook

        if self.adds:
            handles = [
                self.carrier.register_forward_hook(giving("x")),
                first.register_forward_pre_hook(taking("enter"), with_kwargs=True),
                last.register_forward_hook(giving("y")),
            ]
        else:
            handles = [
                self.reader.register_forward_pre_hook(taking("x"), with_kwargs=True),
                self.target.register_forward_hook(giving("y")),
            ]
        with hooks(handles):
            run()
        target = (seen["y"] - seen["enter"]) / self.share if self.adds else seen["y"]
        return seen["x"], target


def places(anatomy: Anatomy, parts: Collection[Part]) -> list[Place]:
    """One place for every dropped sublayer and every run of dropped blocks, from the bottom up.

    Raises
    ------
    RepairError
        There is none; one sentence that says why.
    """
    blocks = sorted(part.layer for part in parts if part.kind == "block")
    runs: list[list[int]] = []
    for layer in blocks:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    found = [_below(anatomy, run, parts) for run in runs]
    found += [_of_sublayer(anatomy, part) for part in parts if part.kind != "block"]
    return sorted(found, key=lambda place: place.parts[0])


def _of_sublayer(anatomy: Anatomy, part: Part) -> Place:
    if part.kind == "block":
        raise ValueError("a block is no sublayer")
    sublayer = anatomy.sublayer(part.kind, part.layer)
    target = sublayer.writers[0] if len(sublayer.writers) == 1 else sublayer.modules[0]
    calls = record(anatomy.model, probe_tokens(anatomy.model))
    for carrier in sublayer.writers:
        if _carries(anatomy, sublayer, carrier, target, calls):
            return Place((part,), carrier, sublayer.modules[0], target)
    raise RepairError(
        f"could not repair {part} of {type(anatomy.model).__name__}: what it adds to the residual stream "
        "passes through no single module"
    )


def _carries(
    anatomy: Anatomy, sublayer: Sublayer, carrier: nn.Module, target: nn.Module, calls: Sequence[Call]
) -> bool:
    """Whether the logits stay if the carrier alone gives, by a hook, what the target gave."""
    given = _only_output(calls, target)
    own = _only_output(calls, carrier)
    logits = calls[-1].output
    if given is None or own is None or logits is None or given.shape != own.shape:
        return False
    others = [writer for writer in sublayer.writers if writer is not carrier]
    handle = carrier.register_forward_hook(
        lambda module, args, output: replace_first_tensor(output, given.reshape(_tensor(output).shape))
    )
    with hooks([handle]):
        found = record(anatomy.model, probe_tokens(anatomy.model), others, sublayer.biases)[-1].output
    assert found is not None
    return float((found - logits).abs().max()) <= ROUNDING * torch.finfo(logits.dtype).eps * float(
        logits.abs().max()
    )


def _below(anatomy: Anatomy, run: Sequence[int], parts: Collection[Part]) -> Place:
    listed = tuple(Part(layer, "block") for layer in run)
    what = f"could not repair block:[{','.join(map(str, run))}] of {type(anatomy.model).__name__}:"
    below = Part(run[0] - 1, "mlp")
    if below.layer < 0:
        raise RepairError(f"{what} no layer is left below it that could carry the repair")
    if below in parts:
        raise RepairError(f"{what} {below} below it, which would carry the repair, is dropped as well")
    try:
        writers = anatomy.sublayer("mlp", below.layer).writers
    except AnatomyError as error:
        raise RepairError(f"{what} {error}") from error
    share = _share(anatomy, below.layer, writers[0]) if len(writers) == 1 else None
    if share is None:
        raise RepairError(
            f"{what} the MLP of layer {below.layer} does not reach the stream by one linear map, unchanged "
            "but for a factor (a norm or several experts stand in between)"
        )
    return Place(listed, writers[0], writers[0], writers[0], share)


def _share(anatomy: Anatomy, layer: int, carrier: nn.Module) -> float | None:
    """How often a vector added to the carrier's output arrives in the stream; None if it is no such thing."""
    module, tokens = anatomy.layers[layer].module, probe_tokens(anatomy.model)
    calls = record(anatomy.model, tokens)
    before, own = _only_output(calls, module), _only_output(calls, carrier)
    if before is None or own is None or own.shape != before.shape:
        return None
    vector = own.roll(1, -1) + own.roll(1, 0)
    handle = carrier.register_forward_hook(
        lambda _, args, output: replace_first_tensor(
            output, _tensor(output) + vector.reshape(_tensor(output).shape)
        )
    )
    with hooks([handle]):
        after = _only_output(record(anatomy.model, tokens), module)
    assert after is not None
    moved = (after - before).double()
    share = float((moved * vector).sum() / vector.double().square().sum().clamp(min=1e-300))
    off = (moved - share * vector).norm() / moved.norm().clamp(min=1e-300)
    return share if share > 0 and float(off) <= _STRAIGHT else None


def _only_output(calls: Sequence[Call], module: nn.Module) -> Tensor | None:
    """What a module gave, as rows, if it was called once."""
    mine = [call.output for call in calls if call.module is module]
    return mine[0] if len(mine) == 1 else None


def _tensor(value: Any) -> Tensor:
    tensor = first_tensor(value)
    assert tensor is not None
    return tensor


def _copied(value: Any) -> Tensor:
    """As rows; a copy, because some models add into these tensors afterwards."""
    return rows(_tensor(value).detach().clone())
