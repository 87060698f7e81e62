"""``python -m real cost``: what a pruning buys."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from real.commands.options import Calibration, Model, Prompts, Specs, calibration_text, check_variants
from theory.terminal.cost import Yes
from theory.terminal.options import Csv, Device, Dtype
from theory.terminal.writing import check_outputs


def cost(
    model: Model,
    specs: Specs,
    context: Annotated[int, typer.Option(min=1, help="Tokens that are there already.")] = 64,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens written.")] = 24,
    draft: Annotated[
        int | None, typer.Option(min=1, help="Also as a draft of the dense model, so many tokens at a time.")
    ] = None,
    prompts: Prompts = None,
    calibration: Calibration = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    csv_file: Csv = None,
    yes: Yes = False,
) -> None:
    """Measure tokens per second, parameters, size and key-value cache, dense beside pruned.

    With --draft: speculative decoding, which changes no text: tokens per pass of the dense model,
    forecast and measured.
    """
    check_variants(specs)
    check_outputs(csv_file)
    given = calibration_text(calibration)
    import pandas as pd

    from real.commands.cost_output import cost_table, draft_table
    from real.commands.workload import check_texts
    from real.forecast.text_drift import default_prompts
    from real.models.load import load
    from real.search.cost import costs
    from real.search.draft import drafted
    from real.text.files import read_prompts
    from theory.terminal.console import show, track
    from theory.terminal.writing import write_table

    texts = read_prompts(prompts) if prompts else default_prompts(8)
    lm = load(model, device, dtype)
    check_texts(lm, texts if draft else texts[:1], max(context, tokens), 1, 5 * (1 + len(specs)), yes)
    found = list(track(costs(lm, ["dense", *specs], context, tokens, given), "costs", total=len(specs) + 1))
    show(cost_table(lm, found))
    frame = pd.DataFrame([dataclasses.asdict(one) for one in found])
    if draft:
        drafts = [
            drafted(lm, spec, texts, length=draft, calibration=given) for spec in track(specs, "drafts")
        ]
        show(draft_table(drafts))
        frame = frame.merge(pd.DataFrame([dataclasses.asdict(one) for one in drafts]), "left", on="spec")
    if csv_file:
        write_table(frame, csv_file)
