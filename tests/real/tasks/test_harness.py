"""Tasks of the harness by name: groups, filters, measures that do not count, odd tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lm_eval.api.task
import lm_eval.tasks
import pandas as pd
import pytest
import torch
from datasets import Dataset, DatasetDict
from lm_eval.tasks import TaskManager
from tokenizers.processors import TemplateProcessing

from real.models.load import LanguageModel
from real.tasks.evaluate import distinct, evaluate
from real.tasks.harness_model import harness_model
from real.tasks.summary import DENSE, summarise
from tests.real.conftest import byte_tokenizer, tiny_language_model

RANGE = range(6)
NAMES = ("hellaswag", "arc", "piqa", "gsm8k", "wikitext")
ROWS: dict[str, Any] = {
    "Rowan/hellaswag": lambda i: {
        "ctx_a": "A cook takes a pan.",
        "ctx_b": "he",
        "activity_label": "Cooking",
        "endings": [f"adds egg {i}", "flies", "sleeps well", "sings"],
        "label": str(i % 4),
    },
    "allenai/ai2_arc": lambda i: {
        "question": f"What is {i}?",
        "choices": {"text": ["a", "bb", "ccc", "d"], "label": ["A", "B", "C", "D"]},
        "answerKey": "ABCD"[i % 4],
    },
    "baber/piqa": lambda i: {"goal": "open a jar", "sol1": "turn it", "sol2": f"eat {i}", "label": i % 2},
    "openai/gsm8k": lambda i: {"question": f"What is {i} plus 1?", "answer": f"One more. #### {i + 1}"},
    "EleutherAI/wikitext_document_level": lambda i: {"page": f" = T = \n some text about {i} . "},
}


@pytest.fixture(scope="module")
def index() -> TaskManager:
    """Those of the harness' own tasks that are asked here: reading the names of all takes long."""
    folders = [Path(lm_eval.tasks.__file__).parent / name for name in NAMES]
    return TaskManager(include_defaults=False, include_path=list(map(str, folders)))


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, index: TaskManager) -> None:
    """Six rows with the columns of each data set."""

    def load_dataset(path: str, *_: object, **__: object) -> DatasetDict:
        table = Dataset.from_list([ROWS[path](i) for i in RANGE])
        return DatasetDict(train=table, validation=table, test=table)

    monkeypatch.setattr(lm_eval.api.task.datasets, "load_dataset", load_dataset)
    monkeypatch.setattr("real.tasks.evaluate.TaskManager", lambda **_: index)
    monkeypatch.setattr("real.tasks.evaluate.PUBLIC", {})  # its items have tests of their own


def scores(lm: LanguageModel, tasks: list[str], folder: Path, specs: tuple[str, ...] = ("attn:1",)) -> Any:
    items = pd.concat(evaluate(lm, specs, tasks, limit=4, folder=folder), ignore_index=True)
    return items, summarise(items)


@pytest.mark.parametrize("name", ["hellaswag", "arc_easy", "arc_challenge", "piqa"])
def test_a_choice_task_of_the_harness_is_scored(name: str, tiny_lm: LanguageModel, tmp_path: Path) -> None:
    items, summary = scores(tiny_lm, [name], tmp_path)
    assert set(summary.spec) == {DENSE, "attn:1"}
    assert (summary.n == 4).all()
    for row in items.itertuples():  # the prediction that we show is the one that the harness scored
        assert sum(row.probabilities) == pytest.approx(1)
        wanted = {"hellaswag": row.item % 4, "piqa": row.item % 2}.get(name, row.item % 4)
        assert row.correct == float(int(row.prediction) == wanted)


def test_a_group_is_its_tasks_each_once(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    _, summary = scores(tiny_lm, ["ai2_arc", "arc_easy", "arc_easy"], tmp_path)
    assert sorted(summary.task) == ["arc_challenge", "arc_challenge", "arc_easy", "arc_easy"]
    assert (summary.n == 4).all()


def test_two_ways_to_read_an_answer_are_two_scores(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tiny-llama cannot answer these tasks"):
        scores(tiny_lm, ["gsm8k"], tmp_path, specs=())  # 256 tokens of context, 256 to be written
    lm = tiny_language_model(max_position_embeddings=1024)
    _, summary = scores(lm, ["gsm8k"], tmp_path, specs=())
    assert sorted(summary.task) == ["gsm8k:flexible-extract", "gsm8k:strict-match"]
    assert (summary.n == 4).all()


def test_perplexity_is_refused_before_anything_is_asked(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    called: list[int] = []
    handle = tiny_lm.model.register_forward_pre_hook(lambda *_: called.append(1))
    tiny_lm.checks  # asked before
    called.clear()
    try:
        with pytest.raises(ValueError, match="'wikitext' of the harness has no score per item"):
            scores(tiny_lm, ["agreement", "wikitext"], tmp_path)
    finally:
        handle.remove()
    assert not called


def test_what_is_named_twice_is_asked_once(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    _, once = scores(tiny_lm, ["agreement"], tmp_path)
    repeated = ("attn:1", "dense", "attn:1", " attn:1")
    _, twice = scores(tiny_lm, ["agreement", "agreement"], tmp_path, repeated)
    pd.testing.assert_frame_equal(once, twice)
    assert distinct(["dense", "int8", "wanda:50.0%", "wanda:50%", "int8"]) == ["int8", "wanda:50.0%"]


@pytest.mark.parametrize(
    ("names", "pad"), [((None, None), None), (("<s>", None), "[PAD]"), ((None, "</s>"), None)]
)
def test_a_tokenizer_that_lacks_special_tokens(
    names: tuple[str | None, str | None], pad: str | None, tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.bos_token, tokenizer.eos_token = names
    if pad:
        tokenizer.add_special_tokens({"pad_token": pad})  # 258: no row in the embedding
    lm = LanguageModel(tiny_lm.model, tokenizer, "bare", {})
    _, summary = scores(lm, ["agreement", "copy-1"], tmp_path, specs=())
    assert len(summary) == 2


def test_a_tokenizer_that_ends_every_text_does_not_end_questions(tiny_lm: LanguageModel) -> None:
    tokenizer = byte_tokenizer()
    special = [("<s>", 256), ("</s>", 257)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=special
    )
    asked = harness_model(LanguageModel(tiny_lm.model, tokenizer, "ends", {}), 4)
    plain = byte_tokenizer()("ab").input_ids
    assert asked.tok_encode("ab") == [256, *plain]
    assert asked.tok_batch_encode(["ab"])[0].tolist() == [[256, *plain]]
    assert tokenizer("ab").input_ids == [256, *plain, 257]  # the model's own is left alone


def test_settings_of_a_checkpoint_change_no_answer(tmp_path: Path) -> None:
    lm = tiny_language_model(seed=2)
    (before,) = evaluate(lm, [], ["copy-2"], limit=6, choice_only=False, folder=tmp_path / "before")
    lm.model.generation_config.repetition_penalty = 3.0
    lm.model.generation_config.suppress_tokens = list(range(60, 130))
    (after,) = evaluate(lm, [], ["copy-2"], limit=6, choice_only=False, folder=tmp_path / "after")
    pd.testing.assert_frame_equal(before, after)
    assert lm.model.generation_config.repetition_penalty == 3.0


@pytest.mark.parametrize("checks", [{"padded": False}, {"padded": False, "cached": False, "shared": False}])
def test_a_model_that_reads_padding_is_asked_one_by_one(checks: dict[str, bool], tmp_path: Path) -> None:
    lm = tiny_language_model(seed=2)
    (before,) = evaluate(lm, [], ["copy-2"], limit=4, choice_only=False, folder=tmp_path / "before")
    widths: list[tuple[int, int]] = []
    hook = lm.model.register_forward_pre_hook(
        lambda _, args, named: widths.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    vars(lm)["checks"] = type(lm.checks)(**checks)
    widths.clear()
    (after,) = evaluate(lm, [], ["copy-2"], limit=4, choice_only=False, folder=tmp_path / "after")
    hook.remove()
    assert {rows for rows, _ in widths} == {1}
    assert checks.get("cached", True) == (1 in {width for _, width in widths})
    pd.testing.assert_frame_equal(before, after)


def test_another_model_of_the_same_name_has_answers_of_its_own(tmp_path: Path) -> None:
    """Weights changed in place, a folder replaced, another spec: content decides, not names."""
    lm, other = tiny_language_model(seed=0), tiny_language_model(seed=1)
    ask = dict(limit=6, choice_only=False)
    tables = {}
    for name, model in {"first": lm, "second": other}.items():
        (tables[name],) = evaluate(model, [], ["agreement"], folder=tmp_path / "shared", **ask)
        (fresh,) = evaluate(model, [], ["agreement"], folder=tmp_path / name, **ask)
        pd.testing.assert_frame_equal(tables[name], fresh)
    assert not tables["first"].equals(tables["second"])
    with torch.no_grad():
        lm.model.lm_head.weight.copy_(other.model.lm_head.weight)
    (changed,) = evaluate(lm, [], ["agreement"], folder=tmp_path / "shared", **ask)
    assert not changed.equals(tables["first"])
