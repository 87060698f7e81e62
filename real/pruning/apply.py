"""Prune a language model: within a block (:func:`pruned`) or for good in a copy (:func:`prune`)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from real.models.load import LanguageModel
from real.pruning.calibration import Calibration, calibration_rows, source
from real.pruning.choose import Done, Memory, choose_sublayers
from real.pruning.repair import Reference, Repaired, applied, divide, reference, repair
from real.pruning.settle import settle, standing
from real.pruning.sparsify import Keep, quantise, sparsify
from real.pruning.spec import Drop, Quantise, Repair, Spec, parse_spec
from real.pruning.threads import one_thread
from real.structure.drop import dropped, products_skipped
from real.structure.part import Part
from real.structure.recognise import examine
from real.structure.removal import check_for_good, drop_for_good, probe_logits


@dataclass(frozen=True)
class Applied:
    """What a spec did to a model: dropped parts, facts per step (sparsity, calibration), weights before.

    repaired: what stands in for the dropped parts.
    """

    spec: Spec
    parts: tuple[Part, ...]
    facts: tuple[dict[str, Any], ...]
    repaired: Repaired = field(default_factory=Repaired)
    before: Mapping[Tensor, Tensor] = field(default_factory=dict, repr=False)


@contextmanager
def pruned(
    lm: LanguageModel,
    spec: str | Spec,
    calibration: Calibration = None,
    seed: int = 0,
    memory: Memory | None = None,
) -> Iterator[Applied]:
    """Inside the block ``lm.model`` is pruned in place; afterwards it is exactly as before.

    Parameters
    ----------
    spec:
        For example ``"attn:8"`` or ``"attn:4+wanda:2:4"``; see :mod:`real.pruning.spec`.
    calibration:
        Token ids ``(N, T)``, a list of strings or of token tensors; ``"own"`` for text that the dense model
        writes; None for the text that ships.
    seed:
        Of the default calibration text and of ``random``.
    memory:
        Scores of parts measured for earlier specs of the same dense model, and a place for those of this one.

    Raises
    ------
    SpecError, AnatomyError, DropError
        The spec cannot be read or does not fit; the model has no such part; it could not be dropped.
    """
    before: dict[Tensor, Tensor] = {}

    def keep(parameter: Tensor) -> None:
        before.setdefault(parameter, parameter.detach().clone())

    with ExitStack() as stack:
        try:
            done = _apply(lm, parse_spec(spec), calibration, seed, stack, keep, memory)
            stack.enter_context(products_skipped(lm.anatomy, done.parts))
            yield replace(done, before=before)
        finally:
            with torch.no_grad():
                for parameter, weights in before.items():
                    parameter.copy_(weights)


@contextmanager
def unpruned(applied: Applied, modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside a :func:`pruned` block, give ``modules`` their dense weights back for a while."""
    parameters = [p for module in modules for p in module.parameters() if p in applied.before]
    weights = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(applied.before[parameter])
        try:
            yield
        finally:
            for parameter, pruned_weight in zip(parameters, weights, strict=True):
                parameter.copy_(pruned_weight)


def prune(
    lm: LanguageModel, spec: str | Spec, calibration: Calibration = None, seed: int = 0
) -> LanguageModel:
    """A pruned copy: an ordinary ``transformers`` model, to be saved with :func:`real.save`.

    Dropped sublayers have zero output projections, dropped blocks are removed. A repair is written into the
    weights where the architecture has a place for it; else the copy carries it, and :func:`real.save` writes
    it beside them. Parameters and errors as :func:`pruned`.
    """
    parsed = parse_spec(spec)
    model, found = copy.deepcopy((lm.model, lm.anatomy))  # together: the parts are those of the copy
    copied = replace(lm, model=model, anatomy=found, name=f"{lm.name} {parsed}")
    with ExitStack() as stack:
        done = _apply(copied, parsed, calibration, seed, stack, lambda parameter: None)
    modules = [standing(model, one) for one in done.repaired.substitutes]
    if done.parts:
        drop_for_good(found, done.parts)
    settled = settle(model, modules)
    if any(part.kind == "block" for part in done.parts) or settled:
        copied = replace(copied, anatomy=examine(model, found.overrides))
    record = {
        "spec": str(parsed),
        "seed": seed,
        "dropped": [str(part) for part in done.parts],
        "steps": list(done.facts),
    } | ({"repair": settled} if settled else {})
    return replace(copied, provenance=lm.provenance | {"pruning": record})


def _apply(
    lm: LanguageModel,
    spec: Spec,
    calibration: Calibration,
    seed: int,
    stack: ExitStack,
    keep: Keep,
    memory: Memory | None = None,
) -> Applied:
    """Apply the steps from left to right; hooks live as long as ``stack``; ``keep`` sees old weights."""
    parts: list[Part] = []
    facts: list[dict[str, Any]] = []
    found, done, repaired = lm.anatomy, Done(), Repaired()
    read = [calibration_rows(lm, calibration, step, seed) for step in spec.steps]  # of the dense model
    dense = _reference(lm, spec, read)
    gone = stack.enter_context(ExitStack())
    for step, tokens in zip(spec.steps, read, strict=True):
        fact: dict[str, Any] = {"step": str(step)}
        if tokens is not None:
            fact["calibration"] = source(calibration, seed)
            fact["calibration_tokens"] = list(tokens.shape)
        if isinstance(step, Drop):
            chosen = choose_sublayers(lm, step, tokens, seed, tuple(parts), memory, done)
            gone.enter_context(dropped(found, chosen.parts))
            parts += chosen.parts
            fact["dropped"] = [str(part) for part in chosen.parts]
        elif isinstance(step, Repair):
            assert dense is not None
            gone.close()
            repaired = repair(lm, parts, step.kind, dense)
            divide(repaired, keep)
            gone.enter_context(dropped(found, parts, verify=False))
            gone.enter_context(applied(lm, repaired))
            fact |= repaired.facts
        elif isinstance(step, Quantise):
            fact |= quantise(found, step, keep)
        else:
            with one_thread():
                fact |= sparsify(found, step, tokens, keep)
        if not isinstance(step, Drop):
            done = done.and_weights(step, tokens, parts)
        facts.append(fact)
    if parts:
        gone.close()
        with dropped(found, parts, verify=False):
            expected = probe_logits(found)
        check_for_good(found, parts, expected)
        stack.enter_context(dropped(found, parts, verify=False))
        stack.enter_context(applied(lm, repaired))
    return Applied(spec, tuple(parts), tuple(facts), repaired)


def _reference(lm: LanguageModel, spec: Spec, read: Sequence[Tensor | None]) -> Reference | None:
    """The model as it is before any step, for a repair to be compared with."""
    tokens = next(
        (rows for step, rows in zip(spec.steps, read, strict=True) if isinstance(step, Repair)), None
    )
    return None if tokens is None else reference(lm, tokens)
