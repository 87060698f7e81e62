"""Make figures one after the other; one that fails does not stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from paper_figs.context import Context
from paper_figs.figure import Figure
from paper_figs.output import write
from real import ModelUnavailableError
from real.progress import (
    console,
)  # one console, so that bars shown by both packages do not overwrite each other
from theory.files import atomic_path
from theory.names import UnknownNameError

Item = TypeVar("Item")


class Bars:
    """A bar for all figures and one for each computation under way, with the time that remains, on stderr."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars

    def track(self, items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
        """Yield ``items`` while a bar of its own counts them."""
        if total is None and isinstance(items, Sequence):
            total = len(items)
        task = self.bars.add_task(f"  {description}", total=total)
        try:
            for item in items:
                yield item
                self.bars.advance(task)
        finally:
            self.bars.remove_task(task)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Show progress for the duration of the block."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield Bars(bars)


def make(figures: Sequence[Figure], context: Context, out: Path) -> dict[str, Exception]:
    """Make ``figures`` in ``out``; return the reasons of those that failed, each with a log beside them.

    Raises
    ------
    UnknownNameError, ModelUnavailableError
        If a computation meets a model that does not exist: bad input, not a failing figure.
    """
    failed: dict[str, Exception] = {}
    for figure in context.track(figures, "figures", total=len(figures)):
        log = out / f"{figure.id}.error.log"
        try:
            frame, provenance = context.recall_with_provenance(figure.compute)
            write(figure, frame, context.setup, provenance, out)
            log.unlink(missing_ok=True)
            console.print(f"[green]made[/green]   {figure.id:<22} {figure.title}", highlight=False)
        except (UnknownNameError, ModelUnavailableError):
            raise
        except Exception as error:  # whatever went wrong with one figure, the others are still wanted
            failed[figure.id] = error
            with atomic_path(log) as partial:
                partial.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            console.print(
                f"[red]failed[/red] {figure.id:<22} {reason} (see {log})", highlight=False, markup=True
            )
    return failed
