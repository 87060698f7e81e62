"""What a user does on the page."""

from __future__ import annotations

from playwright.sync_api import Page


def set_control(page: Page, name: str, value: object) -> None:
    """Move a control as a user would: set its value and let it report the change."""
    page.eval_on_selector(
        f"#{name}",
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(value),
    )


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
