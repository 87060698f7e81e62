"""The explorer in a real headless browser: its numbers are theory's numbers, and every control works."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page

from paper_figs.explorer import write_explorer
from theory import catalogue, measure
from theory.theorems.theorem import on_drift


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(autouse=True)
def opened(page: Page, explorer: Path) -> None:
    page.goto(explorer.as_uri())


def set_control(page: Page, name: str, value: object) -> None:
    """Move a control as a user would: set its value and let it report the change."""
    page.eval_on_selector(
        f"#{name}",
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(value),
    )


def drift_on_page(page: Page):
    """``theory.measure`` of the logits that the page shows."""
    z, change = page.evaluate("[current.z, current.D]")
    logits = torch.tensor(z, dtype=torch.float64)
    temperature = float(page.input_value("#temperature"))
    return measure(logits, logits + torch.tensor(change, dtype=torch.float64), temperature)


SETTINGS = [
    {},
    {"base": "zipf", "shape": "sparse", "size": 1.5, "temperature": 0.5},
    {"base": "peaked", "shape": "twovalued", "size": 3, "vocabulary": 12},
    {"shape": "swap", "size": 4, "temperature": 2},
    {"base": "gaussian", "shape": "along", "size": 0.3, "shift": -12.5, "seed": 7},
    {"vocabulary": 2, "size": 6, "temperature": 5},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_columns_agree_with_measure(page: Page, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        set_control(page, name, value)
    drift = drift_on_page(page)
    rows = page.eval_on_selector_all(
        "#statistics tr", "rows => rows.map(r => [r.dataset.column, r.dataset.value])"
    )
    assert len(rows) > 20
    for column, value in rows:
        expected = float(getattr(drift, column))
        assert float(value) == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), column


@pytest.mark.parametrize("settings", SETTINGS)
def test_bounds_agree_with_theory_and_hold(page: Page, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        set_control(page, name, value)
    drift = drift_on_page(page)
    rows = page.eval_on_selector_all("#bounds tbody tr", "rows => rows.map(r => ({...r.dataset}))")
    assert {row["theorem"] for row in rows} >= {"B1", "B5", "B7"}
    for row in rows:
        value = float(row["value"])
        claim = catalogue[row["theorem"]].claims[int(row["claim"])]
        assert claim.name == row["quantity"]
        for side, bound in (("lower", claim.lower), ("upper", claim.upper)):
            if row[side]:
                expected = float(on_drift(bound, bound.statistics, drift))
                assert float(row[side]) == pytest.approx(expected, rel=1e-9, abs=1e-9), row
        if row["lower"]:
            assert float(row["lower"]) <= value + 1e-9, row
        if row["upper"]:
            assert value <= float(row["upper"]) + 1e-9, row


def test_no_perturbation_gives_zero_everywhere(page: Page) -> None:
    set_control(page, "size", 0)
    values = page.eval_on_selector_all("#bounds tbody tr", "rows => rows.map(r => Number(r.dataset.value))")
    assert max(map(abs, values)) < 1e-15


def test_one_token_is_no_error(page: Page) -> None:
    set_control(page, "vocabulary", 1)
    values = page.eval_on_selector_all("#statistics tr", "rows => rows.map(r => Number(r.dataset.value))")
    assert len(values) > 20


def test_typed_logits_are_used(page: Page) -> None:
    page.click("#editor >> xpath=.. >> summary")
    page.fill("[aria-label='z of token 1']", "3.25")
    assert page.evaluate("current.z[0]") == 3.25


def test_chain_accumulates_and_bounds_enclose_it(page: Page) -> None:
    rows = page.eval_on_selector_all(
        "#accumulation-table tbody tr",
        "rows => rows.map(r => Object.fromEntries(Object.entries(r.dataset).map(e => [e[0], Number(e[1])])))",
    )
    survival = [row["survival"] for row in rows]
    assert survival == sorted(survival, reverse=True)
    for row in rows:
        assert row["guarantee"] <= row["survival"] + 1e-12
        if row["tv"]:
            assert row["tv"] <= 1 - row["survival"] + 1e-12


def test_runs_agree_with_exact_survival(page: Page) -> None:
    page.click("#replay")
    page.click("#replay")
    exact, seen = page.evaluate(
        "[chain.curves[4].survival, chain.runs.filter(at => at < 0 || at > 5).length / chain.runs.length]"
    )
    assert seen == pytest.approx(exact, abs=0.13)  # five standard errors of 400 runs


def test_keyboard_alone_moves_everything(page: Page) -> None:
    page.focus("#size")
    before = page.inner_text("#bounds tbody tr:first-child td:nth-child(2)")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#bounds tbody tr:first-child td:nth-child(2)") != before
    page.focus("#run")
    page.keyboard.press("Enter")
    assert len(page.inner_text("#dense-text").split()) == 11
