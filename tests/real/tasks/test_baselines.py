"""Dense scores of public benchmarks: measured task by task, shipped, printed, and what they say of signal."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from real.models.load import LanguageModel
from real.tasks import measure as measuring
from real.tasks.baselines import Baseline, published, shipped_baselines, with_signal
from real.tasks.measure import measure
from real.tasks.public_sets import PUBLIC
from tests.real.conftest import Command, tiny_language_model

OWN = ["mmlu", "squad"]  # need no index of the harness, which takes seconds to read
SHIPPED = shipped_baselines()
DOCS = Path(measuring.__file__).parents[2] / "docs" / "engines.md"


def test_a_table_grows_task_by_task_and_is_gone_on_with(
    wheel: list[str], tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    first = measure(tiny_lm, OWN[:1], path, limit=6)
    assert [(one.task, one.n, one.metric, one.chance) for one in first] == [("mmlu", 6, "acc", 0.2689)]
    both = measure(tiny_lm, OWN, path, limit=6)
    assert [one.task for one in both] == OWN
    assert both[0] == first[0]
    with monkeypatch.context() as patched:
        patched.setattr(measuring, "answer", None)  # nothing is asked
        assert measure(tiny_lm, OWN, path, limit=6) == both
    more = measure(tiny_lm, OWN[1:], path, limit=9)
    assert [(one.task, one.n) for one in more] == [("mmlu", 6), ("squad", 9)]
    assert len(json.loads(path.read_text())["rows"]) == 2


def test_an_interrupted_task_loses_no_other(
    wheel: list[str], tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ask = tmp_path / "table.json", measuring.answer

    def interrupted(lm: LanguageModel, spec: str, tasks: list[str], *rest: Any) -> Any:
        if tasks == ["squad"]:
            raise KeyboardInterrupt
        return ask(lm, spec, tasks, *rest)

    monkeypatch.setattr(measuring, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(tiny_lm, OWN, path, limit=3)
    assert [row["task"] for row in json.loads(path.read_text())["rows"]] == ["mmlu"]


def test_tables_of_other_runs_are_refused(wheel: list[str], tiny_lm: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    measure(tiny_lm, OWN[1:], path, limit=2)
    other = tiny_language_model()
    next(iter(other.model.parameters())).data.mul_(2)
    with pytest.raises(ValueError, match="another run"):
        measure(replace(other, name=tiny_lm.name), OWN[1:], path, limit=2)
    for damage in ("", "[]", '{"rows": [{}]}', path.read_text()[:-20]):
        path.write_text(damage)
        with pytest.raises(ValueError, match="no table of baselines"):
            measure(tiny_lm, OWN[1:], path, limit=2)


def test_programs_need_leave(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="--allow-code"):
        measure(tiny_lm, ["humaneval"])


def wilson(right: int, of: int) -> tuple[float, float]:
    z = 1.959963984540054
    middle, spread = (right + z * z / 2) / (of + z * z), right * (of - right) / of + z * z / 4
    return middle - z * math.sqrt(spread) / (of + z * z), middle + z * math.sqrt(spread) / (of + z * z)


@pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.task)
def test_the_shipped_table_follows_from_its_counts(one: Baseline) -> None:
    right = one.score * one.n
    assert right == pytest.approx(round(right), abs=0.02)
    assert (one.lower, one.upper) == pytest.approx(wilson(round(right), one.n), abs=1e-4)
    assert one.chance == pytest.approx(PUBLIC[one.task.partition(":")[0]].chance, abs=1e-4)
    assert one.signal == (one.lower > max(one.chance or 0, 0.01))


def test_signal_is_asked_by_name() -> None:
    assert set(with_signal()) == {
        one.task.partition(":")[0] for one in SHIPPED if one.lower > (one.chance or 0.01)
    }
    assert with_signal("no-such-model") == []
    assert published("no-such-model") == {}
    assert published().keys() <= PUBLIC.keys()


def test_the_page_shows_the_shipped_table() -> None:
    lines, cited = DOCS.read_text("utf-8").splitlines(), published()
    for one in SHIPPED:
        score, _ = cited.get(one.task.partition(":")[0], ("", ""))
        cells = [
            one.task,
            str(one.n),
            f"{one.score:.2f} [{one.lower:.2f}, {one.upper:.2f}]",
            f"{one.chance:.2f}",
            "yes" if one.signal else "none",
            f"{score:.3f}" if score else "",
        ]
        assert f"| {' | '.join(cells)} |".replace("|  |", "| |") in lines


def test_the_command_prints_what_ships_and_measures_another(
    wheel: list[str],
    real_command: Command,
    folder: str,
    tmp_path: Path,
) -> None:
    code, told, _ = real_command("tasks")
    assert code == 0
    assert all(one.task in told for one in SHIPPED)
    out = tmp_path / "table.json"
    code, told, _ = real_command("tasks", folder, "--tasks", "squad", "--limit", "3", "--out", str(out))
    assert (code, "squad" in told, "none" in told) == (0, True, True)
    assert json.loads(out.read_text())["rows"][0]["n"] == 3
