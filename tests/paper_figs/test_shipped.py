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
from paper_figs.gallery import decision_power, score_split, validation
from paper_figs.measured import shipped
from paper_figs.output import findings
from paper_figs.report import build, write_report
from paper_figs.report.summary import SHIPPED, markdown
from paper_figs.runner import make
from paper_figs.style import paper_style

AGREES = ["as proved", "holds", "holds", "holds", "as proved"]
WAYS = ("kl per token", "read off, greedy", "read off, sampled")


def text_record(spec: str) -> dict[str, Any]:
    """One pruned model: identical text at one length."""
    length = {f"{who}_{side}": 0.5 for who in ("forecast", "measured") for side in ("mean", "lower", "upper")}
    return {
        "spec": spec,
        "greedy": {"exact": 1.0},
        "survival": [length | {"n": 1}],
        "shared_noise": [length | {"n": 1}],
    }


def entry(task: str, decoding: str, loss: float) -> dict[str, Any]:
    """One task of one pruned model, forecast as it came out."""
    power = {"prompts": 40, "right": 0.9, "wrong": 0.0}
    never = {"prompts": None, "right": 0.1, "wrong": 0.0}
    found: dict[str, Any] = {
        "task": task,
        "decoding": decoding,
        "kind": "written",
        "signal": True,
        "questions": 200,
        "loss": loss,
        "truth": "safe" if loss <= 0.1 else "fails",
        "forecast": {"mean": loss, "lower": loss - 0.1, "upper": loss + 0.1},
        "measured": loss,
        "covered": True,
        "power": {"read off": power},
    }
    if decoding == "greedy":
        return found | {"answered": 50, "undecided": 1, "agree": 49}
    split = {"lost_right": max(loss, 0) + 0.01, "lost_wrong": 0.4, "gained_right": 0.01}
    return found | {"split": split, "power": {"read off": power, "ceiling": never, "counting": never}}


def score_record(number: int) -> dict[str, Any]:
    tasks = [
        entry(task, decoding, 0.004 * number)
        for task in ("units", "negation", "agreement")
        for decoding in ("greedy", "sampled")
    ]
    return {"spec": f"attn:{number}", "kl_per_token": 0.02 * number, "tasks": tasks}


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    texts = [text_record(f"attn:{number}") for number in range(1, 61)]
    scores = [score_record(number) for number in range(1, 61)]
    ranks = {
        task: dict(zip(WAYS, values, strict=True))
        for task, *values in (
            ("units", 0.2, 0.8, 0.9),
            ("negation", 0.1, 0.6, 0.7),
            ("agreement", 0.3, 0.9, 0.9),
        )
    }
    model = {"name": "toy"}
    found = {
        "texts": {"model": model, "prompts": {"measured": 4}, "specs": texts},
        "scores": {"model": model, "rank_correlation": {"tasks": ranks}, "specs": scores},
    }
    kinds = {"validation_": "texts", "scores_": "scores"}
    monkeypatch.setattr(shipped, "_documents", lambda package, start: {"toy.json": found[kinds[start]]})
    return found


def verdicts(context: Context, figure: Any) -> list[str]:
    frame = figure.FIGURE.compute(context)
    return [finding["verdict"] for finding in findings(figure.FIGURE, frame)]


@pytest.mark.parametrize(
    ("figure", "agrees"),
    [(validation, AGREES), (decision_power, ["holds", "holds"]), (score_split, ["holds", "holds"])],
)
def test_all_claims_hold_where_forecast_and_outcome_agree(
    figure: Any, agrees: list[str], context: Context, documents: dict[str, Any]
) -> None:
    frame = figure.FIGURE.compute(context)
    with paper_style():
        figure.draw(frame).savefig(io.BytesIO(), format="png", dpi=40)
    assert "toy" in figure.caption(frame, context.setup)
    assert figure.FIGURE.takeaway(frame)
    assert verdicts(context, figure) == agrees


def test_texts_alone_are_drawn_alone(context: Context, documents: dict[str, Any]) -> None:
    documents["scores"]["specs"], documents["scores"]["rank_correlation"] = [], {"tasks": {}}
    frame = validation.FIGURE.compute(context)
    with paper_style():
        canvas = validation.draw(frame)
    assert len(canvas.axes) == 1
    assert "real validate," not in validation.caption(frame, context.setup)
    assert verdicts(context, validation)[:3] == ["not tested"] * 3
    assert "as long as forecast" in validation._takeaway(frame)


def _each_score(documents: dict[str, Any], **values: Any) -> None:
    for record in documents["scores"]["specs"]:
        for one in record["tasks"]:
            one.update({name: value for name, value in values.items() if name in one})


def _power(read_off: int, wrong: float) -> dict[str, Any]:
    counts = {"read off": read_off, "ceiling": 32, "counting": 96}
    return {name: {"prompts": count, "right": 1.0, "wrong": wrong} for name, count in counts.items()}


def _one_order(documents: dict[str, Any]) -> None:
    for one in documents["scores"]["rank_correlation"]["tasks"].values():
        one[WAYS[0]] = 1.0


def _part_early(documents: dict[str, Any]) -> None:
    for one in documents["texts"]["specs"]:
        one["survival"][0].update(measured_lower=0.6, measured_upper=0.7)


def _never_exact(documents: dict[str, Any]) -> None:
    for one in documents["texts"]["specs"]:
        one["greedy"]["exact"] = 0.0


SPLIT = {"lost_right": 0.5, "lost_wrong": 0.1, "gained_right": 0.0}


@pytest.mark.parametrize(
    ("figure", "claim", "spoil"),
    [
        (validation, 0, lambda found: _each_score(found, agree=40)),
        (validation, 1, lambda found: _each_score(found, covered=False)),
        (validation, 2, _one_order),
        (validation, 3, _part_early),
        (validation, 4, _never_exact),
        (decision_power, 0, lambda found: _each_score(found, power=_power(64, 0.0))),
        (decision_power, 1, lambda found: _each_score(found, power=_power(24, 0.5))),
        (score_split, 0, lambda found: _each_score(found, loss=0.9)),
        (score_split, 1, lambda found: _each_score(found, split=SPLIT)),
    ],
)
def test_an_outcome_against_the_forecast_is_said(
    figure: Any, claim: int, spoil: Any, context: Context, documents: dict[str, Any]
) -> None:
    before = verdicts(context, figure)
    spoil(documents)
    assert verdicts(context, figure)[claim] != before[claim]


def test_other_data_make_the_figure_anew(documents: dict[str, Any]) -> None:
    before = shipped.validations_digest(), shipped.scores_digest()
    documents["texts"]["specs"][0]["greedy"]["exact"] = 0.5
    documents["scores"]["specs"][0]["kl_per_token"] = 0.5
    after = shipped.validations_digest(), shipped.scores_digest()
    assert all(new != old for new, old in zip(after, before, strict=True))


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


def test_the_readme_says_what_the_run_found() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    block = readme.read_text(encoding="utf-8").split("<!-- summary -->\n")[1].split("<!-- /summary -->")[0]
    assert block == markdown(json.loads(SHIPPED.read_text(encoding="utf-8")))


def test_the_readme_says_of_the_validation_what_the_file_says() -> None:
    root = Path(__file__).parents[2]
    known = json.loads((root / "real/data/scores_smollm2-135m.json").read_text("utf-8"))
    entries = [entry for record in known["specs"] for entry in record["tasks"]]
    greedy = [entry for entry in entries if entry["decoding"] == "greedy"]
    sampled = [entry for entry in entries if entry["decoding"] == "sampled"]
    answered, agree = (sum(entry[key] for entry in greedy) for key in ("answered", "agree"))
    covered = sum(entry["covered"] for entry in entries)
    right = {
        way: sum((entry["power"][way]["prompts"] or 999) <= 64 for entry in sampled)
        for way in ("read off", "ceiling", "counting")
    }
    order = known["rank_correlation"]["mean"]
    readme = " ".join((root / "README.md").read_text("utf-8").split())
    for said in (
        f"all {agree:,} of {answered:,} greedy answers",
        f"{covered} of {len(entries)} measured losses",
        f"for {right['read off']} of {len(sampled)} sampled scores read off",
        f"for {right['ceiling']} by the old ceiling",
        f"for {right['counting']} by counting",
        f"KL per token {order['kl per token']:.2f}, losses read off {order['read off, greedy']:.2f}",
    ):
        assert said in readme
