from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from real.command_line import app
from real.forecast.validate import Plan, rank_correlation, validate
from real.models.load import LanguageModel
from theory.names import UnknownNameError

TASKS = ("wikidata-choice", "copy-1")
PLAN = Plan(
    specs=("attn:0", "attn:1", "mlp:2"),
    texts=tuple(f"prompt {index}" for index in range(16)),
    tasks=TASKS,
    tokens=6,
    samples=3,
    limit=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validation")


@pytest.fixture(scope="module")
def records(tiny_lm: LanguageModel, folder: Path) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTMAX_DRIFT_CACHE", str(folder))
        return validate(tiny_lm, PLAN)


def test_what_the_forecast_says_happens(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert record["greedy"]["exact"] == record["greedy"]["certified_held"] == 1
        assert record["within_ceiling"] == {"sampled": 2, "greedy": 1}
        for curve in (record["survival"], record["shared_noise"]):
            assert [row["n"] for row in curve] == [1, 2, 4, 6]
            for row in curve:
                assert row["measured_lower"] <= row["forecast_upper"]
                assert row["forecast_lower"] <= row["measured_upper"]


def test_a_model_against_itself_loses_nothing(records: list[dict[str, Any]]) -> None:
    same = records[0]
    assert same["kl_per_token"]["mean"] == same["sequence_tv"]["long"]["mean"] == 0
    assert same["choice_loss"] == same["generation_loss"] == same["right_answer_loss"] == 0
    assert all(row["measured_mean"] == 1 for row in same["survival"] + same["shared_noise"])
    assert all(one["ceiling"] == one.get("greedy_ceiling", 0) == one["changed"] == 0 for one in same["tasks"])
    assert [one["kind"] for one in same["tasks"] if "greedy_ceiling" in one] == ["generation"]


def test_a_spec_once_compared_is_not_compared_again(
    tiny_lm: LanguageModel, records: list[dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(folder))
    monkeypatch.setattr("real.forecast.validate.variant", None)  # would raise if it were called
    assert validate(tiny_lm, PLAN) == records


def test_rank_correlation_of_ordered_records() -> None:
    records = [
        {
            "kl_per_token": {"mean": x},
            "sequence_tv": {"short": {"mean": 0.5}},
            "choice_loss": -x,
            "generation_loss": x,
            "right_answer_loss": None,
        }
        for x in (0.1, 0.2, 0.3)
    ]
    found = rank_correlation(records)
    assert found["kl_per_token"]["choice_loss"]["spearman"] == pytest.approx(-1)
    assert found["kl_per_token"]["generation_loss"]["spearman"] == pytest.approx(1)
    assert found["kl_per_token"]["right_answer_loss"] is None
    assert found["tv_8_tokens"]["generation_loss"] is None


def test_bad_plans_are_one_sentence() -> None:
    with pytest.raises(ValueError, match="texts must be at least 2 prompts"):
        Plan(("attn:1",), ("one",), TASKS)
    with pytest.raises(UnknownNameError, match="copy-4"):
        Plan(("attn:1",), ("one", "two"), ("copy-3",))


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
