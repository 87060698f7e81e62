"""Write a repair into the weights of a pruned model where its architecture has a place for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from real.structure.output_bias import make_place_for_bias
from real.structure.substitute import Substitute, fold, install

Standing = tuple[Substitute, nn.Module, nn.Module]


def standing(model: nn.Module, one: Substitute) -> Standing:
    """A substitute with its carrier and its reader, which keep their places when layers are renumbered."""
    return one, model.get_submodule(one.carrier), model.get_submodule(one.reader)


def settle(model: PreTrainedModel, substitutes: Sequence[Standing]) -> dict[str, str]:
    """Let a pruned model compute with the substitutes for good; where each went, by the carrier's name.

    A vector becomes an output bias, a map on top of a linear map is multiplied into it; both are ordinary
    weights. A map in place of a sublayer has no such place: the model carries it.
    """
    names = {module: name for name, module in model.named_modules()}
    went: dict[str, str] = {}
    carried: list[Substitute] = []
    for one, carrier, reader in substitutes:
        one.carrier, one.reader = names[carrier], names[reader]
        place = _write(model, one, carrier)
        went[one.carrier] = place or "beside the weights"
        if place is None:
            carried.append(one)
    install(model, carried)
    return went


@torch.no_grad()
def _write(model: PreTrainedModel, one: Substitute, carrier: Any) -> str | None:
    """Where the substitute was written among the weights, None if it has no place there."""
    if one.weight is not None:
        if not one.adds:
            return None
        fold(carrier, one.weight)
        return "weights"
    if not make_place_for_bias(model, one.carrier):
        return None
    carrier.bias.add_(one.bias.to(carrier.bias))  # the bias of a dropped sublayer is zero
    return "bias"
