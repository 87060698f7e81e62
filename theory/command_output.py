"""What ``python -m theory`` prints: the catalogue, one theorem, what was verified."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from theory.formulas.claims import Claim, Side
from theory.formulas.formula import Formula
from theory.formulas.symbols import readable
from theory.proofs.step import Step
from theory.statements.catalogue import Catalogue
from theory.statements.places import place
from theory.terminal.console import styled
from theory.terminal.tables import plain_table
from theory.theorems.theorem import Status, Theorem
from theory.theorems.verify import Record

COLOURS = {
    Status.EXACT: "cyan",
    Status.SHARP: "green",
    Status.VALID: "blue",
    Status.ASYMPTOTIC: "yellow",
    Status.NUMERICAL: "magenta",
    Status.FALSE: "red",
}


def catalogue_table(catalogue: Catalogue) -> Table:
    """Every theorem with its family and status."""
    table = plain_table("id", "name", "status", "statement", title=f"{len(catalogue)} theorems", whole=3)
    family = ""
    for theorem in catalogue:
        if family and theorem.family != family:
            table.add_section()
        family = theorem.family
        colour = COLOURS[theorem.status]
        table.add_row(theorem.id, theorem.name, styled(f"[{colour}]{theorem.status}"), theorem.title)
    return table


def theorem_page(theorem: Theorem) -> Group:
    """One theorem: file and line, statement, hypotheses, formulas, derivation, witness, limit."""
    return Group(*(styled(line) if isinstance(line, str) else line for line in _lines(theorem)))


def _lines(theorem: Theorem) -> Iterator[Text | str]:
    colour = COLOURS[theorem.status]
    yield f"[bold]{theorem.id}  {escape(theorem.title)}[/bold]  [{colour}]{theorem.status}[/{colour}]"
    yield f"{theorem.name}   source: {escape(theorem.source or 'this project')}"
    yield Text(f"{place(theorem.id)}\n", no_wrap=True, overflow="ignore")
    yield escape(theorem.statement) + "\n"
    for hypothesis in theorem.hypotheses:
        yield f"  hypothesis  {escape(hypothesis)}"
    for number, claim in enumerate(theorem.claims):
        attained = tuple(bound.side for bound in claim.bounds if theorem.attained(number, bound.side))
        yield from _claim(claim, attained)
    yield "\n  [bold]derivation[/bold]"
    for number, step in enumerate(theorem.derivation, 1):
        yield from _step(step, f"{number}.")
    for witness in theorem.witnesses:
        claim = theorem.claims[witness.claim]
        yield f"  [green]witness[/green]  {escape(witness.text)} ({claim.name}, {witness.side} bound)"
    if theorem.limit is not None:
        yield from _step(theorem.limit, "[yellow]limit[/yellow] ")
    if theorem.counterexample is not None:
        yield f"  [red]counterexample[/red]  {escape(theorem.counterexample.text)}"


def _claim(claim: Claim, attained: tuple[Side, ...]) -> Iterator[str]:
    yield f"\n  [bold]{escape(claim.name)}[/bold]"
    rows: tuple[tuple[str, Formula | None], ...] = (
        (">=" if "lower" not in attained else ">= (attained)", claim.lower),
        ("<=" if "upper" not in attained else "<= (attained)", claim.upper),
        ("~ (estimate)", claim.estimate),
    )
    for sign, formula in rows:
        if formula is not None:
            yield f"    {sign} {escape(readable(formula.expression))}"
    for bound in claim.bounds:
        if bound.when is not None:
            yield f"    {bound.side} bound only where {escape(readable(bound.when))}"


def _step(step: Step, label: str) -> Iterator[str]:
    yield f"  {label} {escape(step.text)}  [dim]({step.method})[/dim]"
    if step.equation is not None:
        yield f"[dim]       {escape(readable(step.equation))}[/dim]"


def records_page(records: list[Record]) -> Group:
    """What was verified, what failed and why, and the count."""
    table = plain_table("id", "name", "status", "result", "checks", "witness slack", "s", whole=7)
    for record in records:
        result = styled("[green]pass" if record.passed else "[red]FAIL")
        slack = "" if record.witness_slack is None else f"{record.witness_slack:.1e}"
        checks = str(len(record.findings))
        table.add_row(record.id, record.name, record.status, result, checks, slack, f"{record.seconds:.1f}")
    failures = [
        styled(f"[red]{record.id} {finding.kind}[/red] {escape(f'{finding.text}: {finding.detail}')}")
        for record in records
        for finding in record.findings
        if not finding.passed
    ]
    passed = sum(record.passed for record in records)
    return Group(table, *failures, f"{passed} of {len(records)} theorems verified")
