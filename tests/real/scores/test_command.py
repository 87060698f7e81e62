"""``real forecast --task`` on the command line: exit codes, files, and one sentence for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.real.conftest import Command


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.jsonl"
    lines = [{"stop": "\n", "max_tokens": 4}, *({"prompt": f"{n}?", "answer": "ab"} for n in range(40))]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


@pytest.mark.parametrize(("spec", "about", "code"), [("attn:0", "like", 0), ("mlp:[0,1,2]", "these", 0)])
def test_the_exit_code_is_the_verdict(
    real_command: Command, folder: str, mine: str, tmp_path: Path, spec: str, about: str, code: int
) -> None:
    files = [str(tmp_path / name) for name in ("out.json", "out.csv")]
    found, out, err = real_command(
        "forecast", folder, spec, "--task", mine, "--about", about, "--json", files[0], "--csv", files[1]
    )
    assert found == code, err
    assert "prompts like these" in out
    assert len(json.loads(Path(files[0]).read_text())["verdicts"]) == 2
    assert pd.read_csv(files[1])["task"].tolist() == ["mine", "mine"]


def test_too_few_questions_are_undecided(real_command: Command, folder: str, mine: str) -> None:
    code, out, _ = real_command("forecast", folder, "attn:0", "--task", mine, "--limit", "8")
    assert code == 3
    assert "about 24 more prompts" in out


def test_a_scorer_is_named_by_its_file(real_command: Command, folder: str, mine: str, tmp_path: Path) -> None:
    scorer = tmp_path / "score.py"
    scorer.write_text("def short(text, question):\n    return float(len(text) < 3)\n")
    code, out, err = real_command(
        "forecast", folder, "attn:0", "--task", mine, "--scorer", f"{scorer}:short", "--samples", "2"
    )
    assert code == 0, err
    assert "sampled" in out
    assert "lost right" in out


def test_a_plan_loads_no_model(real_command: Command, mine: str) -> None:
    code, out, _ = real_command("forecast", "no/such-model", "attn:1", "--task", mine, "--plan")
    assert code == 0
    assert "32 prompts (29 by any method)" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--task", "past-tens"], "past-tense"),
        (["--task", "missing.jsonl"], "missing.jsonl"),
        (["--epsilon", "0"], "epsilon must be between 0 and 1"),
        (["--error", "2"], "alpha must be between 0 and 1"),
        (["--about", "those"], "unknown about 'those'"),
        (["--scorer", "nothing.py:f"], "expected file.py:function"),
    ],
)
def test_bad_input_costs_one_sentence(
    real_command: Command, folder: str, mine: str, arguments: list[str], sentence: str
) -> None:
    given = [] if "--task" in arguments else ["--task", mine]
    code, _, err = real_command("forecast", folder, "attn:0", *given, *arguments)
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
