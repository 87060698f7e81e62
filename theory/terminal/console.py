"""Results on stdout; progress and remarks on stderr, so that stdout stays data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
UNCUT = 160
"""Columns of a table written to a file or a pipe: no number is cut."""

remarks = Console(stderr=True)


def show(*parts: RenderableType) -> None:
    """Print results on stdout, in the terminal's width or, for a file or a pipe, uncut."""
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=max(UNCUT, terminal.width))
    console.print(*parts, sep="\n", highlight=False)


def say(sentence: str) -> None:
    """Print one plain sentence on stderr."""
    remarks.print(sentence, markup=False, highlight=False)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` under a progress bar that disappears when done; silent when stderr is no terminal."""
    with progress_display() as bars:
        yield from bars.track(items, total=total, description=description)


def progress_display(disable: bool = False) -> Progress:
    """The one look of progress: what, a bar, how many, how long still."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=remarks,
        transient=True,
        disable=disable or not remarks.is_terminal,
    )
