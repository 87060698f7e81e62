"""``real record`` and ``real forecast`` of records, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from real.records import read_record
from tests.real.conftest import Command


def test_record_then_forecast(real_command: Command, folder: str, prompts: str, tmp_path: Path) -> None:
    dense, other = str(tmp_path / "dense.jsonl"), str(tmp_path / "other.jsonl")
    draw = ("record", folder, "--out", dense, "--prompts", prompts, "--tokens", "5", "--samples", "2")
    code, _, remarks = real_command(*draw, "--top", "3")
    assert (code, "6 texts" in remarks) == (0, True)
    assert real_command("record", folder, "--texts", dense, "--out", other)[0] == 0
    header, texts = read_record(other)
    assert header.model == folder
    assert all(text.top is not None for text in texts)
    table, curves = tmp_path / "o.json", tmp_path / "o.csv"
    code, shown, remarks = real_command("forecast", dense, other, "--json", str(table), "--csv", str(curves))
    assert code == 0
    assert "long generation" in shown
    assert "Missing without the vocabulary: multiple choice" in remarks
    entry = json.loads(table.read_text())[0]
    assert entry["kl_per_token"]["mean"] == pytest.approx(0, abs=1e-6)
    assert pd.read_csv(curves)["tokens"].tolist() == [1, 2, 3, 4, 5]
    again = real_command(*draw, "--top", "3")
    assert (again[0], "6 of them from before" in again[2]) == (0, True)


def test_forecast_makes_the_records_that_are_missing(
    real_command: Command, folder: str, prompts: str, tmp_path: Path
) -> None:
    dense = str(tmp_path / "dense.jsonl")
    assert real_command("record", folder, "--out", dense, "--prompts", prompts, "--tokens", "4")[0] == 0
    code, shown, _ = real_command("forecast", dense, folder)
    assert (code, "tiny" in shown) == (0, True)
    code, _, remarks = real_command("forecast", dense, "int8")
    assert (code, "'int8' is a pruning spec" in remarks) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("record", "{folder}", "--out", "{dense}"), "another record"),
        (
            ("record", "{folder}", "--texts", "{dense}", "--out", "o.jsonl", "--samples", "2"),
            "--texts brings",
        ),
        (("record", "{folder}", "--texts", "{prompts}", "--out", "{new}"), "is no record"),
        (("record", "none.gguf", "--out", "{new}"), "no file none.gguf"),
        (("record", "{folder}", "--out", "{new}", "--top-p", "1.5"), "top_p must be in"),
        (("record", "{folder}", "--out", "{new}", "--top-k", "0"), "top_k must be"),
        (("forecast", "{dense}", "{dense}", "--plot", "o.png"), "--csv"),
    ],
)
def test_wrong_input_costs_one_sentence(
    real_command: Command,
    folder: str,
    prompts: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    dense, new = str(tmp_path / "dense.jsonl"), tmp_path / "new.jsonl"
    real_command("record", folder, "--out", dense, "--prompts", prompts, "--tokens", "2")
    places = {"folder": folder, "dense": dense, "prompts": prompts, "new": str(new)}
    code, shown, remarks = real_command(*(part.format(**places) for part in arguments))
    assert code == 2
    assert sentence in remarks
    assert "Traceback" not in remarks
    assert not shown
    assert not new.exists()
