"""What a search has measured, line by line in a file, so that a killed one goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from real.cache import content_key
from theory.files import atomic_path
from theory.terminal.console import say


class Journal:
    """Measured values by name, each written before it is used; a half-written last line is measured again.

    facts: everything that the values depend on. A file made under other facts is begun anew.
    """

    def __init__(self, path: Path | None, facts: Any) -> None:
        self._path, self._key = path, content_key(facts)
        self.known: dict[str, Any] = {}
        self.recalled = 0
        if path is None:
            return
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        entries = [entry for line in lines if (entry := _entry(line)) is not None]
        if entries and entries[0].get("key") == self._key:
            self.known = {entry["name"]: entry["value"] for entry in entries[1:]}
            if self.known:
                say(f"{path}: {len(self.known)} measurements of an earlier run are used again")
        elif lines:
            say(f"{path} belongs to another search and is begun anew")
        # Written anew without what was cut short, so that the next line begins a line.
        whole = [{"key": self._key}, *({"name": n, "value": v} for n, v in self.known.items())]
        with atomic_path(path) as partial:
            partial.write_text("".join(json.dumps(entry) + "\n" for entry in whole), encoding="utf-8")

    def recall(self, name: str, measure: Callable[[], Any]) -> Any:
        """The value of that name: as noted, or measured now and noted."""
        if name in self.known:
            self.recalled += 1
            return self.known[name]
        value = measure()
        self.known[name] = value
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"name": name, "value": value}) + "\n")
        return value


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
