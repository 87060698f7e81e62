"""``python -m real anatomy`` and ``python -m real prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import (
    Calibration,
    DeviceMap,
    Model,
    Parts,
    Spec,
    calibration_text,
    overrides,
    place,
)
from real.pruning.spec import parse_spec
from theory.outside import visible
from theory.terminal.console import say, show
from theory.terminal.options import Device, Dtype, Seed


def anatomy(
    model: Model,
    parts: Parts = None,
    device: Device = "cpu",
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
) -> None:
    """Show the layers, sublayers, residual points, final norm and head that were found in a model."""
    named = overrides(parts)
    from real.commands.structure_output import head_sentence, layer_table, reasons
    from real.models.load import load

    found = load(model, place(device, device_map), dtype, named).anatomy
    found.need_layers()
    show(layer_table(found), head_sentence(found), *reasons(found))
    say(f"next: python -m real forecast {model} attn:4 (what dropping four attention sublayers would do)")


def prune(
    model: Model,
    spec: Spec,
    out: Annotated[Path, typer.Option(file_okay=False, help="New folder for the pruned model.")],
    calibration: Calibration = None,
    seed: Seed = 0,
    parts: Parts = None,
    device: Device = "cpu",
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
) -> None:
    """Prune a model and save it; plain ``from_pretrained`` loads the result.

    The seed chooses the shipped calibration text, draws the model's own, and chooses what ``random`` drops.
    """
    parsed, named = parse_spec(spec), overrides(parts)
    from real.commands.structure_output import fact
    from real.models.load import load
    from real.models.save import check_folder, save
    from real.pruning.apply import prune as prune_copy

    check_folder(out)
    texts = calibration_text(calibration)
    lm = load(model, place(device, device_map), dtype, named)
    smaller = prune_copy(lm, parsed, texts, seed)
    folder = save(smaller, out)
    say("Zeroed weights make no model smaller or faster by themselves; removed blocks do.")
    steps = ", ".join(map(fact, smaller.provenance["pruning"]["steps"]))
    print(visible(f"{lm.name} pruned by {parsed}: {steps}\n{folder}"))
