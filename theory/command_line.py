"""``python -m theory``: list, show, verify and export the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from theory.files import atomic_path
from theory.formulas.claims import Claim, Side
from theory.formulas.formula import Formula
from theory.formulas.symbols import readable
from theory.proofs.step import Step
from theory.statements.catalogue import catalogue
from theory.statements.places import place
from theory.theorems.latex import document
from theory.theorems.theorem import Status, Theorem
from theory.theorems.verify import Record, verify_one

app = typer.Typer(help="Machine-checked bounds on softmax drift.", add_completion=False)
console = Console()
progress = Console(stderr=True)

COLOURS = {
    Status.EXACT: "cyan",
    Status.SHARP: "green",
    Status.VALID: "blue",
    Status.ASYMPTOTIC: "yellow",
    Status.NUMERICAL: "magenta",
    Status.FALSE: "red",
}


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """List the catalogue when no command is given."""
    if context.invoked_subcommand is None:
        list_theorems()


@app.command("list")
def list_theorems() -> None:
    """Print every theorem with its family and status."""
    table = Table("id", "name", "status", "quantity", "statement", title=f"{len(catalogue)} theorems")
    family = ""
    for theorem in catalogue:
        if family and theorem.family != family:
            table.add_section()
        family = theorem.family
        colour = COLOURS[theorem.status]
        quantities = ", ".join(dict.fromkeys(claim.name for claim in theorem.claims))
        table.add_row(
            theorem.id, theorem.name, f"[{colour}]{theorem.status}", escape(quantities), escape(theorem.title)
        )
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="id or name of a theorem")]) -> None:
    """Print one theorem: file and line, statement, hypotheses, formulas, derivation, witness, limit."""
    theorem = catalogue[name]
    colour = COLOURS[theorem.status]
    console.print(
        f"[bold]{theorem.id}  {escape(theorem.title)}[/bold]  [{colour}]{theorem.status}[/{colour}]"
    )
    console.print(f"{theorem.name}   source: {escape(theorem.source or 'this project')}")
    console.print(escape(str(place(theorem.id))), "\n", soft_wrap=True, highlight=False)
    console.print(escape(theorem.statement), "\n")
    for hypothesis in theorem.hypotheses:
        console.print(f"  hypothesis  {escape(hypothesis)}")
    for number, claim in enumerate(theorem.claims):
        _show_claim(
            claim, tuple(bound.side for bound in claim.bounds if theorem.attained(number, bound.side))
        )
    _show_steps(theorem)
    for witness in theorem.witnesses:
        claim = theorem.claims[witness.claim]
        console.print(
            f"  [green]witness[/green]  {escape(witness.text)} ({claim.name}, {witness.side} bound)"
        )
    if theorem.limit is not None:
        console.print("  [yellow]limit[/yellow]", end="  ")
        _show_step(theorem.limit)
    if theorem.counterexample is not None:
        console.print(f"  [red]counterexample[/red]  {escape(theorem.counterexample.text)}")


def _show_claim(claim: Claim, attained: tuple[Side, ...]) -> None:
    console.print(f"\n  [bold]{escape(claim.name)}[/bold]")
    rows: tuple[tuple[str, Formula | None], ...] = (
        (">=" if "lower" not in attained else ">= (attained)", claim.lower),
        ("<=" if "upper" not in attained else "<= (attained)", claim.upper),
        ("~ (estimate)", claim.estimate),
    )
    for sign, formula in rows:
        if formula is not None:
            console.print(f"    {sign}", escape(readable(formula.expression)))
    for bound in claim.bounds:
        if bound.when is not None:
            console.print(f"    {bound.side} bound only where", escape(readable(bound.when)))


def _show_steps(theorem: Theorem) -> None:
    console.print("\n  [bold]derivation[/bold]")
    for number, step in enumerate(theorem.derivation, 1):
        console.print(f"  {number}.", end=" ")
        _show_step(step)


def _show_step(step: Step) -> None:
    console.print(f"{escape(step.text)}  [dim]({step.method})[/dim]", highlight=False)
    if step.equation is not None:
        console.print(f"       {escape(readable(step.equation))}", style="dim", highlight=False)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="ids or names; all by default")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON record per theorem")] = False,
) -> None:
    """Re-run every derivation, claim and witness; exit 1 if anything fails."""
    chosen = [catalogue[name] for name in names] if names else list(catalogue)
    records = [
        verify_one(theorem) for theorem in track(chosen, "verifying", console=progress, transient=True)
    ]
    if as_json:
        print(json.dumps([record.as_dict() for record in records], indent=1))
    else:
        _print_records(records)
    if not all(record.passed for record in records):
        raise typer.Exit(1)


def _print_records(records: list[Record]) -> None:
    table = Table("id", "name", "status", "result", "checks", "witness slack", "s")
    for record in records:
        result = "[green]pass" if record.passed else "[red]FAIL"
        slack = "" if record.witness_slack is None else f"{record.witness_slack:.1e}"
        checks = str(len(record.findings))
        table.add_row(record.id, record.name, record.status, result, checks, slack, f"{record.seconds:.1f}")
    console.print(table)
    for record in records:
        for finding in record.findings:
            if not finding.passed:
                console.print(
                    f"[red]{record.id} {finding.kind}[/red]", escape(f"{finding.text}: {finding.detail}")
                )
    passed = sum(record.passed for record in records)
    console.print(f"{passed} of {len(records)} theorems verified")


@app.command()
def export(latex: Annotated[Path, typer.Option(help="file to write")]) -> None:
    """Write the catalogue as a LaTeX appendix that compiles by itself."""
    with atomic_path(latex) as path:
        path.write_text(document(catalogue), encoding="utf-8")
    console.print(f"wrote {latex}")
