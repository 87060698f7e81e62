"""What ``python -m real anatomy`` and ``python -m real prune`` print."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from rich.table import Table
from torch import nn

from real.structure.anatomy import Anatomy, Layer
from theory.terminal.tables import plain_table


def fact(fact: dict[str, Any]) -> str:
    if "kept" in fact:
        kl, without = fact["held_out_kl"], fact["held_out_kl_without"]
        kept = "" if fact["kept"] else ", so zero was kept"
        return f"{fact['step']}: held-out KL {kl:.3g} instead of {without:.3g}{kept}"
    if "sparsity" in fact:
        left = f", {fact['left_share']:.1%} of the layers' weights left as they are" if "left" in fact else ""
        return f"{fact['step']} zeroed {fact['sparsity']:.1%}{left}"
    return (
        f"{fact['step']} dropped {' '.join(fact['dropped']) or 'nothing'}"
        if "dropped" in fact
        else fact["step"]
    )


def layer_table(found: Anatomy) -> Table:
    names = {module: name for name, module in found.model.named_modules()}
    table = plain_table(
        "layer", "residual", "attention", "MLP", "input before the MLP", title=type(found.model).__name__
    )
    for cells, group in groupby(found.layers, lambda layer: _cells(layer, names)):
        alike = list(group)
        more = f" … {alike[-1].index}" if len(alike) > 1 else ""
        table.add_row(f"{alike[0].name}{more}", *cells)
    return table


def _cells(layer: Layer, names: Mapping[nn.Module, str]) -> tuple[str, ...]:
    """What was found in one layer, in names that begin where the layer's own name ends."""

    def inside(name: str) -> str:
        return name.removeprefix(f"{layer.name}.")

    parts = (
        "–" if sublayer is None else " ".join(map(inside, sublayer.names))
        for sublayer in (layer.attention, layer.mlp)
    )
    point = "–" if layer.middle is None else f"of {inside(names[layer.middle])}"
    return layer.residual.value if layer.residual else "–", *parts, point


def reasons(found: Anatomy) -> list[str]:
    """Why parts are missing, each reason once."""
    missing = [layer.why for layer in found.layers if layer.why]
    if found.head is not None and found.head.no_lens:
        missing.append(found.head.no_lens)
    return list(dict.fromkeys(missing))


def head_sentence(found: Anatomy) -> str:
    if found.head is None:
        return found.no_head or "no language-model head (an encoder)"
    names = {module: name for name, module in found.model.named_modules()}
    norm = " then ".join(names[module] for module in found.final_norm) or "nothing"
    tied = "tied to" if found.head.tied else "apart from"
    embedding = found.head.output_embedding
    head = "the model's own" if embedding is None else names[embedding]
    return f"final norm: {norm}; head: {head}, {found.head.vocabulary} logits, {tied} the input embedding"
