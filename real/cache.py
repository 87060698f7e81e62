"""Where fetched and converted files live, and how a folder appears there: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from theory.files import cache_folder as cache_folder


def complete_folder(folder: Path, build: Callable[[Path], None], is_complete: Callable[[Path], bool]) -> Path:
    """Return ``folder``, first letting ``build`` fill it if it is absent or damaged.

    ``build`` writes into a temporary sibling that is renamed only when it returns, so a killed process
    leaves nothing that looks finished. A lock file lets one of several processes build while others wait.
    """
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if is_complete(folder):  # another process built it while this one waited
            return folder
        # leftovers of a killed build; nobody else writes here, because this process holds the lock
        for stale in folder.parent.glob(f".{folder.name}.partial-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.partial-") as partial:
            filled = Path(partial) / folder.name
            filled.mkdir()
            build(filled)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(filled, folder)
    return folder
