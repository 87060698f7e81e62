"""``python -m real tasks``: what can be asked without a hub, and what a dense model scores there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from theory.terminal.options import Device, Dtype, Limit, names


def tasks(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Measure this model; without it the table that ships is printed.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="JSON table that grows task by task; run again to go on."),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="Comma-separated names; all but those that execute programs by default."),
    ] = None,
    limit: Limit = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions at once.")] = 16,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    allow_code: Annotated[
        bool, typer.Option(help="Execute programs that the model writes (humaneval), in a sandbox.")
    ] = False,
) -> None:
    """List the public benchmarks with dense scores, or measure a model on them."""
    from real.commands.tasks_output import task_table
    from real.models.registry import DEFAULT
    from real.tasks.baselines import shipped_baselines
    from real.tasks.public_sets import PUBLIC, SUBJECTS
    from theory.terminal.console import say, show
    from theory.terminal.writing import check_outputs

    if model is None:
        show(task_table(shipped_baselines(), DEFAULT))
        say(f"Each of the {len(SUBJECTS)} subjects is a task too: mmlu_virology, say.")
        say("Next: python -m real tasks MODEL --limit 200 --out FILE")
        return
    check_outputs(out)
    wanted = names(tasks) or [
        name
        for name, one in PUBLIC.items()
        if (allow_code or not one.executes) and name.removeprefix("mmlu_") not in SUBJECTS
    ]
    from real.models.load import load
    from real.tasks.measure import measure

    lm = load(model, device, dtype)
    found = measure(lm, wanted, out, limit=limit, batch_size=batch_size, allow_code=allow_code)
    show(task_table(found, lm.name))
