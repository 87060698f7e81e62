"""A real llama-server over the loopback address: its traps, and what it says once they are known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from real.engines import open_engine
from real.engines.engine import EngineError, Row
from real.engines.harness import engine_answers
from real.engines.quantise import registry_gguf
from real.engines.served import ServedEngine
from real.engines.served_scoring import by_echo, by_prompt_logprobs
from real.models.load import load
from real.records import Decoding, RecordedText
from real.tasks.evaluate import evaluate
from tests.real.conftest import Command, byte_tokenizer

pytest.importorskip("xllamacpp", reason="the optional package xllamacpp, a llama-server, is not installed")
_SERVE = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.port, settings.warmup, settings.ui = sys.argv[1], 0, False, False
settings.n_ctx, settings.n_parallel, settings.model_alias = 1024, 1, {"smol"}
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""
PARTS = "smile: 🙂 日本 ok"  # tokens that end inside a character


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-c", _SERVE, str(registry_gguf("smollm2-135m"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as server:  # type: ignore[call-overload]
        yield f"{server.stdout.readline().strip()}/v1#smol"
        server.stdin.close()


@pytest.fixture(scope="module")
def engine(address: str) -> ServedEngine:
    served = open_engine(address)
    assert isinstance(served, ServedEngine)
    return served


def test_what_it_says_of_itself(engine: ServedEngine) -> None:
    assert (engine.context_length, engine.vocabulary, engine.rounding) == (1024, 49152, 0.0)
    assert engine.description == "server llamacpp smol Q4_1"
    assert engine.weights is None


@pytest.mark.parametrize("way", [by_echo, by_prompt_logprobs])
def test_it_takes_echo_and_tells_nothing_of_the_prompt(engine: ServedEngine, way: object) -> None:
    with pytest.raises(EngineError, match=r"says nothing of the prompt|no prompt_logprobs"):
        way(engine._choice, (504, 3575, 282), 1, 1)  # type: ignore[operator]


def test_the_same_file_in_process(engine: ServedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """The noise floor between two builds of llama.cpp; characters in pieces included."""
    pytest.importorskip("ik_llama_cpp", reason="the optional package ik-llama-cpp-python is not installed")
    inside = open_engine("smollm2-135m@gguf")
    ids = tuple(engine._tokenised({"content": PARTS}))
    text = RecordedText(0, ids[:1], ids[1:], (-1.0,) * (len(ids) - 1))
    one, two = (next(iter(some.score([text], Decoding(), 3))) for some in (engine, inside))
    moved = torch.tensor(one.logprobs) - torch.tensor(two.logprobs)
    assert float(moved.abs().max()) < 0.5
    assert float((torch.expm1(moved) - moved).mean()) < 0.05
    assert one.top is not None
    assert all(len(step) == 3 for step in one.top)
    assert "once per token" in " ".join(capsys.readouterr().err.split())
    assert engine.encode(PARTS) == inside.encode(PARTS)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_it_draws_it_scores_alike(engine: ServedEngine, temperature: float) -> None:
    prompts = ("Only emoji: 🙂🙃🙂", "Name a town.")
    rows = [Row(index, index, tuple(engine.encode(prompt))) for index, prompt in enumerate(prompts)]
    texts = list(engine.draw(rows, 6, Decoding(temperature), 5, 1))
    for text, again in zip(texts, engine.score(texts, Decoding(temperature), 1), strict=True):
        assert again.logprobs == pytest.approx(text.logprobs, abs=0.05)
        assert len(text.ids) == 6 or text.stopped
        if not temperature:
            assert text.top is not None
            assert [step[0][0] for step in text.top] == list(text.ids)


def test_another_tokenizer_is_refused(address: str) -> None:
    with pytest.raises(EngineError, match="another tokenizer"):
        ServedEngine(address, byte_tokenizer())


def test_any_mix_from_the_command_line(address: str, real_command: Command, tmp_path: Path) -> None:
    prompts, dense = tmp_path / "prompts.txt", str(tmp_path / "dense.jsonl")
    prompts.write_text("Hello!\nName a town.\n")
    draw = ("--prompts", str(prompts), "--tokens", "3", "--temperature", "1")
    code, _, remarks = real_command("record", address, "--out", dense, *draw)
    assert (code, "2 texts, server llamacpp" in " ".join(remarks.split())) == (0, True)
    code, shown, remarks = real_command("forecast", dense, address)
    assert (code, "KL/token" in shown) == (0, True), remarks
    code, _, remarks = real_command("record", f"{address}x", "--out", str(tmp_path / "no.jsonl"))
    assert (code, "nearest valid names: smol" in remarks) == (2, True)


def test_tasks_are_answered_by_the_server(address: str, tmp_path: Path) -> None:
    lm = load("smollm2-135m")
    found = engine_answers(
        lm, open_engine(address, tokenizer="smollm2-135m"), ["agreement", "copy-1"], limit=4
    )
    (dense,) = evaluate(lm, [], ["agreement", "copy-1"], limit=4, choice_only=False, folder=tmp_path)
    assert found.task.tolist() == dense.task.tolist()
    same = (found.prediction == dense.prediction).mean()
    assert same > 0.8  # the same weights in another program
    chosen = found.task == "agreement"
    for one, other in zip(found.probabilities[chosen], dense.probabilities[chosen], strict=True):
        assert one == pytest.approx(other, abs=0.2)
