"""Specs whose masks are found layer by layer are shown on three calibration texts, all others on one."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from real.models.load import LanguageModel
from real.pruning import variants
from real.pruning.spec import names_checkpoint
from tests.real.conftest import Command

SPECS = ("magnitude:50%", "sparsegpt:50%", "wanda:2:4")
CHAOTIC = SPECS[1:]
WORDS = "another calibration text gives another model"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every variant that is made, and the seed of its calibration text."""
    found: list[tuple[str, int]] = []
    before = variants.pruned

    def counted(lm: LanguageModel, name: str, calibration: object, seed: int, memory: object) -> object:
        assert not names_checkpoint(name)
        found.append((name, seed))
        return before(lm, name, calibration, seed, memory)  # type: ignore[arg-type]

    monkeypatch.setattr(variants, "pruned", counted)
    return found


EVERY = [("magnitude:50%", 0), *((spec, seed) for spec in CHAOTIC for seed in range(3))]


def test_texts(
    real_command: Command,
    folder: str,
    prompts: str,
    made: list[tuple[str, int]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "report.json"
    line = ("forecast", folder, *SPECS, "--tokens", "4", "--prompts", prompts)
    code, told, remarks = real_command(*line, "--json", str(out))
    assert code == 0, remarks
    assert made == EVERY
    once, *thrice = json.loads(out.read_text())["forecasts"]
    assert once["kl_per_token_calibrations"] == []
    for one in thrice:
        found = one["kl_per_token_calibrations"]
        assert found[0] == one["kl_per_token"]["mean"]
        assert len(set(found)) == 3
        assert f"{min(found):.3f}–{max(found):.3f}" in told
    assert " ".join(told.split()).count(WORDS) == 1
    assert WORDS not in " ".join(real_command(*line[:2], "magnitude:50%", *line[5:])[1].split())


def test_scores_of_a_task(
    real_command: Command,
    folder: str,
    made: list[tuple[str, int]],
    tmp_path: Path,
) -> None:
    task, out, table = tmp_path / "task.jsonl", tmp_path / "report.json", tmp_path / "table.csv"
    rows = [
        {"stop": "\n", "max_tokens": 4},
        *({"prompt": f"{n}?", "answers": ["a", "e", "t"]} for n in range(8)),
    ]
    task.write_text("\n".join(map(json.dumps, rows)))
    files = ("--json", str(out), "--csv", str(table))
    code, told, remarks = real_command("forecast", folder, *SPECS, "--task", str(task), *files)
    assert code in (0, 1, 3), remarks
    assert made == EVERY
    for one in json.loads(out.read_text())["verdicts"]:
        found = one["after_calibrations"]
        assert len(found) == (3 if one["spec"] in CHAOTIC else 0)
        assert not found or found[0] == one["after"]["mean"]
    spread = pd.read_csv(table).set_index(["spec", "decoding"])
    sampled = spread.xs("sampled", level="decoding")
    assert sampled["after_least"].isna().tolist() == [True, False, False]
    drawn = sampled.loc[list(CHAOTIC)]
    assert (drawn["after_least"] < drawn["after_most"]).all()
    assert drawn["after"].between(drawn["after_least"], drawn["after_most"]).all()
    assert " ".join(told.split()).count(WORDS) == 1


@pytest.mark.parametrize("samples", [(), ("--samples", "1")], ids=["answers", "drawn texts"])
def test_answers(
    samples: tuple[str, ...],
    real_command: Command,
    folder: str,
    made: list[tuple[str, int]],
    tmp_path: Path,
) -> None:
    table = tmp_path / "table.csv"
    asked = ("--tasks", "copy-1" if samples else "agreement,copy-1", "--limit", "3", "--csv", str(table))
    code, told, remarks = real_command("evaluate", folder, *SPECS, *asked, *samples)
    assert code == 0, remarks
    assert made == EVERY
    assert " ".join(told.split()).count(WORDS) == 1
    found = pd.read_csv(table)
    if samples:
        assert found.set_index("spec")["after_most"].notna().tolist() == [False, True, True]
        return
    chaotic = found["spec"].isin(CHAOTIC)
    assert found.loc[chaotic, ["correct_1", "correct_2"]].notna().all(axis=None)
    assert found.loc[~chaotic, ["correct_1", "correct_2"]].isna().all(axis=None)
    assert not found.duplicated(["spec", "task", "item"]).any()
