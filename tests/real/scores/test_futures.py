"""Answers read off after drawn chains, against every text that the models may write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from real.pruning.variants import variant
from real.scores.forecast import forecast_scores
from real.scores.futures import Futures, futures
from real.scores.paired import compare_scores
from real.scores.routes import route
from real.scores.sampled import Draw
from real.tasks.source import Asked, TaskSource
from real.tasks.user_file import read_task
from tests.real.scores.few_tokens import every_text, few_tokens

CHAINS = TaskSource(
    "chains", tuple(Asked("ab" * n, ("a", "ba")) for n in range(1, 5)), (".",), "", 4, after="b"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))


def right(text: str, one: Asked | None = None) -> float:
    _, ended, answer = text.partition("b")
    return float(bool(ended) and answer.split(".")[0].strip() in ("a", "ba"))


def score(spec: str) -> float:
    with variant(few_tokens(4), spec) as other:
        masses = [
            sum(mass * right(text) for text, mass in every_text(other, prompt, 4))
            for prompt in CHAINS.prompts(other)
        ]
    return sum(masses) / len(masses)


@pytest.mark.parametrize("spec", ["attn:0", "mlp:[0]", "attn:[1]"])
def test_scores_are_those_of_all_texts(spec: str) -> None:
    lm, before, after = few_tokens(4), score("attn:0"), score(spec)
    found = futures(lm, CHAINS, Draw(100))
    kinds = [tree is not None for tree in found.trees]
    assert any(kinds)
    assert not all(kinds)
    with variant(lm, spec) as other:
        (one,) = found.evidence([found.read(other, 0, 2), found.read(other, 2, 4)]).values()
    assert one.before.mean == pytest.approx(before, abs=0.04)
    assert one.after.mean == pytest.approx(after, abs=0.06)
    assert one.loss == pytest.approx(before - after, abs=0.05)
    assert one.texts is not None
    assert len(one.texts[0]) == 400
    if spec == "attn:0":
        assert one.loss == pytest.approx(0, abs=0.02)  # what is read off is unresolved by so much at most


def test_the_variance_falls() -> None:
    """Against the same scorer of the same texts, as they were drawn, with weights without a long tail."""
    lm, plain = few_tokens(4), TaskSource("chains", CHAINS.questions, (), "", 4)
    routes = route(lm, CHAINS, samples=100), route(lm, plain, right, samples=100)
    assert isinstance(routes[0], Futures)
    with variant(lm, "int8") as other:
        spreads = []
        for one in routes:
            (found,) = one.evidence([one.read(other, 0, 4)]).values()
            assert found.texts is not None
            spreads.append(float(found.texts[0].var()))
    assert spreads[0] < 0.9 * spreads[1]


def test_a_task_file_says_what_comes_before_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    head = {"after": "b", "stop": ".", "max_tokens": 4, "lead": "", "chat": False}
    path.write_text(
        "\n".join(map(json.dumps, [head, *({"prompt": "ab" * n, "answer": "a"} for n in range(1, 5))]))
    )
    assert read_task(path).after == "b"
    first = forecast_scores(few_tokens(4), ["mlp:[0]"], [path])
    assert {one.decoding for one in first.verdicts} == {"sampled"}
    assert forecast_scores(few_tokens(4), ["mlp:[0]"], [path]).verdicts == first.verdicts  # as kept
    path.write_text(json.dumps(head | {"after": " "}) + '\n{"prompt": "a", "answer": "a"}')
    with pytest.raises(ValueError, match="after must be a text that is not blank"):
        read_task(path)
    with pytest.raises(ValueError, match="chain of thought, which a forecast reads off"):
        compare_scores(few_tokens(4), ["mlp:[0]"], [CHAINS])


def test_an_answer_for_which_there_is_no_room_is_wrong() -> None:
    found = futures(few_tokens(4), CHAINS, Draw(100))
    length = found.chains.lengths - found.chains.prompt_lengths
    full = length == CHAINS.horizon
    assert bool(full.any())
    assert bool(torch.tensor([tree is None for tree in found.trees])[full].all())
