"""Results on stdout; progress and remarks on stderr, so that stdout stays data. Of all ranks one speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from theory.outside import visible
from theory.ranks import is_first

Item = TypeVar("Item")
UNCUT = 160
"""Columns of a table written to a file or a pipe: no number is cut."""


class _Plain(Console):
    """Strings are data: they are printed as they are, whatever markup or control characters they hold."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(visible(text), **settings)


remarks = _Plain(stderr=True)


def styled(markup: str) -> Text:
    """Our own markup, ``[red]no[/red]``; what comes from outside goes through ``rich.markup.escape``."""
    return Text.from_markup(visible(markup), emoji=False)


def show(*parts: RenderableType) -> None:
    """Print results on stdout, in the terminal's width or, for a file or a pipe, uncut."""
    if not is_first():
        return
    terminal = _Plain()
    console = terminal if terminal.is_terminal else _Plain(width=max(UNCUT, terminal.width))
    console.print(*parts, sep="\n", highlight=False)


def say(sentence: str) -> None:
    """Print one plain sentence on stderr."""
    if is_first():
        remarks.print(sentence, highlight=False)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` under a progress bar that disappears when done; silent when stderr is no terminal."""
    with progress_display() as bars:
        yield from bars.track(items, total=total, description=visible(description))


def progress_display() -> Progress:
    """The one look of progress: what, a bar, how many, how long still."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=remarks,
        transient=True,
        disable=not remarks.is_terminal or not is_first(),
    )
