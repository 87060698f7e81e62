"""Draw in a second process, so that the next figure is computed meanwhile."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from paper_figs.context import Setup
from paper_figs.figure import Figure
from paper_figs.output import write

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_figures: dict[str, Figure] = {}


class Artist:
    """Writes the files of the figures it was given, one after the other, while the caller goes on."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def draw(
        self, figure: Figure, frame: pd.DataFrame, setup: Setup, provenance: dict[str, Any], out: Path
    ) -> Future[None]:
        """Start to draw; the future raises what drawing raises."""
        return self._executor.submit(_draw, figure.id, frame, setup, provenance, out)


@contextmanager
def artist(figures: Sequence[Figure]) -> Iterator[Artist]:
    """An artist for ``figures``; leaving the block waits for the last drawing.

    On Linux the second process is forked, so that it has every module and every figure (which hold
    functions that cannot be sent to it) at no cost, and it is forked here, before a model is in memory.
    Elsewhere forking is not safe and a thread does the work.
    """
    if sys.platform != "linux":
        _remember(figures)
        with ThreadPoolExecutor(1) as threads:
            yield Artist(threads)
        return
    with ProcessPoolExecutor(1, get_context("fork"), _start, (figures,)) as processes:
        processes.submit(int).result()  # forks now
        yield Artist(processes)


def _start(figures: Sequence[Figure]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is interrupted and ends this process
    if sys.platform == "linux":  # a killed caller leaves nothing behind
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    sys.stderr = sys.__stderr__  # not through the caller's progress display
    gc.freeze()  # what is imported stays: looking through it for garbage is a tenth of all drawing
    _remember(figures)


def _remember(figures: Sequence[Figure]) -> None:
    _figures.clear()
    _figures.update({figure.id: figure for figure in figures})


def _draw(name: str, frame: pd.DataFrame, setup: Setup, provenance: dict[str, Any], out: Path) -> None:
    write(_figures[name], frame, setup, provenance, out)
