"""The workbench: columns, bounds and chains of any logits are those of theory and of sim."""

from __future__ import annotations

import math

import pytest
import torch
from playwright.sync_api import Page

from sim.chains import SoftmaxChain, sequence_tv
from tests.paper_figs.explorer.user import set_control
from theory import catalogue, measure
from theory.theorems.theorem import on_drift

SIGNED = {"low_p", "high_p", "low_r", "high_r", "parallel", "rho_plus", "rho_minus"}
SETTINGS = [
    {},
    {"base": "zipf", "shape": "sparse", "size": 1.5, "temperature": 0.5},
    {"base": "peaked", "shape": "twovalued", "size": 3, "vocabulary": 12},
    {"shape": "swap", "size": 4, "temperature": 2},
    {"base": "gaussian", "shape": "along", "size": 0.3, "shift": -12.5, "seed": 7},
    {"vocabulary": 2, "size": 6, "temperature": 5},
    {"base": "flat"},
    {"base": "flat", "shape": "along"},
    {"vocabulary": 1},
    {"size": 0},
    {"size": 0, "shift": 3},
]


def drift_on_page(page: Page):
    """``theory.measure`` of the logits that the page shows."""
    z, change = page.evaluate("[current.z, current.D]")
    logits = torch.tensor(z, dtype=torch.float64)
    temperature = float(page.input_value("#temperature"))
    return measure(logits, logits + torch.tensor(change, dtype=torch.float64), temperature)


@pytest.mark.parametrize("settings", SETTINGS)
def test_columns_and_bounds_agree_with_theory(bench: Page, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        set_control(bench, name, value)
    drift = drift_on_page(bench)
    rows = bench.eval_on_selector_all(
        "#statistics tr", "rows => rows.map(r => [r.dataset.column, r.dataset.value])"
    )
    assert len(rows) > 20
    for column, value in rows:
        expected = float(getattr(drift, column))
        assert float(value) == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), column
        assert not value.startswith("-") or column in SIGNED
    shown = bench.eval_on_selector_all("#bounds tbody tr", "rows => rows.map(r => ({...r.dataset}))")
    assert "NaN" not in bench.inner_text("#bounds")
    for row in shown:
        claim = catalogue[row["theorem"]].claims[int(row["claim"])]
        for side, bound in (("lower", claim.lower), ("upper", claim.upper)):
            if row[side] and row[side] != "NaN":
                expected = float(on_drift(bound, bound.statistics, drift))
                assert float(row[side]) == pytest.approx(expected, rel=1e-9, abs=1e-9), row


def test_the_swap_pair_attains_its_bound(bench: Page) -> None:
    set_control(bench, "shape", "swap")
    for size, temperature in ((0.5, 1), (3, 1), (4, 2)):
        set_control(bench, "size", size)
        set_control(bench, "temperature", temperature)
        value = bench.eval_on_selector("#statistics tr[data-column=tv]", "r => Number(r.dataset.value)")
        assert value == pytest.approx(math.tanh(size / temperature / 4), abs=1e-12)


def test_typed_logits_survive_the_next_slider(bench: Page) -> None:
    bench.click("#editor >> xpath=.. >> summary")
    bench.fill("[aria-label='z of token 1']", "3.25")
    set_control(bench, "temperature", 2)
    assert bench.evaluate("current.z[0]") == 3.25
    address = bench.evaluate("location.href")
    bench.goto("about:blank")
    bench.goto(address)
    assert bench.evaluate("current.z[0]") == 3.25
    set_control(bench, "base", "zipf")
    assert bench.evaluate("current.z[0]") == pytest.approx(0)


def test_bars_are_dragged_on_a_fixed_axis(bench: Page) -> None:
    bench.locator("#logits").scroll_into_view_if_needed()
    box = bench.locator("#logits rect[data-model=dense][data-index='0']").bounding_box()
    before, axis = bench.evaluate("[current.z[0], logitAxis]")
    bench.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    bench.mouse.down()
    bench.mouse.move(box["x"] + box["width"] / 2, box["y"] - 15)
    bench.mouse.up()
    after, still = bench.evaluate("[current.z[0], logitAxis]")
    assert after != before
    assert still == axis
    assert bench.input_value("#base") == "own"


@pytest.mark.parametrize(
    "settings", [{}, {"base": "zipf", "vocabulary": 4}, {"base": "peaked", "shape": "sparse"}]
)
def test_the_chain_is_made_of_the_logits_above_and_solved_exactly(bench: Page, settings: dict) -> None:
    for name, value in settings.items():
        set_control(bench, name, value)
    p, q, z = bench.evaluate("[chain.P, chain.Q, current.z]")
    assert p[0] == pytest.approx(torch.softmax(torch.tensor(z, dtype=torch.float64), 0).tolist())
    exact = SoftmaxChain(*(torch.tensor(rows, dtype=torch.float64).log() for rows in (p, q)))
    curves = bench.evaluate("chain.curves")
    for name, expected in (
        ("maximal", exact.survival(40)),
        ("gumbel", exact.gumbel_survival(40)),
        ("independent", exact.independent_survival(40)),
    ):
        assert [row[name] for row in curves] == pytest.approx(expected.tolist(), abs=1e-9)
    assert [row["kl"] for row in curves] == pytest.approx(exact.path_kl(40).tolist(), abs=1e-9)
    for row, tv in zip(curves[:5], sequence_tv(exact, 5).tolist(), strict=True):
        assert row["tvLow"] - 1e-9 <= tv <= row["tvHigh"] + 1e-9
    assert max(row["tvHigh"] - row["tvLow"] for row in curves) < 0.02


@pytest.mark.parametrize("coupling", ["maximal", "gumbel", "independent"])
def test_runs_lie_on_the_curve_of_their_own_coupling(bench: Page, coupling: str) -> None:
    bench.select_option("#coupling", coupling)
    bench.click("#replay")
    bench.click("#replay")
    exact, seen = bench.evaluate(
        "[chain.curves[4][byId('coupling').value], chain.runs.filter(at => at < 0 || at > 5).length / 400]"
    )
    assert seen == pytest.approx(exact, abs=0.13)  # five standard errors of 400 runs


def test_keyboard_alone_moves_everything(bench: Page) -> None:
    bench.focus("#size")
    before = bench.inner_text("#bounds tbody tr:first-child td:nth-child(2)")
    bench.keyboard.press("ArrowRight")
    assert bench.inner_text("#bounds tbody tr:first-child td:nth-child(2)") != before
    bench.focus("#run")
    bench.keyboard.press("Enter")
    assert len(bench.inner_text("#dense-text").split()) == 11
