from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from real.cli import app
from real.load import LanguageModel
from real.validate import rank_correlation, validate

TASKS = ["wikidata-choice", "copy-1"]


@pytest.fixture
def table(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pd.DataFrame:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path))
    prompts = [f"prompt {index}" for index in range(12)]
    return validate(tiny_lm, ["attn:0", "attn:1", "mlp:2"], prompts, TASKS, tokens=6, samples=3, limit=3)


def test_what_the_forecast_says_happens(table: pd.DataFrame) -> None:
    assert (table.greedy_exact == 1).all()
    assert (table.coupled <= table.survival_upper).all()
    same = table.set_index("spec").loc["attn:0"]
    assert (same[["kl_per_token", "sequence_tv", "choice_loss", "generation_loss"]] == 0).all()
    assert same.coupled == 1
    assert same.identical_coupled == same.identical == 6


def test_rank_correlation_of_an_ordered_table() -> None:
    table = pd.DataFrame(
        {"kl_per_token": [0.1, 0.2, 0.3], "choice_loss": [3, 2, 1], "generation_loss": [1, 2, 3]}
    )
    found = rank_correlation(table)
    assert found["choice_loss"]["spearman"] == pytest.approx(-1)
    assert found["generation_loss"]["spearman"] == pytest.approx(1)


def test_models_command_lists_the_registry() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("smollm2-135m", "gemma3-270m", "minilm-l6"))


def test_validate_command_writes_a_record(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path))
    tiny_lm.model.save_pretrained(tmp_path / "model")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "prompts.txt").write_text("one\ntwo\nthree")
    arguments = ["validate", str(tmp_path / "model"), "attn:1", "mlp:1", "--tokens", "3", "--limit", "2"]
    arguments += ["--prompts", str(tmp_path / "prompts.txt"), "--tasks", ",".join(TASKS)]
    result = CliRunner().invoke(
        app, [*arguments, "--out", str(tmp_path / "record.json")], catch_exceptions=False
    )
    assert result.exit_code == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["spec"] for row in record["specs"]] == ["attn:1", "mlp:1"]
