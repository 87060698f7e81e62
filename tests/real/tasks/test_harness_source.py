"""What is read off of the harness' tasks is what the harness finds when it runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from real.models.load import LanguageModel
from real.scores.forecast import forecast_scores, needs_model, read_source
from real.scores.options import choose, follow
from real.tasks.evaluate import answer, task_manager
from real.tasks.harness_source import harness_source, judged
from real.tasks.public_sets import PUBLIC
from real.tasks.source import Asked, TaskSource
from theory.names import UnknownNameError

BEGINNINGS = ("winogrande",)
WRITTEN = ("gsm8k", "nq_open", "squad", "triviaqa")
SUBJECTS = {name for name in PUBLIC if name.startswith("mmlu_")} - {"mmlu_virology"}  # one stands for all
READ_OFF = sorted(PUBLIC.keys() - {"humaneval", *BEGINNINGS, *WRITTEN, *SUBJECTS})


def test_scores_read_off_are_those_of_the_harness(
    wheel: list[str], tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    rows = answer(tiny_lm, "dense", READ_OFF, task_manager(READ_OFF), 5, 4, tmp_path)
    for name in READ_OFF:
        source = harness_source(name, limit=5)
        found = follow(tiny_lm, source) if source.endings else choose(tiny_lm, source)
        assert found.likely.tolist() == rows.loc[rows.task == name, "correct"].tolist(), name
        for law, run in zip(found.laws, rows.loc[rows.task == name, "probabilities"], strict=False):
            torch.testing.assert_close(law, torch.tensor(run, dtype=torch.float64), rtol=1e-3, atol=1e-5)


def test_an_ending_is_greedy_only_if_every_token_is(tiny_lm: LanguageModel) -> None:
    """A tiny model never writes the words of a benchmark, so its own greedy text is asked for."""
    ids = tiny_lm.tokenizer("The end is").input_ids
    for _ in range(3):
        with torch.inference_mode():
            ids.append(int(tiny_lm.model(torch.tensor([ids])).logits[0, -1].argmax()))
    ending = tiny_lm.tokenizer.decode(ids[-3:])
    if tiny_lm.tokenizer("The end is" + ending).input_ids != ids:
        pytest.skip("this model's greedy bytes are no text")
    wrong = ending[:-1] + ("x" if ending[-1] != "x" else "y")
    source = TaskSource(
        "endings", tuple(Asked("The end is", (text,)) for text in (ending, wrong)), (), "", 3, endings=True
    )
    found = follow(tiny_lm, source)
    assert found.likely.tolist() == [1, 0]
    assert 0 < float(found.drawn[1]) < float(found.drawn[0]) < 1


@pytest.mark.parametrize("name", WRITTEN)
def test_texts_are_judged_by_the_harness(wheel: list[str], name: str) -> None:
    source = harness_source(name, limit=2)
    right = {"gsm8k": "So it is 2.\n#### 2", "nq_open": "me", "squad": "the i.", "triviaqa": "Me"}[name]
    assert source.scorer is judged
    assert [judged(text, source.questions[0]) for text in (right, "no idea")] == [1, 0]


def test_a_written_task_is_forecast_with_its_own_scorer(wheel: list[str], tiny_lm: LanguageModel) -> None:
    (one,) = forecast_scores(tiny_lm, ["attn:0"], ["nq_open"], limit=3, samples=2).verdicts
    assert (one.decoding, one.prompts) == ("sampled", 3)
    assert one.these.loss.mean == 0


@pytest.mark.parametrize("name", BEGINNINGS)
def test_different_beginnings_are_not_read_off(wheel: list[str], name: str) -> None:
    with pytest.raises(ValueError, match="different beginnings"):
        harness_source(name, limit=2)


def test_programs_run_only_when_allowed(tiny_lm: LanguageModel) -> None:
    assert needs_model("functions")
    assert not needs_model("piqa")
    with pytest.raises(ValueError, match="--allow-code"):
        read_source("functions", tiny_lm)


def test_an_unknown_name_is_refused(wheel: list[str]) -> None:
    with pytest.raises(UnknownNameError, match="past-tense"):
        read_source("past-tens")
