"""``python -m real evaluate``: tasks with ground truth, dense beside pruned."""

from __future__ import annotations

from typing import Annotated

import typer

from real.commands.options import Model, Parts, Tasks, Variants, check_variants, overrides
from theory.terminal.options import Csv, Device, Dtype, Limit, names
from theory.terminal.writing import check_outputs, write_table

DEFAULT = "agreement,wikidata-choice,wikidata-answer,capitals-choice,capitals-answer,negation,copy-2,copy-8"


def evaluate(
    model: Model,
    specs: Variants,
    tasks: Tasks = DEFAULT,
    limit: Limit = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions at once.")] = 16,
    parts: Parts = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    allow_code: Annotated[
        bool, typer.Option(help="Execute programs that the models write (task functions), in a sandbox.")
    ] = False,
    csv_file: Csv = None,
) -> None:
    """Score tasks and count flips against the dense model. Run it again to go on after an interruption."""
    check_variants(specs)
    check_outputs(csv_file)
    wanted, named = names(tasks) or (), overrides(parts)
    import pandas as pd

    from real.commands.evaluate_output import summary_tables
    from real.models.load import load, load_encoder
    from real.models.registry import ENCODERS
    from real.tasks.evaluate import evaluate as tables
    from real.tasks.evaluate import summarise, without_signal
    from real.tasks.public import PUBLIC
    from theory.terminal.console import say, show

    lm = load_encoder(model, device, dtype) if model in ENCODERS else load(model, device, dtype, named)
    found = pd.concat(
        tables(lm, specs, wanted, limit=limit, batch_size=batch_size, allow_code=allow_code),
        ignore_index=True,
    )
    if csv_file:
        write_table(found, csv_file)
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): scores"
    summary = summarise(found)
    show(summary_tables(summary, title))
    for name in wanted:
        if name in PUBLIC and PUBLIC[name].note:
            say(f"{name}: {PUBLIC[name].note}.")
    if silent := without_signal(summary):
        say(f"No signal, the dense score is not beyond chance: {', '.join(silent)}.")
