"""Tasks answered through an engine are the tasks that the model answers itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from real.engines.harness import engine_answers
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.served import ServedEngine
from real.models.load import LanguageModel
from real.tasks.evaluate import evaluate
from tests.real.conftest import Command, tiny_language_model
from tests.real.engines.dialects import TinyServer, serve

TASKS = ["agreement", "copy-1"]


@pytest.fixture(scope="module")
def truth(tiny_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    place = tmp_path_factory.mktemp("answers")
    (table,) = evaluate(tiny_lm, [], TASKS, limit=6, folder=place, choice_only=False)
    return table


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))


def check(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    for column in ("task", "item", "prediction", "correct"):
        assert found[column].tolist() == truth[column].tolist()
    for one, other in zip(found.probabilities, truth.probabilities, strict=True):
        assert (one is None) == (other is None)
        assert one is None or one == pytest.approx(other, abs=1e-4)


def test_an_engine_of_the_same_model_answers_alike(tiny_lm: LanguageModel, truth: pd.DataFrame) -> None:
    found = engine_answers(tiny_lm, HuggingFaceEngine(tiny_lm), TASKS, limit=6)
    check(found, truth)
    assert set(found.spec) == {"tiny-llama"}


def test_a_server_of_the_same_model_answers_alike(tiny_lm: LanguageModel, truth: pd.DataFrame) -> None:
    """The second server has other weights under the same address: nothing of the first may be kept."""
    with serve(TinyServer(tiny_lm, "vllm")) as address:
        engine = ServedEngine(address, tiny_lm.tokenizer)
        check(engine_answers(tiny_lm, engine, ["agreement"], limit=6), truth[truth.task == "agreement"])
        engine.server.root = "http://127.0.0.1:1"  # must be asked again
        with pytest.raises(OSError, match="no server answers"):
            engine_answers(tiny_lm, engine, ["agreement"], limit=6)


def test_answers_of_weights_are_kept(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = HuggingFaceEngine(tiny_lm)
    first = engine_answers(tiny_lm, engine, TASKS, limit=3)
    monkeypatch.setattr(engine, "score", lambda *_: 1 / 0)
    monkeypatch.setattr(engine, "draw", lambda *_: 1 / 0)
    check(engine_answers(tiny_lm, engine, TASKS, limit=3), first)
    other = HuggingFaceEngine(tiny_language_model(seed=1))
    assert engine_answers(tiny_lm, other, ["agreement"], limit=3).correct.notna().all()


def test_what_cannot_be_asked_is_one_sentence(tiny_lm: LanguageModel) -> None:
    engine = HuggingFaceEngine(tiny_lm)
    with pytest.raises(ValueError, match="hidden states"):
        engine_answers(tiny_lm, engine, ["retrieval"])
    engine.tokenizer_sha256 = "another"
    with pytest.raises(ValueError, match="different tokenizers"):
        engine_answers(tiny_lm, engine, ["agreement"])


def test_variants_of_any_kind_from_the_command_line(
    real_command: Command,
    folder: str,
    prompts: str,
    tiny_lm: LanguageModel,
    tmp_path: Path,
) -> None:
    table = tmp_path / "items.csv"
    with serve(TinyServer(tiny_lm, "vllm")) as address:
        ask = ("evaluate", folder, "attn:[1]", address, "--tasks", "agreement", "--limit", "4")
        code, _, remarks = real_command(*ask, "--csv", str(table))
    assert code == 0, remarks
    items = pd.read_csv(table).set_index("spec")
    assert set(items.index) == {"dense", "attn:[1]", address}
    assert (
        items.loc[address, "correct"].tolist()
        == items.loc["dense"].query("task == 'agreement'").correct.tolist()
    )
    dense = str(tmp_path / "dense.jsonl")
    assert real_command("record", folder, "--out", dense, "--prompts", prompts, "--tokens", "2")[0] == 0
    for arguments, sentence in (
        ((folder, dense), "is a record"),
        (("http://127.0.0.1:1/v1", "int8"), "cannot be the dense model"),
        (("smollm2-135m@Q4_K_M", "int8"), "cannot be the dense model"),
    ):
        code, _, remarks = real_command("evaluate", *arguments, "--tasks", "agreement")
        assert (code, sentence in " ".join(remarks.split())) == (2, True)
    code, _, remarks = real_command("forecast", folder, "http://127.0.0.1:1/v1", "--task", "agreement")
    assert (code, "real evaluate" in remarks) == (2, True)
