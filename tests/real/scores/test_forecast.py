from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.scores.forecast import Rule, forecast_scores
from real.scores.options import choose
from real.scores.routes import ReadOff, noise_floor, route
from real.scores.sampled import Draw, ScorerError, read_with, scored
from real.scores.verdict import Outcome, between, of_prompts_like_these, of_these_prompts
from real.tasks.evaluate import answer, task_manager
from real.tasks.source import Asked, TaskSource, shipped
from tests.real.scores.few_tokens import every_text, few_tokens

LETTERS = TaskSource(
    "letters",
    tuple(Asked(f"ab{'ab' * n}", ("ab",)) for n in range(6)),
    stops=(".",),
    lead="",
    horizon=3,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))


def test_an_unchanged_model_loses_nothing() -> None:
    report = forecast_scores(few_tokens(2), ["attn:0"], [LETTERS])
    for one in report.verdicts:
        assert one.before.lower <= one.after.upper
        assert one.after.lower <= one.before.upper
        assert one.these.outcome is Outcome.SAFE
        assert one.these.loss.lower <= 0 <= one.these.loss.upper
    assert report.outcome(about="these") is Outcome.SAFE
    assert report.outcome(about="like") is Outcome.UNDECIDED


def test_a_report_draws_every_verdict() -> None:
    report = forecast_scores(few_tokens(2), ["attn:0", "mlp:[0]"], [LETTERS])
    (axis,) = report.plot().axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [f"{one.task}, {one.spec}, {one.decoding}" for one in report.verdicts]
    assert len(axis.lines) == 2 * len(labels) + 1


def test_names_are_data() -> None:
    """Names of files and models may hold markup; a page shows them as text."""
    lm = few_tokens(2)
    named = LanguageModel(lm.model, lm.tokenizer, "<i>m</i>", lm.provenance)
    page = forecast_scores(named, ["attn:0"], [replace(LETTERS, name="<b>t</b>")])._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page


def right_mass(lm: LanguageModel, prompt: tuple[int, ...]) -> float:
    return sum(mass for text, mass in every_text(lm, prompt, 3) if text.split(".")[0].strip() == "ab")


def test_the_loss_is_that_of_all_texts() -> None:
    lm = few_tokens(4)
    report = forecast_scores(lm, ["mlp:[0]"], [LETTERS])
    losses = []
    for prompt in LETTERS.prompts(lm):
        before = right_mass(lm, prompt)
        with variant(lm, "mlp:[0]") as other:
            losses.append(before - right_mass(other, prompt))
    (one,) = [v for v in report.verdicts if v.decoding == "sampled"]
    assert one.these.loss.lower - 1e-9 <= sum(losses) / len(losses) <= one.these.loss.upper + 1e-9


def test_both_routes_agree_on_the_loss() -> None:
    """Read off, and estimated from scored samples: the exact loss lies inside the band."""
    lm = few_tokens(4)
    scorer = lambda text, one: float(text in one.answers)  # noqa: E731
    exact = forecast_scores(lm, ["mlp:[0]"], [LETTERS])
    band = forecast_scores(lm, ["mlp:[0]"], [LETTERS], scorer=scorer, samples=40)
    (truth,) = [v for v in exact.verdicts if v.decoding == "sampled"]
    (one,) = band.verdicts
    assert one.decoding == "sampled"
    assert one.these.loss.lower <= truth.these.loss.lower
    assert truth.these.loss.upper <= one.these.loss.upper
    assert one.like.loss.upper >= one.these.loss.upper - 1e-9
    split = one.explanation
    assert split is not None
    assert one.like.loss.mean <= split.lost_right + 1e-9  # K2
    assert one.like.loss.mean == pytest.approx(split.lost_right - split.gained_right)
    assert 0 < split.sample_size <= 6
    assert not split.usable
    assert "lost_right" in band.frame().columns


def test_drift_after_the_stop_does_not_count() -> None:
    lm = few_tokens(4)
    dense = scored(lm, LETTERS, lambda text, one: 0.0, Draw(8))
    length = dense.samples.lengths - dense.samples.prompt_lengths
    assert bool((dense.decided <= length).all())
    assert bool((dense.decided < length).any())
    with variant(lm, "mlp:[0]") as other:
        texts = read_with(other, dense, 0, 6)
        some = read_with(other, dense, 2, 4)
    torch.testing.assert_close(some.log_weights, texts.log_weights[16:32])
    assert some.prompt.tolist() == [0] * 8 + [1] * 8


def test_options_are_compared_as_the_harness_does(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    for name in ("agreement", "units"):
        source = shipped(name, 12)
        rows = answer(tiny_lm, "dense", [name], task_manager([name]), 12, 4, tmp_path)
        found = choose(tiny_lm, source)
        assert found.likely.tolist() == rows.correct.tolist()
        right = [
            p[one.options.index(one.answers[0])]
            for p, one in zip(rows.probabilities, source.questions, strict=True)
        ]
        torch.testing.assert_close(
            found.drawn, torch.tensor(right, dtype=torch.float64), rtol=1e-3, atol=1e-5
        )


def test_reading_stops_when_it_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    many = TaskSource(
        "many", tuple(Asked("ab" * (1 + n % 13) + "a" * (n % 7), ("ab",)) for n in range(90)), (".",), "", 3
    )
    lm = few_tokens(2)
    report = forecast_scores(lm, ["attn:0"], [many], rule=Rule(until_decided=True))
    assert {one.prompts for one in report.verdicts} == {64}
    assert report.outcome() is Outcome.SAFE


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        (lambda text, one: 1 / 0, "question 1: the scorer raised ZeroDivisionError"),
        (lambda text, one: 1.5, "question 1: the scorer gave 1.5"),
        (lambda text, one: float("nan"), "question 1: the scorer gave nan"),
        (lambda text, one: "good", "question 1: the scorer raised ValueError"),
    ],
)
def test_a_bad_scorer_costs_one_sentence_and_no_text(
    scorer: Callable[[str, Asked], float], sentence: str, tmp_path: Path
) -> None:
    lm = few_tokens(1)
    with pytest.raises(ScorerError, match=sentence):
        scored(lm, LETTERS, scorer, folder=tmp_path)
    kept = list(tmp_path.glob("*.json"))
    assert len(kept) == 1
    lm.model.generate = None  # type: ignore[assignment]
    assert len(scored(lm, LETTERS, lambda text, one: 0.0, folder=tmp_path).texts) == 24


@pytest.mark.parametrize(
    ("questions", "sentence"),
    [
        ([Asked("ab", ())], "question 1: no right answer is given"),
        (
            [Asked("ab", ("ab",)), Asked("ba", ("xyz",))],
            "question 2: no tokens of this vocabulary write 'xyz'",
        ),
        ([Asked("ab", ("abababab",))], "question 1: the answer 'abababab' needs 4 tokens, more than the 3"),
        ([Asked("ab", ("a.b",))], "question 1: no text is right"),
    ],
)
def test_answers_that_cannot_be_read_off_are_named(questions: list[Asked], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        route(few_tokens(0), TaskSource("bad", tuple(questions), (".",), "", 3))
    assert "\n" not in str(caught.value)


def test_a_chat_template_is_used_unless_the_task_says_no(tiny_lm: LanguageModel) -> None:
    found = route(tiny_lm, TaskSource("plain", (Asked("ab", ("x",)),)))
    assert isinstance(found, ReadOff)
    assert found.trees[0].question.prompt == tuple(tiny_lm.tokenizer("ab").input_ids)


def test_half_precision_measures_its_own_noise_and_widens_the_limits() -> None:
    lm = few_tokens(4)
    assert noise_floor(route(lm, LETTERS), lm) == {}
    lm.model.to(torch.bfloat16)
    (one,) = [v for v in forecast_scores(lm, ["attn:0"], [LETTERS]).verdicts if v.decoding == "sampled"]
    floor = noise_floor(route(lm, LETTERS), lm)["sampled"]
    assert one.noise == pytest.approx(floor)
    assert 0 <= floor < 0.05
    assert one.these.loss.upper - one.these.loss.lower >= 2 * floor


def test_no_verdict_below_the_noise() -> None:
    half = torch.full((4000,), 0.5, dtype=torch.float64)
    for loss, outcome in ((0.05, Outcome.SAFE), (0.15, Outcome.FAILS)):
        evidence = between((half, half), (half - loss, half - loss))
        for judge in (of_these_prompts, of_prompts_like_these):
            assert judge(evidence, noise=0.01).outcome is outcome
            assert judge(evidence, noise=0.06).outcome is Outcome.UNDECIDED


def test_a_model_in_memory_is_forecast_as_any_other() -> None:
    """A transformers model with its tokenizer; two of one name share no kept text."""
    reports = []
    for seed in (2, 4):
        lm = few_tokens(seed)
        report = forecast_scores((lm.model, lm.tokenizer), ["mlp:[0]"], [LETTERS])
        named = forecast_scores(lm, ["mlp:[0]"], [LETTERS])
        assert report.model == "model in memory"
        assert [one.after for one in report.verdicts] == [one.after for one in named.verdicts]
        reports.append(report)
    assert reports[0].verdicts != reports[1].verdicts
