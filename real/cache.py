"""What is kept between runs: folders that appear whole or not at all, small records that know their content.

A damaged record is found by its own hash, said, and made again; so is one that belongs to something else. A
cache that cannot be written is read; what would have been kept is made again next time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash
from filelock import FileLock

from theory.files import atomic_path
from theory.files import cache_folder as cache_folder
from theory.terminal.console import say


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


def content_key(facts: Any) -> str:
    """Short name of everything that a result depends on: any JSON-like value, strings of what is none."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def write_record(path: Path, value: Any) -> None:
    """Keep a JSON value with a hash of itself; nothing happens where the cache cannot be written."""
    try:
        with atomic_path(path) as partial:
            partial.write_text(json.dumps({"hash": content_key(value), "value": value}), encoding="utf-8")
    except OSError as error:
        say(f"{path.parent} cannot be written ({error.strerror or error}): nothing is kept there")


def read_record(path: Path) -> Any:
    """The value that :func:`write_record` kept; None if there is none, or, saying so, if it is damaged."""
    try:
        whole = json.loads(path.read_bytes())
        if whole["hash"] == content_key(whole["value"]):
            return whole["value"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    say(f"{path} is damaged and will be made again")
    return None
