"""Repair what dropped parts leave behind: closed form, no training.

``mean``: each part's mean output. ``linear``: its output as a ridge regression on its input, position by
position; for a run of blocks, what it adds to the stream as a linear map of what the MLP below it writes
(Shopkhoev et al., ReplaceMe, 2025), which is folded into that MLP. ``scale``: one factor for the stream.

Parts are fitted from the bottom up, each on the already repaired model. A quarter of the calibration rows is
held out: it chooses the ridge strength, and it decides whether the repair is kept at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.divergence import mean_divergence, states
from real.pruning.rescale import divided, factor, later_writers
from real.pruning.ridge import LinearFit, ridge
from real.pruning.spec import RepairKind
from real.structure.ascent import Ascent
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.places import RepairError, places
from real.structure.probe import hooks
from real.structure.substitute import Substitute, is_linear
from real.text.passes import token_rows
from theory.terminal.console import say, track


@dataclass(frozen=True)
class Reference:
    """The dense model on the calibration tokens: rows to fit on, rows held out ``(n, T)``, states there."""

    fitted: Tensor
    held_out: Tensor
    dense: Tensor


@dataclass(frozen=True)
class Repaired:
    """What was put in the place of dropped parts; empty where that did not help. facts: for the record.

    scales: parameters and what they are to be divided by.
    """

    substitutes: tuple[Substitute, ...] = ()
    scales: tuple[tuple[list[Any], float], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def reference(lm: LanguageModel, tokens: Tensor) -> Reference:
    """Split calibration tokens ``(N, T)`` and run the dense model on the held-out rows.

    Raises
    ------
    RepairError
        There is but one row: nothing is left to hold out.
    """
    held = max(1, len(tokens) // 4)
    if len(tokens) < 2:
        raise RepairError("a repair needs at least two rows of calibration tokens: one is held out")
    return Reference(tokens[:-held], tokens[-held:], states(lm, tokens[-held:]))


def repair(lm: LanguageModel, parts: Sequence[Part], kind: RepairKind, dense: Reference) -> Repaired:
    """Fit what stands in for ``parts``, none of which may be dropped yet.

    Raises
    ------
    RepairError
        The model has no place for it.
    """
    with ExitStack() as stack:
        substitutes: list[Substitute] = []
        scales: list[tuple[list[Any], float]] = []
        if kind == "scale":
            scales, facts = _scaled(lm, parts, dense, stack)
        else:
            substitutes, facts = _substituted(lm, parts, kind, dense, stack)
        after = mean_divergence(lm, dense.dense, states(lm, dense.held_out)).kl
    with dropped(lm.anatomy, parts, verify=False):
        before = mean_divergence(lm, dense.dense, states(lm, dense.held_out)).kl
    kept = after < before
    if not kept:
        say(f"{kind}: held-out KL {after:.3g}, without repair {before:.3g}: no better, so zero is kept")
    found = {"repaired": facts, "held_out_kl": after, "held_out_kl_without": before, "kept": kept}
    return Repaired(tuple(substitutes if kept else ()), tuple(scales if kept else ()), found)


@contextmanager
def applied(lm: LanguageModel, repaired: Repaired) -> Iterator[None]:
    """Inside, the model computes with the substitutes; weights are left as they are."""
    with hooks(handle for one in repaired.substitutes for handle in one.attach(lm.model)):
        yield


def _substituted(
    lm: LanguageModel, parts: Sequence[Part], kind: RepairKind, dense: Reference, stack: ExitStack
) -> tuple[list[Substitute], dict[str, Any]]:
    names = {module: name for name, module in lm.model.named_modules()}
    fitted, held_out = (Ascent(lm.anatomy, tokens) for tokens in (dense.fitted, dense.held_out))
    made: list[Substitute] = []
    facts: dict[str, Any] = {}
    for place in track(places(lm.anatomy, parts), f"repair: {kind}"):
        if kind == "linear" and place.adds and not is_linear(place.carrier):
            raise RepairError(
                f"could not repair {place} of {lm.name}: no linear map below it to fold it into"
            )
        fit = _fit(kind, fitted.watch(place), held_out.watch(place), not place.adds)
        stack.enter_context(dropped(lm.anatomy, place.parts, verify=False))
        facts[str(place)] = {"strength": fit.strength, "unexplained": fit.unexplained}
        if fit.weight is None and not bool(fit.bias.any()):
            continue
        dtype = lm.model.dtype
        weight = None if fit.weight is None else fit.weight.to(dtype)
        one = Substitute(names[place.carrier], names[place.reader], fit.bias.to(dtype), weight, place.adds)
        stack.enter_context(hooks(one.attach(lm.model)))
        made.append(one)
    return made, facts


def _fit(
    kind: RepairKind, seen: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], intercept: bool
) -> LinearFit:
    """Outputs on inputs, ``(n, inputs)`` and ``(n, outputs)``; or the mean alone."""
    if kind == "linear":
        return ridge(*seen, *held_out, intercept)
    mean, held_y = seen[1].double().mean(0), held_out[1].double()
    left, null = (held_y - mean).square().sum(), held_y.square().sum()
    return LinearFit(None, mean, float("inf"), float(left / null) if null else 1.0)


def _batches(lm: LanguageModel, tokens: Tensor) -> list[Tensor]:
    return [batch.to(lm.device) for batch in torch.split(tokens, token_rows(tokens))]


def _scaled(
    lm: LanguageModel, parts: Sequence[Part], dense: Reference, stack: ExitStack
) -> tuple[list[tuple[list[Any], float]], dict[str, Any]]:
    scales: list[tuple[list[Any], float]] = []
    facts: dict[str, Any] = {}
    for part in track(sorted(parts), "repair: scale"):
        writers = later_writers(lm.anatomy, part)
        by = factor(lm.anatomy, part, _batches(lm, dense.fitted))
        stack.enter_context(dropped(lm.anatomy, [part], verify=False))
        stack.enter_context(divided(writers, by))
        scales.append((writers, by))
        facts[str(part)] = {"factor": by}
    return scales, facts


def divide(repaired: Repaired, keep: Callable[[Tensor], None]) -> None:
    """Write the scales into the weights; ``keep`` sees each parameter before it changes."""
    with torch.no_grad():
        for parameters, by in repaired.scales:
            for parameter in parameters:
                keep(parameter)
                parameter.div_(by)
