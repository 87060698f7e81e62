"""The lesson's numbers: bounds hold, simulations meet the exact values, bad input is one sentence."""

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from sim.chains import CHAINS
from sim.chains.lesson import chain_lesson, lesson_figure, lesson_table
from sim.command_line import app

LENGTHS = (1, 4, 16)


@pytest.fixture(scope="module")
def lesson() -> pd.DataFrame:
    return chain_lesson(1, lengths=LENGTHS, samples=2000)


def side_by_side(lesson: pd.DataFrame, quantity: str) -> pd.DataFrame:
    part = lesson[lesson["quantity"] == quantity]
    exact = part[part["kind"] == "exact"].set_index(["chain", "steps", "source"])
    return part.merge(
        exact.reset_index()[["chain", "steps", "source", "low", "high"]],
        on=["chain", "steps"],
        suffixes=("", "_exact"),
    )


def test_every_bound_is_above_the_exact_value(lesson: pd.DataFrame) -> None:
    for quantity in ("sequence_tv", "marginal_tv"):
        table = side_by_side(lesson, quantity)
        bounds = table[table["kind"] == "bound"]
        assert len(bounds) >= len(LENGTHS) * len(CHAINS)
        assert (bounds["value"] >= bounds["low_exact"] - 1e-9).all()
    table = side_by_side(lesson, "disagreement")
    bounds = table[(table["kind"] == "bound") & (table["source_exact"] == "maximal")]
    assert {"G3", "G4"} <= set(bounds["source"])
    assert (bounds["value"] >= bounds["high_exact"] - 1e-9).all()


def test_simulations_meet_the_exact_values(lesson: pd.DataFrame) -> None:
    table = pd.concat([side_by_side(lesson, q) for q in ("disagreement", "free_step_tv")])
    seen = table[(table["kind"] == "simulation")]
    seen = seen[(seen["source"] == seen["source_exact"]) | (seen["source_exact"] == "G8")]
    room = 1.5 * (seen["high"] - seen["value"]) + 2e-3
    assert len(seen) > 40
    assert ((seen["value"] - seen["high_exact"]).abs() <= room).all()


def test_the_swap_chain_attains_the_survival_bound(lesson: pd.DataFrame) -> None:
    table = side_by_side(lesson, "disagreement")
    swap = table[
        (table["chain"] == "swap") & (table["source"] == "G4") & (table["source_exact"] == "maximal")
    ]
    assert len(swap) == len(LENGTHS)
    assert (swap["value"] - swap["high_exact"]).abs().max() < 1e-12


def test_a_lesson_without_noise_is_all_zero() -> None:
    frame = chain_lesson(0, ("mixing",), noise=0.0, lengths=(1, 8), samples=100)
    kept = frame[~frame["source"].isin(["independent", "shared-uniform"])]
    kept = kept[kept["quantity"] != "free_step_tv"]
    assert kept["low"].abs().max() < 1e-6


def test_the_lesson_prints_and_plots(lesson: pd.DataFrame) -> None:
    text = StringIO()
    Console(file=text, width=80).print(lesson_table(lesson))
    assert all(f"{chain}: " in text.getvalue() for chain in CHAINS)
    assert "…" not in text.getvalue()  # nothing is cut off on an ordinary terminal
    assert len(lesson_figure(lesson).axes) == 3 * len(CHAINS)


def test_the_command_writes_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lesson.png"
    app(["chain", "--chains", "swap", "--samples", "50", "--out", str(out)], standalone_mode=False)
    assert out.exists()
    assert out.with_suffix(".csv").exists()
    assert "swap" in capsys.readouterr().out


def test_an_unknown_chain_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="mixing"):
        chain_lesson(0, ("mixin",))
