"""``python -m real evaluate``: tasks with ground truth, dense beside pruned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from real.models.load import load, load_encoder
from real.models.registry import ENCODERS
from real.progress import table_console
from real.pruning.spec import parse_spec
from real.pruning.variants import names_checkpoint
from theory.files import atomic_path

DEFAULT = "agreement,wikidata-choice,wikidata-answer,capitals-choice,capitals-answer,negation,copy-2,copy-8"


def evaluate(
    model: Annotated[str, typer.Argument(help="smollm2-135m, gemma3-270m, a hub id or a local folder")],
    specs: Annotated[list[str], typer.Argument(help="pruning specs or other checkpoints")],
    tasks: Annotated[
        str, typer.Option(help="comma-separated: shipped tasks, retrieval, or names of the harness")
    ] = DEFAULT,
    limit: Annotated[int | None, typer.Option(help="items per task")] = None,
    batch_size: Annotated[int, typer.Option()] = 16,
    device: Annotated[str, typer.Option()] = "cpu",
    dtype: Annotated[str, typer.Option()] = "float32",
    allow_code: Annotated[
        bool, typer.Option(help="execute programs that the models write (task functions), in a sandbox")
    ] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write every item's answer")] = None,
) -> None:
    """Score tasks and count flips against the dense model. Run it again to go on after an interruption."""
    from real.tasks.evaluate import evaluate as tables  # the harness takes seconds to import
    from real.tasks.evaluate import summarise

    for spec in specs:
        if not names_checkpoint(spec):
            parse_spec(spec)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    lm = (load_encoder if model in ENCODERS else load)(model, device, dtype)
    found = pd.concat(
        tables(lm, specs, names, limit=limit, batch_size=batch_size, allow_code=allow_code), ignore_index=True
    )
    if csv_file:
        with atomic_path(csv_file) as partial:
            found.to_csv(partial, index=False)
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): scores with 95% intervals"
    table_console().print(_table(summarise(found), title))


def _table(summary: pd.DataFrame, title: str) -> Table:
    table = Table("task", "spec", "score", "change", "right→wrong", "wrong→right", "same answer", title=title)
    table.add_column("chance / no question")
    ordered = summary.sort_values("task", kind="stable")
    for row, chance, choice_only in zip(
        ordered.itertuples(),
        ordered["chance"].astype(float),
        ordered["choice_only"].astype(float),
        strict=True,
    ):
        baselines = ("–" if pd.isna(value) else f"{value:.2f}" for value in (chance, choice_only))
        table.add_row(
            str(row.task),
            str(row.spec),
            f"{row.score:.2f} ({row.lower:.2f}–{row.upper:.2f})",
            f"{row.change:+.2f} ({row.change_lower:+.2f}–{row.change_upper:+.2f})",
            str(row.right_to_wrong),
            str(row.wrong_to_right),
            f"{row.agreement:.2f}",
            " / ".join(baselines),
        )
    return table
