"""Look a name up in a table, or say which names come nearest."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Value = TypeVar("Value")


class UnknownNameError(ValueError):
    """A name that is not in the table it was looked up in."""


def lookup(kind: str, name: str, table: Mapping[str, Value]) -> Value:
    """Return ``table[name]``.

    Raises
    ------
    UnknownNameError
        One sentence that names the kind, the name and the nearest valid names.
    """
    if name in table:
        return table[name]
    nearest = get_close_matches(name, table, n=3, cutoff=0.4) or sorted(table)[:8]
    raise UnknownNameError(f"unknown {kind} {name!r}; nearest valid names: {', '.join(nearest)}")
