"""``python -m real forecast``: which kinds of task survive which pruning, before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Model, Prompts, Variants, check_variants
from theory.terminal.console import say
from theory.terminal.options import Csv, Device, Dtype, Json, Seed


def forecast(
    model: Model,
    specs: Variants,
    tokens: Annotated[int, typer.Option(min=1, help="Length of the text to forecast.")] = 64,
    prompts: Prompts = None,
    samples: Annotated[int, typer.Option(min=1, help="Dense samples per prompt (K).")] = 1,
    temperature: Annotated[float, typer.Option(help="Of the texts; above 0.")] = 1.0,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    json_file: Json = None,
    csv_file: Csv = None,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw the curves (png, pdf, svg).")
    ] = None,
) -> None:
    """Predict what pruning does to multiple choice, retrieval and generation; nothing is generated pruned.

    Prompts are the independent units: more prompts narrow the intervals, more samples per prompt hardly do.
    """
    check_variants(specs)
    from real.commands import forecast_output
    from real.forecast.text_drift import default_prompts, reference
    from real.forecast.text_drift import forecast as forecasts
    from real.models.load import load
    from real.text.files import read_prompts

    texts = read_prompts(prompts) if prompts else default_prompts()
    lm = load(model, device, dtype)
    dense = reference(lm, texts, tokens, samples, temperature, seed)
    found = []
    for result in forecasts(lm, specs, dense):
        found.append(result)
        say(f"{result.spec}: {result.kl_per_token.mean:.3f} nats per token, {result.seconds:.0f} s")
    forecast_output.show(lm, found)
    if json_file:
        forecast_output.write_json(json_file, lm, found)
    if csv_file:
        forecast_output.write_csv(csv_file, found)
    if plot:
        forecast_output.draw(plot, lm, found)
