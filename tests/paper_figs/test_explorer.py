"""The explorer in a real headless browser: its numbers are theory's, every lesson can be done by anyone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from paper_figs.explorer import write_explorer
from paper_figs.explorer.build import LESSON_CHAINS, RECORDED
from sim.chains import CHAINS, SoftmaxChain, sequence_tv
from theory import catalogue, measure, survival_weights, tv_terms
from theory.theorems.theorem import on_drift

LESSONS = (
    *("confident", "temperature", "options", "slip", "shift"),
    *("halflife", "estimate", "attained", "greedy", "spaces"),
)
COMPARED = (
    *("kl", "tv", "cosdist_p", "cosdist_z", "cosdist_z_centred"),
    *("oscillation", "entropy", "var_r"),
)
LARGEST = 1_500_000  # bytes


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


def test_small_offline_and_quick(page: Page, explorer: Path) -> None:
    assert explorer.stat().st_size < LARGEST
    namespace = "http://www.w3.org/1998/Math/MathML"
    assert "http" not in explorer.read_text(encoding="utf-8").replace(namespace, "")
    page.evaluate("document.querySelector('#fork-tokens button').click()")
    assert page.is_visible("#fork-reveal")


# ---------------------------------------------------------------- where does the text fork?
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


# ---------------------------------------------------------------- ten lessons
def do_lesson(page: Page, name: str) -> None:
    """From the preset to the answer, as a student would: open, guess, read, move the slider."""
    box = page.locator(f"#lesson-{name}")
    box.locator("summary").click()
    assert box.locator(".reveal").is_hidden()
    right = page.evaluate(
        "(id) => { const l = LESSONS.find((x) => x.id === id); return l.outcome(l.compute(l.slider.value)); "
        "}",
        name,
    )
    box.locator(".answers button").nth((right + 1) % 3).click()
    assert "The numbers say" in box.locator(".judgement").inner_text()
    box.locator(".answers button").nth(right).click()
    assert box.locator(".judgement").inner_text() == "Right."
    assert box.locator("summary .tick").inner_text() == "✓"
    before = box.locator(".sentence").inner_text()
    assert "undefined" not in before
    assert "NaN" not in before
    box.locator("input[type=range]").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert box.locator(".sentence").inner_text() != before
    assert box.locator("svg.picture path, svg.picture rect").count() >= 1
    assert "NaN" not in box.locator("svg.picture").inner_html()


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


# ---------------------------------------------------------------- the workbench
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.click("#fork-tokens button")
    page.click("#workbench > summary")
    do_lesson(page, "confident")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
