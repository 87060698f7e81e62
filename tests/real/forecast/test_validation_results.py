"""What the shipped validations of the forecast say must follow from their own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import real
from real.forecast.validate import rank_correlation

FILES = sorted((Path(real.__file__).parent / "data").glob("validation_*.json"))
pytestmark = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def record(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def test_it_is_small_and_names_no_machine(file: Path) -> None:
    assert file.stat().st_size < 200_000
    text = file.read_text("utf-8")
    assert not any(place in text for place in ("/home", "/root", "/tmp", "/work", "\\\\"))
    assert record(file)["model"]["name"] == file.stem.removeprefix("validation_")


def test_no_score_leaves_its_ceiling(file: Path) -> None:
    for spec in record(file)["specs"]:
        for task in spec["tasks"]:
            assert abs(task["sampled_change"]) <= task["ceiling_upper"] + 1e-6, (spec["spec"], task["task"])
            assert ("greedy_ceiling" in task) == (task["kind"] == "generation")
            assert abs(task["change"]) <= task.get("greedy_ceiling", 1) + 1e-6, (spec["spec"], task["task"])
        written = sum(task["kind"] == "generation" for task in spec["tasks"])
        assert spec["within_ceiling"] == {"sampled": len(spec["tasks"]), "greedy": written}


def test_no_certified_greedy_token_changed(file: Path) -> None:
    assert all(spec["greedy"]["certified_held"] == 1 for spec in record(file)["specs"])


def test_forecast_and_measured_survival_meet(file: Path) -> None:
    """Both are 90 % bands, so of many comparisons nearly all must overlap."""
    rows = [row for spec in record(file)["specs"] for row in spec["survival"] + spec["shared_noise"]]
    met = [
        row["measured_lower"] <= row["forecast_upper"] and row["forecast_lower"] <= row["measured_upper"]
        for row in rows
    ]
    assert sum(met) >= 0.95 * len(met)


def test_at_least_twelve_specs_and_their_rank_correlation(file: Path) -> None:
    found = record(file)
    assert len({spec["spec"] for spec in found["specs"]}) >= 12
    again = rank_correlation(found["specs"])
    for forecast in ("kl_per_token", "tv_8_tokens"):
        for loss, stored in found["rank_correlation"][forecast].items():
            assert again[forecast][loss]["spearman"] == pytest.approx(stored["spearman"], abs=1e-4)
