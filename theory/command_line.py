"""``python -m theory``: list, show, verify and export the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from theory.terminal.console import say, show, track
from theory.terminal.options import Json, Version
from theory.terminal.run import FAILS, with_exit_codes

app = typer.Typer(help="Machine-checked bounds on softmax drift.", add_completion=False)


@app.callback(invoke_without_command=True)
def main(context: typer.Context, version: Version = False) -> None:
    """List the catalogue when no command is given."""
    if context.invoked_subcommand is None:
        list_theorems()


@app.command("list")
def list_theorems() -> None:
    """Print every theorem with its family and status."""
    from theory.command_output import catalogue_table
    from theory.statements.catalogue import catalogue

    show(catalogue_table(catalogue))
    say("python -m theory show B5 prints one with its proof, python -m theory verify checks all.")


@app.command("show")
def show_theorem(name: Annotated[str, typer.Argument(help="id or name of a theorem")]) -> None:
    """Print one theorem: file and line, statement, hypotheses, formulas, derivation, witness, limit."""
    from theory.command_output import theorem_page
    from theory.statements.catalogue import catalogue

    show(theorem_page(catalogue[name]))


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="ids or names; all by default")] = None,
    json_file: Json = None,
) -> None:
    """Re-run every derivation, claim and witness; exit 1 if anything fails."""
    from theory.command_output import records_page
    from theory.statements.catalogue import catalogue
    from theory.terminal.writing import STDOUT, write_json
    from theory.theorems.verify import verify_one

    chosen = [catalogue[name] for name in names] if names else list(catalogue)
    records = [verify_one(theorem) for theorem in track(chosen, "verifying")]
    if json_file:
        write_json([record.as_dict() for record in records], json_file)
    if json_file != STDOUT:
        show(records_page(records))
    if not all(record.passed for record in records):
        raise typer.Exit(FAILS)


@app.command()
def export(
    latex: Annotated[Path, typer.Option(dir_okay=False, help="LaTeX file to write.")],
) -> None:
    """Write the catalogue as a LaTeX appendix that compiles by itself."""
    from theory.files import atomic_path
    from theory.statements.catalogue import catalogue
    from theory.theorems.latex import document

    with atomic_path(latex) as path:
        path.write_text(document(catalogue), encoding="utf-8")
    say(f"{len(catalogue)} theorems written to {latex}")


with_exit_codes(app)
