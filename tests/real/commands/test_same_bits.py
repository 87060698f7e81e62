"""What a command writes has the same bits whatever the order of specs, the batch size, an interruption.

Threads may move the last bits of what is measured, and nothing that is printed.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from real.models.save import save
from real.tasks.kept_answers import AnswerStore
from tests.real.conftest import Command, tiny_language_model

SPECS = ("attn:1", "sparsegpt:2:4@[1]")
CLOSE = 1e-5
"""Threads share one product in other pieces, which moves its last bits (float32); masks are found by one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Wide enough that its products are shared between threads."""
    lm = tiny_language_model(hidden_size=128, intermediate_size=256)
    return str(save(lm, tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def by_spec(report: dict[str, Any], rows: str) -> Any:
    """A report without the seconds that it took, its rows in the order of their specs."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(one) for key, one in value.items() if "seconds" not in key}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    ordered = sorted(report[rows], key=lambda one: (one["spec"], one.get("decoding", "")))
    return timeless({**report, rows: ordered, "together": None})


def task_file(tmp_path: Path) -> str:
    path = tmp_path / "task.jsonl"
    rows = [{"stop": "\n", "max_tokens": 3}, *({"prompt": f"{n}?", "answers": ["a", "e"]} for n in range(6))]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.parametrize("rows", ["forecasts", "verdicts"])
def test_a_forecast(
    rows: str,
    real_command: Command,
    folder: str,
    prompts: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, found = tmp_path / "report.json", []
    texts, scores = ("--tokens", "4", "--prompts", prompts), ("--task", task_file(tmp_path))
    for number, (count, specs) in enumerate(((1, SPECS), (2, SPECS), (1, SPECS[::-1]))):
        torch.set_num_threads(count)
        with monkeypatch.context() as patched:
            patched.setattr("real.scores.blocks.cache_folder", lambda number=number: tmp_path / str(number))
            asked = texts if rows == "forecasts" else scores
            code, _, remarks = real_command("forecast", folder, *specs, *asked, "--json", str(out))
        assert code in (0, 1, 3), remarks
        found.append(by_spec(json.loads(out.read_text()), rows))
    first, two_threads, other_order = found
    assert other_order == first
    assert_close(two_threads, first)


def test_a_trace(real_command: Command, folder: str, tmp_path: Path) -> None:
    out, tables = tmp_path / "trace.csv", []
    for count in (1, 1, 2):
        torch.set_num_threads(count)
        assert real_command("trace", folder, "--tokens", "20", "--out", str(out))[0] == 0
        tables.append(pd.read_csv(out))
    first, again, two_threads = tables
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    pd.testing.assert_frame_equal(two_threads, first, rtol=CLOSE, atol=CLOSE)


def test_an_evaluation(
    real_command: Command,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def evaluated(name: str, *specs: str, size: int = 16, interrupt: bool = False) -> pd.DataFrame:
        monkeypatch.setattr("real.tasks.evaluate.cache_folder", lambda: tmp_path / name)
        out = tmp_path / "table.csv"
        line = ("evaluate", folder, *specs, "--tasks", "agreement,copy-1", "--limit", "3", "--csv", str(out))
        if interrupt:
            interrupted(real_command, (*line, "--batch-size", str(size)), monkeypatch)
        code, _, remarks = real_command(*line, "--batch-size", str(size))
        assert code == 0, remarks
        return pd.read_csv(out).sort_values(["spec", "task", "item"], ignore_index=True)

    first = evaluated("first", *SPECS)
    for other in (
        evaluated("order and batch size", *SPECS[::-1], size=2),
        evaluated("interruption", *SPECS, interrupt=True),
    ):
        pd.testing.assert_frame_equal(other, first, check_exact=True)
    torch.set_num_threads(2)
    other = evaluated("threads", *SPECS)
    told = ["spec", "task", "item", "correct", "correct_1", "correct_2", "prediction"]
    pd.testing.assert_frame_equal(other[told], first[told], check_exact=True)
    chosen = first["probabilities"].notna()
    for mine, same in zip(other["probabilities"][chosen], first["probabilities"][chosen], strict=True):
        assert literal_eval(mine) == pytest.approx(literal_eval(same), abs=CLOSE)


def assert_close(one: Any, other: Any) -> None:
    """Equal words and counts, and numbers that are equal as they are printed, in nested reports."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        for mine, same in zip(one, other, strict=True):
            assert_close(mine, same)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=CLOSE, abs=CLOSE, nan_ok=True)
    else:
        assert one == other


def interrupted(command: Command, line: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command, and press Ctrl-C in the middle of the second model's answers."""
    before, kept = AnswerStore.__setitem__, 0

    def keep(store: AnswerStore, key: str, value: Any) -> None:
        nonlocal kept
        kept += 1
        if kept == 16:
            raise KeyboardInterrupt
        before(store, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(AnswerStore, "__setitem__", keep)
        assert command(*line)[0] == 130
    assert kept == 16
