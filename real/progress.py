"""Progress and remarks on stderr, so that stdout stays data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

console = Console(stderr=True)


def table_console() -> Console:
    """Console on stdout, wide enough that tables written to a file or a pipe keep their numbers whole."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=160)


def say(sentence: str) -> None:
    """Print one plain sentence on stderr."""
    console.print(sentence, markup=False, highlight=False)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` under a progress bar that disappears when done; silent when stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, total=total, description=description)
