"""The report in a real headless browser: complete, self-contained, readable on a phone."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Page

from paper_figs.context import Context
from paper_figs.figure import Figure
from paper_figs.report import build, write_report
from paper_figs.runner import make
from tests.theory.hostile import HOSTILE
from theory import catalogue


@pytest.fixture
def report(context: Context, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "FIGURES", {"small": figure, "absent": figure})
    out = tmp_path / "out"
    assert make([figure], context, out) == {}
    return write_report(out)


def test_shows_figure_claim_verdict_and_rule(page: Page, report: Path, figure: Figure) -> None:
    page.goto(report.as_uri())
    (claim,) = figure.claims
    row = page.inner_text("#claims tbody tr")
    assert claim.text in row
    assert claim.rule in row
    assert page.locator("#claims tbody .verdict").count() == 1
    assert "3 rows, seed 0." in page.inner_text("#small figcaption")
    assert "absent" in page.inner_text("#figures")


def test_pictures_are_inside_the_page(page: Page, report: Path) -> None:
    for file in report.parent.glob("*.png"):
        file.unlink()
    page.goto(report.as_uri())
    page.locator("#small img").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#small img').naturalWidth > 0")


def test_every_theorem_has_its_place_and_formulas_are_drawn(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    assert page.locator("#theorems details[id^=theorem-]").count() == len(list(catalogue))
    page.click("#tests summary")
    assert "B5" in page.locator("#tests table").inner_text()
    page.click("#theorem-B1 summary")
    assert page.locator("#theorem-B1 math").first.bounding_box() is not None


@pytest.mark.parametrize("width", [360, 1200])
def test_no_sideways_scrolling(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(report.as_uri())
    for summary in page.locator("#theorems summary").all()[:10]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(page: Page, report: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(report.as_uri())
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out must be a folder with figures"):
        write_report(tmp_path)


def test_hostile_names_are_text(
    context: Context, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every string of a sidecar may come from a model's name or its answers."""
    monkeypatch.setattr(build, "FIGURES", {"small": figure})
    out = tmp_path / "out"
    assert make([figure], context, out) == {}
    path = out / "small.json"
    plain = _elements(write_report(out).read_text("utf-8"))
    for text in HOSTILE:
        side = json.loads(path.read_text("utf-8"))
        side |= {"title": text, "caption": text, "takeaway": text}
        for finding in side["findings"]:
            finding |= {"claim": text, "evidence": text, "rule": text, "source": text}
        side["provenance"]["setup"]["model"] = text
        side["provenance"]["models"] = {text: {"name": text}}
        (out / "small.json").write_text(json.dumps(side), "utf-8")
        assert _elements(write_report(out).read_text("utf-8")).keys() == plain.keys()


def _elements(page: str) -> Counter[str]:
    counted: Counter[str] = Counter()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: counted.update(  # type: ignore[method-assign]
        [tag, *(name for name, _ in attributes)]
    )
    parser.feed(page)
    return counted
