from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from real.models.load import LanguageModel
from real.validation.texts import Plan, validate_texts

PLAN = Plan(
    specs=("attn:0", "attn:1", "mlp:2"),
    texts=tuple(f"prompt {index}" for index in range(16)),
    tokens=6,
    samples=3,
)


@pytest.fixture(scope="module")
def records(tiny_lm: LanguageModel, folder: Path) -> list[dict[str, Any]]:
    return validate_texts(tiny_lm, PLAN)


def test_what_the_forecast_says_happens(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert record["greedy"]["exact"] == record["greedy"]["certified_held"] == 1
        for curve in (record["survival"], record["shared_noise"]):
            assert [row["n"] for row in curve] == [1, 2, 4, 6]
            for row in curve:
                assert row["measured_lower"] <= row["forecast_upper"]
                assert row["forecast_lower"] <= row["measured_upper"]


def test_a_model_against_itself_loses_nothing(records: list[dict[str, Any]]) -> None:
    same = records[0]
    assert same["kl_per_token"]["mean"] == same["sequence_tv"]["long"]["mean"] == 0
    assert all(row["measured_mean"] == 1 for row in same["survival"] + same["shared_noise"])


def test_a_spec_once_compared_is_not_compared_again(
    tiny_lm: LanguageModel, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("real.validation.texts.variant", None)  # would raise if it were called
    assert validate_texts(tiny_lm, PLAN) == records


def test_one_prompt_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="texts must be at least 2 prompts"):
        Plan(("attn:1",), ("one",))
