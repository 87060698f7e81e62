from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom

from real.models.load import LanguageModel
from real.tasks import TASKS, task
from real.tasks.embed import cosine_scores, embed, ndcg_at_10, partner_ranks
from real.tasks.evaluate import _key, evaluate
from real.tasks.retrieval import _halves
from real.tasks.summary import summarise
from real.text.prompting import encode_prompt
from real.text.texts import passages
from theory.names import UnknownNameError

CHOSEN = ["agreement", "copy-1"]


@pytest.fixture(scope="module")
def tables(tiny_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> list[pd.DataFrame]:
    folder = tmp_path_factory.mktemp("answers")
    return list(evaluate(tiny_lm, ["attn:0", "attn:1"], CHOSEN, limit=8, folder=folder))


@pytest.mark.parametrize("name", TASKS)
def test_shipped_items_are_sound(name: str) -> None:
    one = task(name)
    assert not {i["question"] for i in one.items} & {i["question"] for i in one.probes}
    for item in (*one.items, *one.probes):
        if one.kind == "choice":
            assert 0 <= item["answer"] < len(item["options"])
            assert len(set(item["options"])) == len(item["options"])
        else:
            assert item["answer"]
            assert not any(stop in item["answer"] for stop in one.stop)
    assert (one.chance is not None) == (one.kind == "choice")


def test_matched_pairs_ask_the_same_questions() -> None:
    for family in ("wikidata", "capitals", "addition"):
        choice, answer = task(f"{family}-choice"), task(f"{family}-answer")
        assert [i["question"] for i in choice.items] == [i["question"] for i in answer.items]
        assert [i["options"][i["answer"]] for i in choice.items] == [i["answer"] for i in answer.items]


def test_no_pruning_changes_nothing(tables: list[pd.DataFrame]) -> None:
    summary = summarise(pd.concat(tables)).set_index(["spec", "task"])
    same = summary.loc["attn:0"]
    assert (same.agreement == 1).all()
    assert (same.change == 0).all()
    assert (same.right_to_wrong + same.wrong_to_right == 0).all()


def test_choices_are_the_likelihoods_of_the_options(
    tiny_lm: LanguageModel, tables: list[pd.DataFrame]
) -> None:
    dense = tables[0][tables[0].task == "agreement"]
    one = task("agreement")
    for index, prediction in zip(dense["item"], dense["prediction"], strict=True):
        entry, scores = one.items[index], []
        for option in entry["options"]:
            context, whole = (
                encode_prompt(tiny_lm, text) for text in (entry["question"], f"{entry['question']} {option}")
            )
            with torch.inference_mode():
                log_probs = tiny_lm.model(torch.tensor([whole])).logits[0].log_softmax(-1)
            steps = range(len(context), len(whole))
            scores.append(sum(float(log_probs[step - 1, whole[step]]) for step in steps))
        assert int(prediction) == max(range(len(scores)), key=scores.__getitem__)


def test_flips_add_up_to_the_change(tables: list[pd.DataFrame]) -> None:
    summary = summarise(pd.concat(tables))
    net = (summary.wrong_to_right - summary.right_to_wrong) / summary.n
    assert net.to_numpy() == pytest.approx(summary.change.to_numpy())
    flips, fewer = (
        summary.right_to_wrong + summary.wrong_to_right,
        summary[["right_to_wrong", "wrong_to_right"]],
    )
    exact = np.minimum(1, 2 * binom.cdf(fewer.min(axis=1), flips, 0.5))
    assert summary.mcnemar.to_numpy() == pytest.approx(exact)
    assert (summary.lower <= summary.score).all()
    assert (summary.score <= summary.upper).all()
    assert (summary.change_lower <= summary.change_upper).all()
    choice = summary[summary.task == "agreement"]
    assert choice.choice_only.notna().all()
    assert (choice.chance == 0.5).all()


def test_an_interrupted_run_goes_on_where_it_stopped(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("real.tasks.drafted._ENDINGS", 4)  # of sixteen: eight items of two options
    calls, last = 0, 1000

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt

    def run(folder: str) -> pd.DataFrame:
        nonlocal calls
        calls = 0
        settings = dict(limit=8, batch_size=1, choice_only=False, folder=tmp_path / folder)
        (found,) = evaluate(tiny_lm, [], ["agreement"], **settings)
        return found

    backbone = tiny_lm.model.get_submodule("model")
    hook = backbone.register_forward_pre_hook(count)
    try:
        run("warm")  # what is asked of a model once
        whole, every = run("whole"), calls
        last = every  # the last pass of the last four
        with pytest.raises(KeyboardInterrupt):
            run("interrupted")
        last = 1000
        resumed = run("interrupted")
        assert 0 < calls <= every // 2
        again = run("interrupted")
        assert calls == 0
    finally:
        hook.remove()
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    pd.testing.assert_frame_equal(again, whole, check_exact=True)


def test_bad_requests_are_one_sentence(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    index = SimpleNamespace(all_tasks=["hellaswag"])  # reading the harness' own takes many seconds
    monkeypatch.setattr("real.tasks.evaluate.TaskManager", lambda **_: index)
    with pytest.raises(ValueError, match="tasks are empty"):
        list(evaluate(tiny_lm, [], []))
    with pytest.raises(ValueError, match="limit must be at least 1"):
        list(evaluate(tiny_lm, [], CHOSEN, limit=0))
    with pytest.raises(UnknownNameError, match="hellaswag"):
        list(evaluate(tiny_lm, [], ["helaswag"]))
    with pytest.raises(UnknownNameError, match=r"nearest valid names: .*wikidata-choice"):
        list(evaluate(tiny_lm, [], ["wikidata-choices"]))


def test_retrieval_by_library_is_retrieval_by_hand(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    dense, same, pruned = evaluate(tiny_lm, ["attn:0", "mlp:1"], ["retrieval"], limit=20, folder=tmp_path)
    halves = [_halves(text) for text in passages("retrieval")[:20]]
    scores = cosine_scores(*(embed(tiny_lm, list(side)) for side in zip(*halves, strict=True)))
    by_hand = ndcg_at_10(partner_ranks(scores))
    assert dense.correct.to_numpy() == pytest.approx(by_hand.numpy())
    assert (dense.correct == same.correct).all()
    summary = summarise(pd.concat([dense, same, pruned]))
    assert (summary.lower <= summary.score).all()
    assert (summary.score <= summary.upper).all()


def test_another_calibration_has_other_answers(tiny_lm: LanguageModel) -> None:
    texts = [None, ["one", "two"], ["one"], torch.tensor([[1, 2], [3, 4]]), [torch.tensor([1, 2])]]
    assert len({_key(tiny_lm, "wanda:50%", calibration, 16) for calibration in texts}) == len(texts)
    assert _key(tiny_lm, "wanda:50%", ["one"], 16) == _key(tiny_lm, "wanda:50%", ["one"], 16)
