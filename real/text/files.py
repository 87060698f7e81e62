"""Read text files of users: prompts and calibration passages."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_KEYS = ("prompt", "text")
_SEPARATOR = "---"


def read_text(path: Path) -> str:
    """Text of a UTF-8 file (or UTF-16 with its mark), line ends as newlines, byte order mark taken off.

    Raises
    ------
    ValueError
        The bytes are no such text.
    """
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"file {str(path)!r} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """Lines of a text file. Only line ends end a line, not form feeds or the separators of Unicode."""
    return read_text(path).split("\n")


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: one per line, or separated by lines of ``---``, or JSON.

    JSON is a list, or one value per line (JSONL), of strings or of objects with a ``prompt`` or ``text``.

    Raises
    ------
    ValueError
        The file holds no prompt, is no text, or is JSON without prompts.
    """
    text = read_text(path)
    entries = _json_entries(text, path.suffix.lower() in (".json", ".jsonl", ".ndjson"), path)
    blocks = _blocks(text) if entries is None else [_prompt(entry, path) for entry in entries]
    prompts = [block.strip() for block in blocks if block.strip()]
    if not prompts:
        raise ValueError(f"prompt file {str(path)!r} is empty: write one prompt per line")
    return prompts


def _blocks(text: str) -> Sequence[str]:
    lines = text.split("\n")
    if _SEPARATOR not in lines:
        return lines
    blocks = [""]
    for line in lines:
        if line == _SEPARATOR:
            blocks.append("")
        else:
            blocks[-1] += line + "\n"
    return blocks


def _json_entries(text: str, named: bool, path: Path) -> list[Any] | None:
    """The values of a file that is JSON by its name or by its look; None for plain text."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not named and not (lines and lines[0].lstrip().startswith(("{", "["))):
        return None
    for parse in (lambda: json.loads(text), lambda: [json.loads(line) for line in lines]):
        try:
            found: Any = parse()
        except ValueError:
            continue
        entries = found if isinstance(found, list) else [found]
        if named or all(isinstance(entry, dict) for entry in entries):
            return entries
    if named:
        raise ValueError(
            f"prompt file {str(path)!r} is not JSON, as its name says; plain text needs another name"
        )
    return None


def _prompt(entry: Any, path: Path) -> str:
    if isinstance(entry, str):
        return entry
    keys = [key for key in _KEYS if isinstance(entry, dict) and isinstance(entry.get(key), str)]
    if not keys:
        raise ValueError(
            f"prompt file {str(path)!r} is JSON whose entries hold no text under 'prompt' or 'text'"
        )
    return str(entry[keys[0]])
