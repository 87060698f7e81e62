"""Write what a command was asked to keep: tables and JSON, whole or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.files import atomic_path, check_writable
from theory.outside import spreadsheet

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv")
STDOUT = Path("-")


def check_table_path(path: Path | None) -> None:
    """Refuse a table's name before the work begins.

    Raises
    ------
    ValueError
        The suffix is none of ``SUFFIXES``, or nothing can be written there.
    """
    if path is not None and path.suffix not in SUFFIXES:
        raise ValueError(f"--out must end in {' or '.join(SUFFIXES)}, got {str(path)!r}")
    check_outputs(path)


def check_outputs(*paths: Path | None) -> None:
    """Refuse, before the work begins, files that cannot be written when it is done.

    Raises
    ------
    ValueError
        One sentence that names the path and the reason.
    """
    for path in paths:
        if path is not None and path != STDOUT:
            check_writable(path)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV (also to stdout, ``-``) or, by its suffix, as Parquet."""
    if path == STDOUT:
        spreadsheet(frame).to_csv(sys.stdout, index=False)
        return
    with atomic_path(path) as partial:
        if path.suffix == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            spreadsheet(frame).to_csv(partial, index=False)


def write_json(value: Any, path: Path, plain: Callable[[Any], Any] | None = None) -> None:
    """Write JSON to a file or to stdout (``-``); ``plain`` turns what JSON lacks into what it has."""
    text = json.dumps(value, indent=1, default=plain)
    if path == STDOUT:
        print(text)
        return
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
