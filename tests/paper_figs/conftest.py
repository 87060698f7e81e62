"""A context without a model, figures that cost nothing, and a headless browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas
from playwright.sync_api import Browser, Page, sync_playwright

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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("needs a Chromium on the PATH")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test if its scripts err or if it asks for anything but local files."""
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    local = ("file:", "data:")
    opened.on("request", lambda r: None if r.url.startswith(local) else problems.append(r.url))
    yield opened
    opened.close()
    assert problems == []
