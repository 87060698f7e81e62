"""Kept answers: damaged ones are asked again, processes share them, a cache need not be writable."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real.tasks.kept_answers import AnswerStore

ANSWERS = {"one": "text", "two": (-1.5, True), "three": (0.1 + 0.2, False), "four": float("-inf")}


def fill(path: Path) -> None:
    store = AnswerStore(path)
    for key, answer in ANSWERS.items():
        store[key] = answer
    store.close()


def known(path: Path) -> dict[str, Any]:
    """What a later run finds."""
    store = AnswerStore(path)
    found = {key: store[key] for key in list(ANSWERS) if key in store}
    store.close()
    return found


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    fill(tmp_path / "a.db")
    assert known(tmp_path / "a.db") == ANSWERS


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:100],
        lambda data: b"\0" * len(data),
        lambda data: bytes(range(256)) * 32,
        lambda data: data[:4000] + b"?" * 200 + data[4200:],
    ],
)
def test_a_damaged_database_is_made_again(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    path.write_bytes(damage(path.read_bytes()))
    found = known(path)
    assert found.items() <= ANSWERS.items()  # right or asked again, never wrong
    fill(path)
    assert known(path) == ANSWERS


@settings(max_examples=30)
@given(data=st.data())
def test_no_flipped_bit_gives_another_answer(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("answers") / "a.db"
    fill(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert known(path).items() <= ANSWERS.items()
    fill(path)
    assert known(path) == ANSWERS


def test_a_changed_row_is_said_and_asked_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.db"
    fill(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE answers SET value = '\"other\"' WHERE key = 'one'")
    database.close()
    assert known(path) == {key: value for key, value in ANSWERS.items() if key != "one"}
    assert "1 answers" in " ".join(capsys.readouterr().err.split())


def test_a_database_of_something_else_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE answers (question TEXT)")
    database.close()
    fill(path)
    assert known(path) == ANSWERS


def write_many(arguments: tuple[Path, int]) -> None:
    path, start = arguments
    store = AnswerStore(path)
    for index in range(start, start + 100):
        store[str(index)] = index
    store.close()


def test_processes_share_one_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(write_many, [(path, start) for start in (0, 50, 100)]))
    store = AnswerStore(path)
    assert {int(key): store[key] for key in store} == {index: index for index in range(200)}


@pytest.mark.parametrize("before", [True, False])
def test_where_nothing_can_be_written(before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    if before:
        fill(path)

    def refused(*_: object, **__: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr("real.tasks.kept_answers.FileLock", refused)
    store = AnswerStore(path)
    assert ("one" in store) == before
    store["new"] = "answer"
    assert store["new"] == "answer"
    store.close()
    monkeypatch.undo()
    assert known(path) == (ANSWERS if before else {})
    assert "new" not in AnswerStore(path)
