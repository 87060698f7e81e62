"""The report in a real headless browser: complete, self-contained, readable on a phone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from paper_figs.context import Context
from paper_figs.figure import Figure, Table
from paper_figs.report import build, summary, write_report
from paper_figs.runner import make
from tests.theory.hostile import HOSTILE
from theory import catalogue


@pytest.fixture
def report(context: Context, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "FIGURES", {"small": figure, "absent": figure})
    monkeypatch.setattr(summary, "ANSWER", ("small", "absent"))
    out = tmp_path / "out"
    assert make([figure], context, out) == {}
    return write_report(out)


def test_shows_figure_claim_verdict_and_rule(page: Page, report: Path, figure: Figure) -> None:
    page.goto(report.as_uri())
    (claim,) = figure.claims
    page.click("tr[data-verdict] summary")
    row = page.inner_text("tr[data-verdict]")
    assert claim.text in row
    assert claim.rule in row
    assert page.locator("tr[data-verdict] .verdict").inner_text() == "holds"
    page.click("#small details summary")
    assert "3 rows, seed 0." in page.inner_text("#small figcaption")
    assert "Not made in this run: absent" in page.inner_text("main")


def test_first_screen_has_the_answer_and_two_tallies(page: Page, report: Path, figure: Figure) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(report.as_uri())
    assert page.locator("#answer li").count() == 1
    assert "A small figure" in page.inner_text("#answer li")
    assert page.eval_on_selector("#answer", "e => e.getBoundingClientRect().bottom") < 800
    assert "The paper’s claims: 1 holds" in page.inner_text("#answer")
    assert page.is_visible(".banner")  # a quick run says so
    found = json.loads((report.parent / "summary.json").read_text(encoding="utf-8"))
    assert found["tallies"] == {"the paper": {"holds": 1}, "ours": {}, "theorem": {}}
    assert found["findings"][0]["claim"] == figure.claims[0].text


def test_claims_are_filtered_and_sorted(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.select_option("#by-verdict", "undecided here")
    assert page.locator("tr[data-verdict]:visible").count() == 0
    page.select_option("#by-verdict", "holds")
    assert page.inner_text("#shown") == "1 claims shown"
    page.click("th button")
    assert page.get_attribute("th", "aria-sort") == "ascending"


def test_a_picture_opens_in_full_size(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.click("#small a.picture")
    assert page.is_visible("dialog img")
    assert page.get_attribute("#small img", "alt") == "small: A small figure"


def test_the_command_repeats_the_run(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    assert "python -m paper_figs --model no-model --encoder no-encoder --seed 0 --quick" in page.inner_text(
        "#provenance"
    )


def test_a_table_is_text(
    page: Page, report: Path, context: Context, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    _beside_a_table(report, context, figure, monkeypatch)
    page.goto(report.as_uri())
    assert page.locator("#tabular th").all_inner_texts() == ["step", "words"]
    assert page.locator("#tabular td").all_inner_texts() == ["0", "<b>$x$</b>"]
    assert page.locator("#tabular img").count() == 0
    page.click("#tabular details summary")
    assert page.locator("#tabular figcaption a").all_inner_texts() == ["data (CSV)", "provenance (JSON)"]


def _beside_a_table(report: Path, context: Context, figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    words = Table(("step", "words"), (("0", "<b>$x$</b>"),))
    table = replace(figure, id="tabular", draw=None, table=lambda frame: words)
    monkeypatch.setattr(build, "FIGURES", {"small": figure, "tabular": table})
    assert make([table], context, report.parent) == {}
    write_report(report.parent)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(
    page: Page, report: Path, context: Context, figure: Figure, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    _beside_a_table(report, context, figure, monkeypatch)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(report.as_uri() + "#theorem-B1")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_pictures_are_inside_the_page(page: Page, report: Path) -> None:
    for file in report.parent.glob("*.png"):
        file.unlink()
    page.goto(report.as_uri())
    page.locator("#small img").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#small img').naturalWidth > 0")


def test_every_theorem_has_its_place_and_one_that_is_linked_to_is_open(page: Page, report: Path) -> None:
    page.goto(report.as_uri() + "#theorem-B5")
    assert page.locator("#theorems details[id^=theorem-]").count() == len(list(catalogue))
    assert page.locator("#theorem-B5 math").first.bounding_box() is not None
    assert "Hypotheses" in page.inner_text("#theorem-B5")
    assert page.is_hidden("#theorem-B1 p")
    page.click("#tests summary")
    assert "B5" in page.locator("#tests table").inner_text()


@pytest.mark.parametrize("width", [360, 1200])
def test_no_sideways_scrolling(page: Page, report: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
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
