from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from real.scores.report import ScoreReport, ScoreVerdict
from real.scores.verdict import (
    Evidence,
    Interval,
    Outcome,
    Verdict,
    between,
    log_evidence_of_safety,
    of_prompts_like_these,
    of_these_prompts,
    sampled,
)
from theory.sequences.scores import ScoredTexts, score_band

UNIT = st.floats(0, 1, width=32)


def ends(values: list[tuple[float, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.tensor([sorted(pair) for pair in values], dtype=torch.float64)
    return both[:, 0], both[:, 1]


@given(st.lists(st.tuples(UNIT, UNIT, UNIT, UNIT, UNIT, UNIT), min_size=1, max_size=40), st.floats(0.02, 0.5))
def test_the_listed_prompts_need_no_statistics(rows: list[tuple[float, ...]], epsilon: float) -> None:
    """The true change lies between the ends, whatever the scores inside them, and so does the verdict."""
    before, after = ends([row[:2] for row in rows]), ends([row[2:4] for row in rows])
    inside = torch.tensor([row[4:] for row in rows], dtype=torch.float64)
    true_before = before[0] + inside[:, 0] * (before[1] - before[0])
    true_after = after[0] + inside[:, 1] * (after[1] - after[0])
    loss = float((true_before - true_after).mean())
    verdict = of_these_prompts(between(before, after), epsilon)
    assert verdict.loss.lower - 1e-12 <= loss <= verdict.loss.upper + 1e-12
    if verdict.outcome is Outcome.SAFE:
        assert loss <= epsilon + 1e-12
    if verdict.outcome is Outcome.FAILS:
        assert loss >= epsilon - 1e-12


def same(count: int, score: float = 1.0) -> Evidence:
    scores = torch.full((count,), score, dtype=torch.float64)
    return between((scores, scores), (scores, scores))


def test_sixteen_clean_prompts_cannot_be_called_safe_and_the_missing_ones_are_named() -> None:
    verdict = of_prompts_like_these(same(16))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.more is not None
    assert of_prompts_like_these(same(16 + verdict.more)).outcome is Outcome.SAFE
    assert of_prompts_like_these(same(16 + verdict.more - 1)).outcome is Outcome.UNDECIDED


def test_a_destroyed_score_fails_and_a_hopeless_one_names_no_number() -> None:
    right, wrong = torch.ones(60, dtype=torch.float64), torch.zeros(60, dtype=torch.float64)
    assert of_prompts_like_these(between((right, right), (wrong, wrong))).outcome is Outcome.FAILS
    tenth = torch.full((40,), 0.1, dtype=torch.float64)
    exactly = of_prompts_like_these(
        between((right[:40], right[:40]), (right[:40] - tenth, right[:40] - tenth))
    )
    assert exactly.outcome is Outcome.UNDECIDED
    assert exactly.more is None


def test_a_gain_is_safe() -> None:
    right, wrong = torch.ones(60, dtype=torch.float64), torch.zeros(60, dtype=torch.float64)
    verdict = of_prompts_like_these(between((wrong, wrong), (right, right)))
    assert verdict.outcome is Outcome.SAFE
    assert verdict.loss.mean == -1


def test_prompts_like_these_are_rarely_called_safe_wrongly() -> None:
    """A share of prompts is destroyed, the others untouched: the hardest law (K0)."""
    generator, wrong = torch.Generator().manual_seed(0), 0
    for _ in range(400):
        hit = (torch.rand(48, generator=generator) < 0.1001).double()
        evidence = between((torch.ones(48), torch.ones(48)), (1 - hit, 1 - hit))
        wrong += log_evidence_of_safety(evidence) >= math.log(20)
    assert wrong / 400 <= 0.05


def test_sampled_evidence_is_the_theory_s_band() -> None:
    generator = torch.Generator().manual_seed(1)
    texts = ScoredTexts(
        0.3 * torch.randn(160, generator=generator),
        (torch.rand(160, generator=generator) < 0.6).double(),
        torch.arange(40).repeat_interleave(4),
    )
    evidence = sampled(texts)
    for listed, judge in ((True, of_these_prompts), (False, of_prompts_like_these)):
        band = score_band(replace(texts, listed=listed)).change
        verdict = judge(evidence)
        assert verdict.loss.upper == pytest.approx(-float(band.lower))
        assert verdict.loss.lower == pytest.approx(-float(band.upper))
    assert of_these_prompts(evidence).loss.upper < of_prompts_like_these(evidence).loss.upper


def verdict(outcome: Outcome, log_evidence: float, spec: str, task: str = "t") -> ScoreVerdict:
    half = Interval(0.5, 0.5, 0.5)
    one = Verdict(outcome, Interval(0.0, -0.1, 0.1), 7 if outcome is Outcome.UNDECIDED else None)
    return ScoreVerdict(task, spec, "greedy", 40, half, half, one, one, log_evidence)


def report(many: str, *found: ScoreVerdict) -> ScoreReport:
    return ScoreReport("model", 0.1, 0.05, many, found, {})  # type: ignore[arg-type]


def test_a_ladder_ends_at_the_first_that_is_not_safe() -> None:
    rungs = [verdict(Outcome.SAFE, e, s) for e, s in ((4.0, "a"), (1.0, "b"), (9.0, "c"))]
    assert [one.spec for one in report("ladder", *rungs).together()] == ["a"]
    assert [one.spec for one in report("each", *rungs).together()] == ["a", "b", "c"]
    assert [one.spec for one in report("e-bh", *rungs).together()] == ["a", "c"]
    alone = [verdict(Outcome.SAFE, e, s) for e, s in ((3.1, "a"), (0.0, "b"), (0.0, "c"))]
    assert report("e-bh", *alone).together() == ()


def test_the_gate_takes_the_worst() -> None:
    sure, weak = verdict(Outcome.SAFE, 9.0, "a"), verdict(Outcome.SAFE, 3.0, "b")
    for many in ("each", "e-bh", "ladder"):
        both = report(many, sure, weak)
        assert both.outcome() is Outcome.SAFE
        assert both.together() == both.verdicts
    assert report("e-bh", sure, verdict(Outcome.FAILS, -9.0, "c")).outcome() is Outcome.FAILS
    assert report("each", sure, verdict(Outcome.UNDECIDED, 0.0, "c")).outcome() is Outcome.UNDECIDED
    sampled_only = replace(verdict(Outcome.FAILS, -9.0, "c"), decoding="sampled")
    assert report("each", sampled_only).outcome("greedy") is Outcome.FAILS


def test_a_report_shows_itself() -> None:
    one = report("each", verdict(Outcome.SAFE, 9.0, "a"), verdict(Outcome.UNDECIDED, 0.0, "b"))
    assert repr(one) == "<ScoreReport of model: 1 safe, 1 undecided (loss 0.1, prompts like these)>"
    assert "undecided, loss 0.00 (-0.10 to 0.10): about 7 more prompts" in one._repr_html_()
    frame = one.frame()
    assert frame["like_verdict"].tolist() == ["safe", "undecided"]
    assert frame["like_more_prompts"].tolist() == [pd.NA, 7]


def test_the_evidence_is_enough_exactly_where_the_limit_says_safe() -> None:
    for count in range(20, 50):
        safe = of_prompts_like_these(same(count)).outcome is Outcome.SAFE
        assert (log_evidence_of_safety(same(count)) >= math.log(20)) == safe
