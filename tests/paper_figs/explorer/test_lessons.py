"""Ten lessons: anyone can do them, and their numbers are those of theory and of sim."""

from __future__ import annotations

import math

import pytest
import torch
from playwright.sync_api import Page

from paper_figs.explorer.build import LESSON_CHAINS
from sim.chains import CHAINS
from tests.paper_figs.explorer.user import do_lesson
from theory import catalogue, measure

LESSONS = (
    *("confident", "temperature", "options", "slip", "shift"),
    *("halflife", "estimate", "attained", "greedy", "spaces"),
)
COMPARED = (
    *("kl", "tv", "cosdist_p", "cosdist_z", "cosdist_z_centred"),
    *("oscillation", "entropy", "var_r"),
)


def test_ten_lessons_on_a_desktop_are_ticked_and_kept_in_the_address(page: Page) -> None:
    assert page.evaluate("LESSONS.map((l) => l.id)") == list(LESSONS)
    for name in LESSONS:
        do_lesson(page, name)
    assert page.inner_text("#progress") == "10 of 10 done"
    page.reload()
    assert page.inner_text("#progress") == "10 of 10 done"


def test_ten_lessons_on_a_phone(phone: Page) -> None:
    for name in LESSONS:
        do_lesson(phone, name)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = phone.eval_on_selector_all(
        "button, input, select, summary",
        "all => all.map(e => e.getBoundingClientRect()).filter(b => b.width > 0)"
        ".map(b => [b.width, b.height])",
    )
    assert min(min(size) for size in sizes) >= 24
    assert phone.eval_on_selector(".sticky", "e => getComputedStyle(e).position") == "sticky"


def test_lesson_numbers_are_those_of_theory(page: Page) -> None:
    found = page.evaluate(
        """() => {
          const out = [];
          const walk = (value, path) => {
            if (value && value.columns) out.push([path, value.z, value.D, value.T, value.columns]);
            else if (value && typeof value === "object")
              for (const [k, v] of Object.entries(value)) walk(v, path + "." + k);
          };
          for (const lesson of LESSONS) {
            const { min, value, max } = lesson.slider;
            for (const x of [min, value, max]) walk(lesson.compute(x), lesson.id);
          }
          return out;
        }"""
    )
    assert len(found) > 25
    for path, z, change, temperature, columns in found:
        logits = torch.tensor(z, dtype=torch.float64)
        drift = measure(logits, logits + torch.tensor(change, dtype=torch.float64), temperature)
        for name in COMPARED:
            expected = float(getattr(drift, name))
            assert columns[name] == pytest.approx(expected, rel=1e-9, abs=1e-9), (path, name)


def test_lesson_formulas_are_those_of_theory(page: Page) -> None:
    attained, estimate, half = page.evaluate(
        """['attained', 'estimate', 'halflife'].map((id) => LESSONS.find((l) => l.id === id))
           .map((l) => l.compute(l.slider.value))"""
    )
    upper = catalogue["B1"].upper
    assert attained["ceiling"] == pytest.approx(float(upper(oscillation=2.0)), abs=1e-12)
    assert attained["swap"]["columns"]["tv"] == pytest.approx(math.tanh(0.5), abs=1e-12)
    z = torch.tensor(estimate["m"]["z"], dtype=torch.float64)
    drift = measure(z, z + torch.tensor(estimate["m"]["D"], dtype=torch.float64))
    assert estimate["guess"] == pytest.approx(float(catalogue["T2"].approximate(drift)), abs=1e-9)
    assert half["half"] == pytest.approx(math.log(0.5) / math.log(0.95))


@pytest.mark.parametrize("name", LESSON_CHAINS)
def test_a_slip_is_felt_as_the_chain_of_sim_says(page: Page, name: str) -> None:
    chain = CHAINS[name](LESSON_CHAINS[name], torch.Generator().manual_seed(0))
    right, wrong = (torch.eye(4, dtype=torch.float64)[row] for row in (0, 3))
    for n in range(1, 21):
        right, wrong = right @ chain.p, wrong @ chain.p
        if n in (1, 20):
            expected = float((right - wrong).abs().sum() / 2)
            found = page.evaluate("([name, n]) => slip(name, n)", [name, n])
            assert found == pytest.approx(expected, abs=1e-9)
