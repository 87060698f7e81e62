"""``python -m real``: the subcommands, one function each."""

from __future__ import annotations

import typer

from real.commands.evaluate import evaluate
from real.commands.forecast import forecast
from real.commands.models import models
from real.commands.structure import anatomy, prune
from real.commands.trace import trace
from real.commands.validate import validate

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Prune, trace and forecast language models."
)
app.command()(models)
app.command()(forecast)
app.command()(evaluate)
app.command()(validate)
app.command()(anatomy)
app.command()(prune)
app.command()(trace)


@app.callback()
def _several() -> None:
    """Keep subcommands even while there is only one."""
