"""``real forecast`` on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from real.command_line import app
from real.models.load import LanguageModel


@pytest.fixture
def folder(tiny_lm: LanguageModel, tmp_path: Path) -> str:
    tiny_lm.model.save_pretrained(tmp_path / "model")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_command_writes_table_json_csv_and_plot(folder: str, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("hello\nsome words\none two three")
    arguments = ["forecast", folder, "attn:1", "mlp:[0]", "--tokens", "5", "--prompts", str(prompts)]
    files = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "png")}
    arguments += ["--json", str(files["json"]), "--csv", str(files["csv"]), "--plot", str(files["png"])]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "long generation" in result.stdout
    written = json.loads(files["json"].read_text())
    assert [one["spec"] for one in written["forecasts"]] == ["attn:1", "mlp:[0]"]
    assert len(written["forecasts"][0]["verdicts"]) == 4
    assert len(list(csv.DictReader(files["csv"].open()))) == 10
    assert files["png"].stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--tokens", "255"], "exceeds the context"),
        (["--temperature", "0"], "temperature must be positive"),
        (["atn:1"], "atn"),
    ],
)
def test_bad_requests_are_one_sentence(folder: str, change: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, ["forecast", folder, "attn:1", "--tokens", "4", *change])
    assert isinstance(result.exception, ValueError)
    assert sentence in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("option", ["--samples", "--tokens"])
def test_a_count_of_zero_is_refused(folder: str, option: str) -> None:
    result = CliRunner().invoke(app, ["forecast", folder, "attn:1", option, "0"])
    assert result.exit_code == 2
    assert option in result.stderr


def test_an_empty_prompt_file_is_one_sentence(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    result = CliRunner().invoke(app, ["forecast", folder, "attn:1", "--prompts", str(tmp_path / "empty.txt")])
    assert isinstance(result.exception, ValueError)
    assert "is empty" in str(result.exception)
