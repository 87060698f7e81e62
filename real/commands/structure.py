"""``python -m real anatomy`` and ``python -m real prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from real.models.load import load
from real.models.save import check_folder, save
from real.progress import say
from real.pruning.apply import prune as prune_copy
from real.pruning.spec import parse_spec
from real.structure.anatomy import Anatomy

Model = Annotated[str, typer.Argument(help="smollm2-135m, gemma3-270m, a hub id or a local folder")]
Device = Annotated[str, typer.Option(help="cpu, cuda, …")]
DeviceMap = Annotated[str | None, typer.Option(help="'auto' spreads the layers over all devices")]
Dtype = Annotated[str, typer.Option(help="float64, float32, bfloat16 or float16")]
Texts = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="calibration text, one passage per line")
]


def anatomy(
    model: Model, device: Device = "cpu", device_map: DeviceMap = None, dtype: Dtype = "float32"
) -> None:
    """Show the layers, sublayers, residual points, final norm and head that were found in a model."""
    lm = load(model, place(device, device_map), dtype)
    found = lm.anatomy
    console = Console()
    console.print(_layer_table(found), _head_sentence(found))


def prune(
    model: Model,
    spec: Annotated[
        str, typer.Argument(help="attn:8, mlp:4@kl, block:[3,7], wanda:2:4, int4, attn:4+int8 …")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="new folder for the pruned model")],
    calibration: Texts = None,
    seed: Annotated[int, typer.Option(help="of the shipped calibration text and of random")] = 0,
    device: Device = "cpu",
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
) -> None:
    """Prune a model and save it; plain ``from_pretrained`` loads the result."""
    parsed = parse_spec(spec)  # a typing error should cost a second, not a minute
    check_folder(out)
    lm = load(model, place(device, device_map), dtype)
    texts = None if calibration is None else calibration.read_text(encoding="utf-8").splitlines()
    smaller = prune_copy(lm, parsed, texts, seed)
    folder = save(smaller, out)
    say("Zeroed weights make no model smaller or faster by themselves; removed blocks do.")
    print(f"{lm.name} pruned by {parsed}: {', '.join(map(_fact, smaller.provenance['pruning']['steps']))}")
    print(folder)


def place(device: str, device_map: str | None) -> str:
    """The device that :func:`real.load` takes."""
    if device_map not in (None, "auto"):
        raise ValueError(f"--device-map must be 'auto', got {device_map!r}")
    return device_map or device


def _fact(fact: dict[str, Any]) -> str:
    if "sparsity" in fact:
        return f"{fact['step']} zeroed {fact['sparsity']:.1%}"
    return (
        f"{fact['step']} dropped {' '.join(fact['dropped']) or 'nothing'}"
        if "dropped" in fact
        else fact["step"]
    )


def _layer_table(found: Anatomy) -> Table:
    names = {module: name for name, module in found.model.named_modules()}
    table = Table("layer", "residual", "attention", "MLP", "pre-MLP point", title=type(found.model).__name__)
    for layer in found.layers:
        parts = [
            "–" if s is None else " ".join(name.removeprefix(f"{layer.name}.") for name in s.names)
            for s in (layer.attention, layer.mlp)
        ]
        point = (
            "–" if layer.middle is None else f"input of {names[layer.middle].removeprefix(f'{layer.name}.')}"
        )
        table.add_row(layer.name, layer.residual.value if layer.residual else "–", *parts, point)
    return table


def _head_sentence(found: Anatomy) -> str:
    if found.head is None:
        return "no language-model head (an encoder)"
    names = {module: name for name, module in found.model.named_modules()}
    norm = " then ".join(names[module] for module in found.final_norm) or "nothing"
    tied = "tied to" if found.head.tied else "apart from"
    head = names[found.head.output_embedding]
    return f"final norm: {norm}; head: {head}, {found.head.vocabulary} logits, {tied} the input embedding"
