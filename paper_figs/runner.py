"""Make figures one after the other; one that fails does not stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.markup import escape
from rich.progress import Progress

from paper_figs.context import Context
from paper_figs.drawing import artist
from paper_figs.figure import Figure
from real import ModelUnavailableError
from real.models.devices import DeviceError
from theory.files import atomic_path
from theory.names import UnknownNameError
from theory.terminal.console import progress_display, remarks, styled

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
    with progress_display() as bars:
        yield Bars(bars)


def make(figures: Sequence[Figure], context: Context, out: Path) -> dict[str, Exception]:
    """Make ``figures`` in ``out``; return the reasons of those that failed, each with a log beside them.

    Raises
    ------
    UnknownNameError, ModelUnavailableError, DeviceError
        If a computation meets a model or a device that does not exist: bad input, not a failing figure.
    """
    results = _Results(out)
    with artist(figures) as hand:
        for figure in context.track(figures, "figures", total=len(figures)):
            try:
                frame, provenance = context.recall_with_provenance(figure.compute)
            except (UnknownNameError, ModelUnavailableError, DeviceError):
                raise
            except Exception as error:  # whatever went wrong with one figure, the others are still wanted
                results.failure(figure, error)
            else:
                results.expect(figure, hand.draw(figure, frame, context.setup, provenance, out))
            results.collect()
        results.collect(wait=True)
    return results.failed


@dataclass
class _Results:
    """What became of every figure, said on the console as soon as it is known."""

    out: Path
    failed: dict[str, Exception] = field(default_factory=dict)
    _drawing: list[tuple[Figure, Future[None]]] = field(default_factory=list)

    def expect(self, figure: Figure, drawn: Future[None]) -> None:
        self._drawing.append((figure, drawn))

    def collect(self, wait: bool = False) -> None:
        """Report the figures that are drawn by now; with ``wait``, all."""
        while self._drawing and (wait or self._drawing[0][1].done()):
            figure, drawn = self._drawing.pop(0)
            try:
                drawn.result()
            except Exception as error:  # as above: one figure is not all
                self.failure(figure, error)
            else:
                self._log(figure).unlink(missing_ok=True)
                remarks.print(styled(f"[green]made[/green]   {figure.id:<22} {escape(figure.title)}"))

    def failure(self, figure: Figure, error: Exception) -> None:
        self.failed[figure.id] = error
        log = self._log(figure)
        with atomic_path(log) as partial:
            partial.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        told = escape(f"{figure.id:<22} {reason} (see {log})")
        remarks.print(styled(f"[red]failed[/red] {told}"))

    def _log(self, figure: Figure) -> Path:
        return self.out / f"{figure.id}.error.log"
