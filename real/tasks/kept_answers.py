"""Answers kept between runs: one small database per content, every row with a hash of itself.

A row that is damaged is asked again, a database that is none is made anew, both saying so. Several processes
may use one; a killed one loses nothing that it had written; where nothing can be written nothing is kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from lm_eval.api.model import CachingLM

from real.cache import content_key
from theory.terminal.console import say

_PATIENCE = 60.0  # seconds to wait for another process that writes
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT, hash TEXT)"


class KeptAnswers(CachingLM):  # type: ignore[misc]
    """The harness' wrapper that asks a model only what is not known, over our own store."""

    def __init__(self, harness: Any, path: Path) -> None:
        self.lm = harness
        self.cache_db = str(path)
        self.dbdict: Any = AnswerStore(path)
        harness.set_cache_hook(self.get_cache_hook())


class AnswerStore(MutableMapping[str, Any]):
    """Request hash to answer (JSON values, lists as tuples), in SQLite or, failing that, in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unkept: dict[str, Any] = {}
        self._writes = True
        self._damaged = 0
        self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_suffix(".lock")):
                try:
                    return self._connect()
                except sqlite3.DatabaseError as error:
                    if _is_about_the_place(error):
                        raise
                    say(f"{self._path} is damaged and will be made again")
                    for part in self._path.parent.glob(f"{self._path.name}*"):
                        part.unlink()
                    return self._connect()
        except (OSError, sqlite3.DatabaseError) as error:
            say(f"{self._path.parent} cannot be written ({error}): new answers are not kept")
            self._writes = False
            return self._read_only()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            (state,) = database.execute("PRAGMA quick_check").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            database.execute(_TABLE)
            database.execute("SELECT key, value, hash FROM answers LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _read_only(self) -> sqlite3.Connection:
        try:
            place = f"file:{quote(str(self._path.resolve()))}?mode=ro&immutable=1"
            database = sqlite3.connect(place, uri=True, isolation_level=None)
            database.execute("SELECT key, value, hash FROM answers LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            database = sqlite3.connect(":memory:")
            database.execute(_TABLE)
        return database

    def __getitem__(self, key: str) -> Any:
        if key in self._unkept:
            return self._unkept[key]
        row = self._database.execute("SELECT value, hash FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        if row[1] != content_key([key, row[0]]):
            self._damaged += 1
            del self[key]
            raise KeyError(key)
        return _tuples(json.loads(row[0]))

    def __setitem__(self, key: str, answer: Any) -> None:
        if not self._writes:
            self._unkept[key] = answer
            return
        value = json.dumps(answer)
        row = (key, value, content_key([key, value]))
        self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)

    def __delitem__(self, key: str) -> None:
        self._unkept.pop(key, None)
        if self._writes:
            self._database.execute("DELETE FROM answers WHERE key = ?", (key,))

    def __iter__(self) -> Iterator[str]:
        yield from self._unkept
        for (key,) in self._database.execute("SELECT key FROM answers"):
            yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def commit(self) -> None:
        """Nothing: every answer is written as soon as it is known."""

    def close(self) -> None:
        """Let go of the file; say how many answers were damaged and have been asked again."""
        self._database.close()
        if self._damaged:
            say(f"{self._damaged} answers in {self._path} were damaged and have been asked again")


def _is_about_the_place(error: sqlite3.DatabaseError) -> bool:
    """Whether a file cannot be used for reasons other than what is in it."""
    return any(words in str(error) for words in ("unable to open", "readonly", "locked", "is full"))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
