"""Small, offline, accessible; where the text forks: guess, reveal, the numbers of theory."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from paper_figs.explorer.build import RECORDED
from tests.paper_figs.explorer.user import do_lesson, set_control
from theory import survival_weights, tv_terms

LARGEST = 1_500_000  # bytes


def test_small_offline_and_quick(page: Page, explorer: Path) -> None:
    assert explorer.stat().st_size < LARGEST
    namespace = "http://www.w3.org/1998/Math/MathML"
    assert "http" not in explorer.read_text(encoding="utf-8").replace(namespace, "")
    page.evaluate("document.querySelector('#fork-tokens button').click()")
    assert page.is_visible("#fork-reveal")


def test_a_guess_reveals_text_curves_and_a_conclusion(page: Page) -> None:
    assert page.is_hidden("#fork-reveal")
    page.click("#fork-tokens button:nth-child(3)")
    assert page.is_visible("#fork-reveal")
    assert "expect" in page.inner_text("#fork-conclusion")
    assert page.locator("#fork-chart path").count() == 2
    page.click("#fork-again")
    assert page.is_hidden("#fork-reveal")


@pytest.mark.parametrize("model", [1, 4])
@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_survival_and_total_variation_are_those_of_theory(page: Page, model: int, temperature: int) -> None:
    set_control(page, "fork-dropped", model)
    set_control(page, "fork-temperature", temperature)
    numbers = page.evaluate("fork.numbers")
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    texts = [
        text
        for text in recorded["texts"]
        if text["prompt"] == numbers["prompt"]
        and text["temperature"] == recorded["temperatures"][temperature]
    ]
    longest = max(len(text["steps"]) for text in texts)
    ratio = torch.zeros(len(texts), longest, dtype=torch.float64)  # a text that has ended stays as it is
    for row, text in enumerate(texts):
        for n, step in enumerate(text["steps"]):
            ratio[row, n] = step["logp"][model][step["chosen"]] - step["logp"][0][step["chosen"]]
    expected = survival_weights(ratio).mean(0)
    assert numbers["survival"] == pytest.approx(expected.tolist(), abs=1e-9)
    assert numbers["tv"] == pytest.approx(tv_terms(ratio).mean(0).cummax(0).values.tolist(), abs=1e-9)
    assert numbers["expected"] == pytest.approx(float(expected.sum()), abs=1e-9)


def test_the_race_agrees_with_the_exact_probability(page: Page) -> None:
    """Given the dense token, the pruned model writes it too with the probability of the Gumbel coupling."""
    seen, exact = page.evaluate(
        """() => {
          const step = RECORDED.texts.find((t) => t.temperature === 1).steps[1];
          const random = generator(5), p = withTail(step.logp[0]), q = withTail(step.logp[4]);
          let same = 0;
          for (let k = 0; k < 4000; k++) same += race(step, 4, random) === step.chosen;
          const c = step.chosen, both = 1 / sumOf(p.map((x, j) => Math.max(x / p[c], q[j] / q[c])));
          return [same / 4000, both / p[c]];
        }"""
    )
    assert seen == pytest.approx(exact, abs=0.04)


def test_recorded_probabilities_belong_together() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert {text["prompt"] for text in recorded["texts"]} == set(recorded["answers"])
    for step in (step for text in recorded["texts"] for step in text["steps"]):
        p, *others = ([math.exp(value) for value in row] for row in step["logp"])
        assert sum(p) <= 1 + 1e-3
        for q, tv in zip(others, step["tv"][1:], strict=True):
            shown = sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
            tail = (2 - sum(p) - sum(q)) / 2
            assert shown - 1e-3 <= tv <= shown + tail + 1e-3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.click("#fork-tokens button")
    page.click("#workbench > summary")
    do_lesson(page, "confident")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
