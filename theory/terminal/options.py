"""Options that mean the same in every command, each defined once."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The one seed of all random numbers.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...; auto spreads the layers.")]
Dtype = Annotated[str, typer.Option(help="float64, float32, bfloat16 or float16.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Items per task; all by default.")]
Json = Annotated[
    Path | None,
    typer.Option("--json", dir_okay=False, allow_dash=True, help="Write everything as JSON; - is stdout."),
]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", dir_okay=False, allow_dash=True, help="Write the table as CSV; - is stdout."),
]
OutTable = Annotated[
    Path | None, typer.Option("--out", dir_okay=False, help="Table to write: .csv or .parquet.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softmax-drift {version('softmax-drift')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
]


def whole(text: str | int) -> int:
    """An integer, also written 1e8: the parser of options that take large counts, and of their defaults."""
    text = str(text)
    try:
        value = float(text) if text.isascii() else float("nan")
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        raise typer.BadParameter(f"{text!r} is not a whole number")
    return int(value)


def names(text: str | None) -> tuple[str, ...] | None:
    """The names in a comma-separated option; None where it was not given.

    Raises
    ------
    typer.BadParameter
        The option was given and names nothing.
    """
    if text is None:
        return None
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} names nothing: give names separated by commas")
    return found
