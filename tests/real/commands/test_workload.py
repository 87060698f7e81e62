"""Work of days, or of more memory than there is, is asked about before it begins; hours are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from real.command_line import app
from real.commands import workload
from real.models.save import save
from real.tasks.source import Asked, TaskSource
from tests.real.conftest import Command, tiny_language_model
from theory.terminal import cost

LINES = {
    "forecast": ["MODEL", "attn:1", "--tokens", "8"],
    "forecast of a score": ["MODEL", "attn:1", "--task", "agreement", "--limit", "4"],
    "evaluate": ["MODEL", "attn:1", "--tasks", "agreement,copy-1"],
    "trace": ["MODEL", "--tokens", "9", "--out", "OUT.csv"],
    "record": ["MODEL", "--tokens", "8", "--out", "OUT.jsonl"],
    "validate": ["MODEL", "attn:1", "--tasks", "agreement", "--out", "OUT.json"],
    "validate-texts": ["MODEL", "attn:1", "--tokens", "8", "--out", "OUT.json"],
    "search": ["MODEL", "--out", "OUT"],
    "cost": ["MODEL", "attn:1"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its context is longer than the default horizon."""
    lm = tiny_language_model(max_position_embeddings=512)
    return str(save(lm, tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest, folder: str, tmp_path: Path) -> list[str]:
    """The words of one command line."""
    name, places = request.param, {"MODEL": folder, "OUT": str(tmp_path / "out")}
    return [name.split()[0]] + [places.get(word, word.replace("OUT", places["OUT"])) for word in LINES[name]]


def test_days_are_asked_about(
    real_command: Command, line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that counts multiply, on a model as slow as a large one."""
    monkeypatch.setattr(workload, "SECONDS_PER_TOKEN", 1e5)
    code, out, err = real_command(*line)
    assert (code, out) == (2, "")
    assert "days; give --yes to start it" in err
    assert not list(tmp_path.glob("out*"))


class _Begun(Exception):
    """The work has begun."""


def test_yes_starts_them(real_command: Command, line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def check(what: str, yes: bool, seconds: float = 0.0, memory: float = 0.0) -> None:
        assert yes
        assert seconds > cost.DAY
        assert memory > 0
        raise _Begun

    monkeypatch.setattr(workload, "SECONDS_PER_TOKEN", 1e5)
    monkeypatch.setattr(workload, "check_cost", check)
    with pytest.raises(_Begun):
        real_command(*line, "--yes")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["forecast", "MODEL", "attn:1", "--samples", "1000000"], "40,000,000 texts of 64 tokens"),
        (["forecast", "MODEL", "attn:1", "--samples", "9" * 25], "give --yes"),
        (["record", "MODEL", "--samples", "100000000", "--out", "OUT"], "4,000,000,000 texts"),
        (["validate", "MODEL", "attn:1", "--tasks", "capitals-answer", "--out", "OUT",
          "--samples", "100000000"], "questions to 2 models"),
        (["validate-texts", "MODEL", "attn:1", "--out", "OUT", "--samples", "100000000"], "texts of 64"),
        (["forecast", "MODEL", "attn:1", "--task", "capitals-answer", "--samples", "100000000"], "questions"),
    ],
)  # fmt: skip
def test_counts_that_never_end_are_refused_for_a_tiny_model(
    arguments: list[str],
    reason: str,
    real_command: Command,
    folder: str,
    tmp_path: Path,
) -> None:
    places = {"MODEL": folder, "OUT": str(tmp_path / "out.json")}
    code, _, err = real_command(*(places.get(word, word) for word in arguments))
    assert code == 2
    assert reason in err
    assert "give --yes to start it" in err


def test_a_long_file_of_prompts(
    real_command: Command,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("Once upon a time\n" * 100_000)
    monkeypatch.setattr(workload, "SECONDS_PER_TOKEN", 0.0135)  # 135 million weights
    code, _, err = real_command("forecast", folder, "attn:1", "--prompts", str(file))
    assert code == 2
    assert "100,000 texts of 64 tokens, read 4 times would take about 4 days" in err


def test_what_is_estimated_grows_with_every_count() -> None:
    lm = tiny_language_model()
    seen: list[tuple[float, float]] = []

    def note(what: str, yes: bool, seconds: float = 0.0, memory: float = 0.0) -> None:
        seen.append((seconds, memory))

    texts, source = ["some words"] * 4, TaskSource("t", (Asked("a question", ("a",)),) * 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workload, "check_cost", note)
        for count, tokens, samples in ((1, 8, 1), (2, 8, 1), (2, 16, 1), (2, 16, 3)):
            workload.check_texts(lm, texts[:count], tokens, samples, 2, False)
        workload.check_questions(lm, [source], 1, 2, False)
        workload.check_questions(lm, [source, source], 1, 2, False)
        workload.check_questions(lm, [source, source], 2, 2, False)
    for one, more in zip(seen[:3] + seen[4:6], seen[1:4] + seen[5:], strict=True):
        assert one[0] < more[0]
        assert one[1] < more[1]


@pytest.mark.parametrize(("hours", "said"), [(1, ""), (5, "work: about 5 hours"), (72, "work: about 3 days")])
def test_hours_are_said(hours: float, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    cost.check_cost("work", yes=hours > 24, seconds=hours * 3600)
    assert capsys.readouterr().err.strip() == said


def test_more_memory_than_there_is() -> None:
    with pytest.raises(ValueError, match=r"work would need about 931,323 GiB of memory and .* --yes"):
        cost.check_cost("work", yes=False, memory=1e15)
    cost.check_cost("work", yes=True, memory=1e15)


def test_every_command_that_computes_from_counts_takes_yes() -> None:
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    taking = {name for name, one in commands.items() if any(p.name == "yes" for p in one.params)}
    assert taking == {name.split()[0] for name in LINES}
