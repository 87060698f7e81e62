"""What the shipped validations say must follow from their own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import real
from real.validation.scores import rank_correlation

DATA = Path(real.__file__).parent / "data"
TEXTS, SCORES = sorted(DATA.glob("validation_*.json")), sorted(DATA.glob("scores_*.json"))


def record(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


@pytest.mark.parametrize("file", [*TEXTS, *SCORES], ids=lambda file: str(file.stem))
def test_it_is_small_and_names_no_machine(file: Path) -> None:
    assert file.stat().st_size < 300_000
    text = file.read_text("utf-8")
    assert not any(place in text for place in ("/home", "/root", "/tmp", "/work", "\\\\"))
    assert record(file)["model"]["name"] == file.stem.partition("_")[2]


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.stem))
def test_no_certified_greedy_token_changed(file: Path) -> None:
    assert all(spec["greedy"]["certified_held"] == 1 for spec in record(file)["specs"])
    assert len({spec["spec"] for spec in record(file)["specs"]}) >= 12


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.stem))
def test_forecast_and_measured_survival_meet(file: Path) -> None:
    """Both are 90 % bands, so of many comparisons nearly all must overlap."""
    rows = [row for spec in record(file)["specs"] for row in spec["survival"] + spec["shared_noise"]]
    met = [
        row["measured_lower"] <= row["forecast_upper"] and row["forecast_lower"] <= row["measured_upper"]
        for row in rows
    ]
    assert sum(met) >= 0.95 * len(met)


@pytest.mark.parametrize("file", SCORES, ids=lambda file: str(file.stem))
def test_rank_correlation_follows_from_the_entries(file: Path) -> None:
    found = record(file)
    again = rank_correlation(found["specs"])
    assert again["specs"] == found["rank_correlation"]["specs"]
    assert again["mean"] == pytest.approx(found["rank_correlation"]["mean"], abs=0.02)


@pytest.mark.parametrize("file", SCORES, ids=lambda file: str(file.stem))
def test_entries_agree_with_themselves(file: Path) -> None:
    for spec in record(file)["specs"]:
        for entry in spec["tasks"]:
            forecast = entry["forecast"]
            assert entry["covered"] == (forecast["lower"] <= entry["measured"] <= forecast["upper"])
            assert entry["truth"] == ("safe" if entry["loss"] <= 0.1 else "fails")
            assert entry.get("agree", 0) <= entry.get("answered", 0)
