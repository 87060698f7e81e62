"""Choices and repairs side by side: what is compared, and that a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.choose import choose_sublayers
from real.search import compare as comparing
from real.search.compare import ORDER, Sizes, compare, listed
from real.text.own import own_tokens
from real.text.texts import calibration_tokens
from tests.real.conftest import tiny_language_model

SIZES = Sizes(texts=2, tokens=6, prompts=3, horizon=5, calibration=(4, 16), repair=(4, 160), questions=2)
CASES = ("attn:2", "mlp:1")


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny_language_model(num_hidden_layers=4)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Scores have tests of their own; texts are kept for one test."""
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(comparing, "TASKS", ())


def test_rows_say_what_their_spec_does(lm: LanguageModel, tmp_path: Path) -> None:
    rows = list(compare(lm, tmp_path, CASES, SIZES))
    assert [(row["choice"], row["repair"], row["case"]) for row in rows] == [
        (*way, case) for way in ORDER for case in CASES
    ]
    by_key = {(row["case"], row["choice"], row["repair"]): row for row in rows}
    tokens = calibration_tokens(lm.tokenizer, *SIZES.calibration)
    assert listed(by_key["attn:2", "cosine", "none"]["spec"], "attn") == set(
        choose_sublayers(lm, "attn:2", tokens).layers
    )
    total = sum(p.numel() for p in lm.model.parameters())
    attention = sum(p.numel() for p in lm.model.model.layers[0].self_attn.parameters())
    for (case, _, repair), row in by_key.items():
        assert len(row["kl"]) == len(row["tv"]) == len(row["survival"]) == SIZES.prompts
        if case == "attn:2":
            brought = {"none": 0, "mean": 32, "linear": 32 * 33}[repair if row["kept"] else "none"]
            assert row["saved"] == pytest.approx(2 * (attention - brought) / total)
    linear = by_key["attn:2", "search", "linear"]
    with pruned(lm, linear["spec"], own_tokens(lm, *SIZES.repair)) as applied:
        assert applied.facts[-1]["kept"] == linear["kept"]


def test_a_stopped_comparison_goes_on_with_the_same_numbers(lm: LanguageModel, tmp_path: Path) -> None:
    whole = list(compare(lm, tmp_path / "whole", CASES, SIZES))
    begun = compare(lm, tmp_path / "begun", CASES, SIZES)
    for _ in range(5):
        next(begun)
    begun.close()
    with torch.random.fork_rng():
        assert list(compare(lm, tmp_path / "begun", CASES, SIZES)) == whole
