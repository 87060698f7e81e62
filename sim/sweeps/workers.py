"""Worker processes that share the memory of what they import.

A server process imports the laboratory once and every worker is forked from it, so the libraries (most of a
process's memory) exist once for all workers, and start-up is paid once. Where there is no such server
(Windows) each worker imports for itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import connection, get_all_start_methods, get_context, parent_process
from threading import Thread
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
PRELOADED = "sim.sweeps.preload"


def unordered(run: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Results of ``run`` on every task as they come; ``run`` must be picklable."""
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload([PRELOADED])
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, initializer=_end_with_parent)
    try:
        for done in as_completed([pool.submit(run, task) for task in tasks]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, so they watch it."""
    Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def return_freed_memory() -> None:
    """Hand freed memory back to the system: glibc keeps it, and arrays of changing sizes fragment it."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries
        ctypes.CDLL(None).malloc_trim(0)
