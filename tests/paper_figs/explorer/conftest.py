"""The explorer in a real headless browser, and what a user does on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from paper_figs.explorer import write_explorer


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(autouse=True)
def opened(page: Page, explorer: Path) -> None:
    page.goto(explorer.as_uri())


@pytest.fixture
def bench(page: Page) -> Page:
    page.click("#workbench > summary")
    return page


@pytest.fixture
def phone(browser: Browser, explorer: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    opened = context.new_page()
    opened.goto(explorer.as_uri())
    yield opened
    context.close()
