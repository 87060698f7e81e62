from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from real.command_line import app
from real.models.load import LanguageModel


@pytest.fixture
def model(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path))
    tiny_lm.model.save_pretrained(tmp_path / "model")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_models_command_lists_the_registry() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("smollm2-135m", "gemma3-270m", "minilm-l6"))


def test_validate_texts_writes_a_record(model: str, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("one\ntwo\nthree")
    arguments = ["validate-texts", model, "attn:1", "mlp:1", "--tokens", "3"]
    arguments += ["--prompts", str(tmp_path / "prompts.txt"), "--out", str(tmp_path / "record.json")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["spec"] for row in record["specs"]] == ["attn:1", "mlp:1"]


def test_validate_writes_a_record(model: str, tmp_path: Path) -> None:
    arguments = ["validate", model, "attn:1", "mlp:1", "--tasks", "agreement,copy-1", "--questions", "6"]
    arguments += ["--answered", "2", "--samples", "1", "--out", str(tmp_path / "record.json")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "copy-1" in result.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["spec"] for row in record["specs"]] == ["attn:1", "mlp:1"]
    assert record["rank_correlation"]["specs"] == ["attn:1"] or record["rank_correlation"]["specs"] == [
        "mlp:1"
    ]
