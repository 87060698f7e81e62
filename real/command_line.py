"""``python -m real``: the subcommands, one function each."""

from __future__ import annotations

import typer

from real.commands.compare import compare
from real.commands.cost import cost
from real.commands.evaluate import evaluate
from real.commands.forecast import forecast
from real.commands.models import models
from real.commands.record import record
from real.commands.search import search
from real.commands.structure import anatomy, prune
from real.commands.tasks import tasks
from real.commands.trace import trace
from real.commands.validate import validate, validate_texts
from theory.terminal.options import Version
from theory.terminal.run import with_exit_codes

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Prune, trace and forecast language models."
)
for command in (
    *(models, tasks, forecast, record, evaluate, validate, validate_texts),
    *(anatomy, prune, search, compare, cost, trace),
):
    app.command()(command)
with_exit_codes(app)


@app.callback()
def _real(version: Version = False) -> None:
    """Prune, trace and forecast language models."""
