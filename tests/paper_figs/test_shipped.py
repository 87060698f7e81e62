"""Results that ship with the package, as figures and in the report's appendix."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from paper_figs.context import Context
from paper_figs.figure import Figure
from paper_figs.gallery import validation
from paper_figs.measured import shipped
from paper_figs.output import findings
from paper_figs.report import build, write_report
from paper_figs.runner import make
from paper_figs.style import paper_style

AGREES = ["holds", "holds", "as proved", "holds"]


def record(spec: str, kl: float, change: float) -> dict[str, Any]:
    """One pruned model: one task of either kind, identical text at one length."""
    ceiling = {
        "n": 10,
        "change": change,
        "sampled_change": change,
        "ceiling_upper": 0.4,
    }
    length = {f"{who}_{side}": 0.5 for who in ("forecast", "measured") for side in ("mean", "lower", "upper")}
    return {
        "spec": spec,
        "kl_per_token": {"mean": kl, "lower": kl, "upper": kl},
        "generation_loss": kl / 4,
        "choice_loss": 0.0,
        "greedy": {"exact": 1.0},
        "tasks": [
            ceiling | {"task": "choice", "kind": "choice"},
            ceiling | {"task": "generation", "kind": "generation", "greedy_ceiling": 0.5},
        ],
        "survival": [length | {"n": 1}],
        "shared_noise": [length | {"n": 1}],
    }


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    specs = [record(f"attn:{k}", 0.02 * k, 0.1 if k % 2 else -0.3) for k in range(1, 61)]
    one = {"model": {"name": "toy"}, "prompts": {"measured": 4}, "specs": specs}
    monkeypatch.setattr(shipped, "_documents", lambda package, start: {"validation_toy.json": one})
    return one


def verdicts(context: Context) -> list[str]:
    frame = validation.compute(context, "")
    return [finding["verdict"] for finding in findings(validation.FIGURE, frame)]


def test_all_claims_hold_where_forecast_and_outcome_agree(
    context: Context, documents: dict[str, Any]
) -> None:
    frame = validation.compute(context, "")
    with paper_style():
        validation.draw(frame).savefig(io.BytesIO(), format="png", dpi=40)
    assert "toy (60 specs, 4 prompts)" in validation.caption(frame, context.setup)
    assert verdicts(context) == AGREES


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        (0, lambda one: [task.update(change=0.6) for task in one["tasks"]]),
        (0, lambda one: [task.update(sampled_change=-0.5) for task in one["tasks"]]),
        (1, lambda one: one["survival"][0].update(measured_lower=0.6, measured_upper=0.7)),
        (2, lambda one: one["greedy"].update(exact=0.0)),
        (3, lambda one: one.update(generation_loss=0.9 if one["spec"] == "attn:1" else 0.0)),
    ],
)
def test_an_outcome_against_the_forecast_is_said(
    claim: int, spoil: Any, context: Context, documents: dict[str, Any]
) -> None:
    for one in documents["specs"]:
        spoil(one)
    assert verdicts(context)[claim] != AGREES[claim]


def test_other_data_make_the_figure_anew(documents: dict[str, Any]) -> None:
    before = shipped.validations_digest()
    documents["specs"][0]["greedy"]["exact"] = 0.5
    assert shipped.validations_digest() != before


def test_report_lists_what_sweep_and_attack_found(
    page: Page, context: Context, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"claim": "B1", "theorem": "B1", "draws": 12345, "violations": 0}
    sweep = {"seed": 0, "total_draws": 12345, "claims": [claim | {"slack_upper": 2e-9, "slack_lower": None}]}
    best = {"theorem": "B1", "claim": "B1", "side": "upper", "sharp": True, "tightness": {"2": 0.999999}}
    for name, data in (("SWEEP", sweep), ("ATTACK", {"seed": 0, "attacked": [best]})):
        (tmp_path / name).write_text(json.dumps(data))
        monkeypatch.setattr(build, name, tmp_path / name)
    monkeypatch.setattr(build, "FIGURES", {"small": figure})
    make([figure], context, tmp_path / "out")
    page.goto(write_report(tmp_path / "out").as_uri())
    page.click("#tests summary")
    row = page.inner_text("#tests tbody tr")
    assert [word in row for word in ("B1", "12,345", "2.0e-09", "0.999999")] == [True] * 4
