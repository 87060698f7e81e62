"""Texts of both models: the change of the score, against every text that they may write."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from real.command_line import app
from real.models.save import save
from real.pruning.variants import variant
from real.scores.forecast import Rule
from real.scores.paired import compare_scores
from real.scores.verdict import Outcome
from real.tasks.source import Asked, TaskSource
from tests.real.conftest import tiny_language_model
from tests.real.scores.few_tokens import every_text, few_tokens
from theory.terminal.run import run

LETTERS = TaskSource("letters", tuple(Asked("ab" * n, ("ab",)) for n in range(1, 7)), (".",), "", 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))


def right_mass(seed: int, spec: str) -> float:
    lm = few_tokens(seed)
    with variant(lm, spec) as other:
        masses = [
            sum(mass for text, mass in every_text(other, prompt, 3) if text.split(".")[0].strip() == "ab")
            for prompt in LETTERS.prompts(other)
        ]
    return sum(masses) / len(masses)


@pytest.mark.parametrize("spec", ["mlp:[0]", "attn:[1]"])
def test_the_change_is_that_of_all_texts(spec: str) -> None:
    """Unbiased: with many texts the estimate comes close to the enumerated loss, and its limits hold it."""
    loss = right_mass(4, "attn:0") - right_mass(4, spec)
    (one,) = compare_scores(few_tokens(4), [spec], [LETTERS], samples=150).verdicts
    assert one.decoding == "sampled"
    assert one.these.loss.lower <= loss <= one.these.loss.upper
    assert one.like.loss.lower <= loss <= one.like.loss.upper
    assert one.these.loss.mean == pytest.approx(loss, abs=0.03)
    assert one.before.mean == pytest.approx(right_mass(4, "attn:0"), abs=0.06)
    assert one.after.mean == pytest.approx(right_mass(4, spec), abs=0.06)


def test_a_model_beside_itself_moves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = compare_scores(few_tokens(4), ["attn:0"], [LETTERS], samples=16).verdicts
    assert one.these.loss.mean == pytest.approx(0, abs=1e-9)
    assert one.before.mean == one.after.mean
    assert one.these.outcome is Outcome.SAFE  # 96 pairs; six prompts say nothing of others
    assert one.like.outcome is Outcome.UNDECIDED
    assert "0 of 96 texts differ" in capsys.readouterr().err


def test_a_second_run_writes_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare_scores(few_tokens(4), ["mlp:[0]"], [LETTERS], samples=8, rule=Rule(epsilon=0.2))
    monkeypatch.setattr("real.scores.paired.write_from_drafts", None)
    assert compare_scores(few_tokens(4), ["mlp:[0]"], [LETTERS], samples=8, rule=Rule(epsilon=0.2)) == first


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (replace(LETTERS, questions=(Asked("ab", ("ab", "b"), ("ab", "b")),)), "asks for a choice"),
        (replace(LETTERS, questions=(Asked("ab"),)), "question 1: no right answer is given"),
    ],
)
def test_tasks_that_ask_for_no_judged_text_are_refused(source: TaskSource, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compare_scores(few_tokens(4), ["attn:0"], [source])


def test_evaluate_draws_from_both_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, task, out = (
        save(tiny_language_model(), tmp_path / "tiny"),
        tmp_path / "mine.jsonl",
        tmp_path / "o.csv",
    )
    task.write_text("".join(json.dumps({"prompt": f"{n}?", "answer": "7"}) + "\n" for n in range(8)))
    shared = ["real", "evaluate", str(folder), "mlp:[0]", "--tasks", str(task), "--samples", "2"]
    monkeypatch.setattr(sys, "argv", [*shared, "--scorer", "regex:[a-z]", "--csv", str(out)])
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code in (0, None), capsys.readouterr().err
    (row,) = pd.read_csv(out).itertuples()
    assert (row.task, row.spec, row.decoding, row.prompts) == ("mine", "mlp:[0]", "sampled", 8)
