"""An interrupted forecast goes on, and ranks share one, with the numbers of a run that was left alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import real.scores.routes
import real.scores.sampled
from real.command_line import app
from real.models.devices import own_device
from real.models.save import save
from real.scores import blocks
from real.scores.forecast import Rule, forecast_scores
from real.scores.report import ScoreVerdict
from real.tasks.source import Asked, Scorer, TaskSource
from tests.real.conftest import tiny_language_model
from tests.real.scores.few_tokens import few_tokens
from theory.terminal.run import run

MANY = TaskSource(
    "many", tuple(Asked("ab" * (1 + n % 13) + "a" * (n % 7), ("ab",)) for n in range(70)), (".",), "", 3
)
CHOICES = TaskSource(
    "choices", tuple(Asked("ab" * (1 + n % 9), ("ab", "b"), ("b", "ab")) for n in range(40)), lead=""
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def score(text: str, one: Asked) -> float:
    """Something between 0 and 1 that any text has."""
    return len(text) / (1 + len(text))


def verdicts(
    tasks: Sequence[TaskSource], scorer: Scorer | None = None, **rule: Any
) -> tuple[ScoreVerdict, ...]:
    return forecast_scores(few_tokens(4), ["mlp:[0]"], tasks, scorer=scorer, rule=Rule(**rule)).verdicts


@given(st.integers(0, 90), st.integers(1, 90), st.integers(1, 40))
def test_ranges_are_cut_where_the_whole_task_is(start: int, count: int, size: int) -> None:
    found = blocks.ranges(start, start + count, size)
    assert [n for one in found for n in range(*one)] == list(range(start, start + count))
    assert {end for _, end in found[:-1]} == {n for n in range(start + 1, start + count) if n % size == 0}


@pytest.mark.parametrize("scorer", [None, score])
def test_every_kept_number_has_all_its_bits(cache: Path, scorer: Scorer | None) -> None:
    tasks = [MANY] if scorer else [MANY, CHOICES]
    fresh = verdicts(tasks, scorer)
    assert verdicts(tasks, scorer) == fresh


@pytest.mark.parametrize("stage", ["dense", "variant"])
@pytest.mark.parametrize("scorer", [None, score])
def test_after_ctrl_c_finished_questions_are_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, scorer: Scorer | None, stage: str
) -> None:
    whole = verdicts([MANY], scorer)
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(cache / "again"))
    calls = 0
    places = {
        (None, "dense"): (real.scores.routes, "resolve"),
        (None, "variant"): (real.scores.routes, "resolve"),
        (score, "dense"): (real.scores.sampled, "sample"),
        (score, "variant"): (real.scores.routes, "read_with"),
    }
    module, name = places[scorer, stage]
    work, last = getattr(module, name), 4 if (scorer, stage) == (None, "variant") else 2

    def interrupted(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > last:
            raise KeyboardInterrupt
        return work(*arguments, **settings)

    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        verdicts([MANY], scorer)
    done, calls, last = last, 0, 10**6
    assert verdicts([MANY], scorer) == whole
    total = {(None, "dense"): 6, (None, "variant"): 6, (score, "dense"): 9, (score, "variant"): 3}[
        scorer, stage
    ]
    assert calls == total - done


def test_ctrl_c_in_a_command_ends_with_130(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any, **settings: Any) -> Any:
        raise KeyboardInterrupt

    folder, task = save(tiny_language_model(), cache / "tiny"), cache / "mine.jsonl"
    task.write_text('{"prompt": "1?", "answer": "ab"}\n')
    monkeypatch.setattr(real.scores.routes, "resolve", interrupted)
    monkeypatch.setattr(sys, "argv", ["real", "forecast", str(folder), "attn:0", "--task", str(task)])
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == 130
    assert "run the same command again to resume" in capsys.readouterr().err


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def as_rank(rank: int, port: int, folder: str, out: Any) -> None:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "SOFTMAX_DRIFT_CACHE": f"{folder}/{rank}"}
    os.environ.update(where | {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)})
    found = [verdicts([MANY, CHOICES]), verdicts([MANY], score), verdicts([MANY], until_decided=True)]
    kept = len(list(Path(folder, str(rank), "scores").glob("*.json")))
    out.put((rank, found, kept))


def test_two_ranks_say_what_one_process_says(cache: Path) -> None:
    """Caches apart: nothing but what ranks tell each other can make them agree."""
    alone = [verdicts([MANY, CHOICES]), verdicts([MANY], score), verdicts([MANY], until_decided=True)]
    every = len(list((cache / "cache" / "scores").glob("*.json")))
    context = multiprocessing.get_context("fork")
    out, port = context.Queue(), free_port()
    ranks = [context.Process(target=as_rank, args=(rank, port, str(cache), out)) for rank in range(2)]
    for one in ranks:
        one.start()
    found = sorted((out.get(timeout=120) for _ in ranks), key=lambda one: one[0])
    for one in ranks:
        one.join()
    assert [one[1] for one in found] == [alone, alone]
    assert found[0][2] + found[1][2] >= every
    assert max(found[0][2], found[1][2]) < 0.8 * every


@pytest.mark.slow
def test_torchrun_reports_once(tmp_path: Path) -> None:
    folder, task = save(tiny_language_model(), tmp_path / "tiny"), tmp_path / "mine.jsonl"
    task.write_text("".join(json.dumps({"prompt": f"{n}?", "answer": "ab"}) + "\n" for n in range(70)))
    tables = []
    for launcher in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]):
        out = tmp_path / f"{len(launcher)}.csv"
        asked = ["forecast", str(folder), "attn:1", "--task", str(task), "--csv", str(out)]
        environment = os.environ | {"SOFTMAX_DRIFT_CACHE": str(tmp_path / f"cache{len(launcher)}")}
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "real", *asked],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("how much of the score is lost?") == 1
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]


def test_every_rank_has_its_own_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(name) for name in ("cuda", "cuda:0", "cpu", "auto")] == [
        "cuda:3",
        "cuda:0",
        "cpu",
        "auto",
    ]


def test_half_precision_keeps_log_probabilities_as_drawn(cache: Path) -> None:
    """Texts of another batch, or of a rerun, have the log-probabilities of the evaluation that drew them."""
    lm = few_tokens(4)
    lm.model.to(torch.bfloat16)
    first = real.scores.sampled.scored(lm, MANY, score)
    assert first.samples.log_prob is not None
    assert torch.equal(first.log_prob, first.samples.log_prob)
    read = real.scores.sampled.log_probabilities(lm, first.samples)
    assert not torch.equal(first.log_prob, read)
    assert float((first.log_prob - read).abs().max()) < 0.5
    again = real.scores.sampled.scored(lm, MANY, score)
    assert torch.equal(again.log_prob, first.log_prob)
