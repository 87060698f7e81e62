"""A context without a model, and figures that cost nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Verdict
from paper_figs.profiles import PROFILES


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Setup("no-model", "no-encoder", 0, "cpu", PROFILES["quick"]), tmp_path / "results")


def small_table(context: Context, rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"step": range(rows), "value": [context.setup.seed + 0.5] * rows})


def small_drawing(frame: pd.DataFrame) -> Canvas:
    canvas = Canvas()
    canvas.subplots().plot(frame["step"], frame["value"])
    return canvas


@pytest.fixture
def figure() -> Figure:
    return Figure(
        id="small",
        title="A small figure",
        compute=small_table,
        draw=small_drawing,
        caption=lambda frame, setup: f"{len(frame)} rows, seed {setup.seed}.",
        claims=(
            Claim(
                "the value is a half",
                "nobody",
                "every value is 0.5",
                lambda frame: Finding(
                    Verdict.HOLDS if (frame["value"] == 0.5).all() else Verdict.FAILS, "all of them"
                ),
            ),
        ),
    )
