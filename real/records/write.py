"""Write a record so that a killed run loses at most the text it was working on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from real.records.record import Header, RecordedText, RecordError
from theory.terminal.console import say


@dataclass(frozen=True)
class Progress:
    """What a finished call found and did: texts kept from an interrupted run, texts written by this one."""

    kept: int
    written: int


def write_record(
    path: str | Path, header: Header, texts: Callable[[int], Iterable[RecordedText]], total: int
) -> Progress:
    """Write ``header`` and the texts that ``texts(start)`` yields from number ``start`` on.

    Lines go to a hidden file beside ``path`` which takes its name when all ``total`` texts are there; a later
    call with the same header goes on where an interrupted one stopped.

    Raises
    ------
    RecordError
        ``path`` holds something else, another process is writing it, or ``texts`` ended early.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            return _write(path, partial, header, texts, total)
    except Timeout:
        raise RecordError(f"{path} is being written by another process") from None


def _write(
    path: Path, partial: Path, header: Header, texts: Callable[[int], Iterable[RecordedText]], total: int
) -> Progress:
    first = _encoded(header.line())
    if path.exists():
        if _whole_lines(path, first)[0] == total:
            return Progress(total, 0)
        raise RecordError(f"{path} exists and is another record: remove it or name another file")
    kept, size = _whole_lines(partial, first) if partial.exists() else (0, 0)
    if kept < 0:
        kept = 0
        say(f"{path.name}: an interrupted run with other settings is dropped")
    written = 0
    with partial.open("r+b" if size else "wb") as stream:
        stream.truncate(size)
        stream.seek(size)
        if not size:
            stream.write(first)
        for text in texts(kept):
            stream.write(_encoded(text.line()))
            stream.flush()
            written += 1
    if kept + written != total:
        raise RecordError(f"{path.name}: {kept + written} texts came, {total} were to be recorded")
    os.replace(partial, path)
    return Progress(kept, written)


def _encoded(line: dict[str, object]) -> bytes:
    return (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _whole_lines(path: Path, first: bytes) -> tuple[int, int]:
    """Whole lines after the header ``first`` and the bytes they end at; (-1 and 0) if the header differs."""
    with path.open("rb") as stream:
        if stream.readline() != first:
            return (-1, 0)
        count, size = 0, len(first)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            count, size = count + 1, size + len(line)
    return count, size
