"""Verdicts follow their rules, and lack of power is never taken for a refutation."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paper_figs
from paper_figs.catalogue import FIGURES
from paper_figs.figure import Verdict, Whose
from paper_figs.gallery.fig01_dropping import choice_survives
from paper_figs.gallery.sequence_tv import monotone
from paper_figs.judging import as_proved, count_passed, decide, graded, tracks, untested
from paper_figs.limits import Limits
from theory import catalogue

CONDITION = st.sampled_from([True, False, None])
DECIDED = {Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS}


@given(st.lists(CONDITION, min_size=1, max_size=5), st.data())
def test_deciding_a_condition_never_overturns_a_verdict(conditions: list, data: st.DataObject) -> None:
    before = count_passed(conditions, "").verdict
    more = [data.draw(st.booleans()) if one is None else one for one in conditions]
    after = count_passed(more, "").verdict
    assert after in DECIDED
    assert before in (after, Verdict.UNDECIDED)


@given(*[st.floats(0, 1)] * 3, st.floats(0, 0.5), st.floats(0, 0.5))
def test_wider_limits_never_reach_another_verdict(
    a: float, b: float, c: float, down: float, up: float
) -> None:
    low, value, high = sorted((a, b, c))
    narrow = graded(Limits(value, low, high), "").verdict
    wide = graded(Limits(value, low - down, high + up), "").verdict
    assert wide in (narrow, Verdict.UNDECIDED)


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ([True, True], Verdict.HOLDS),
        ([True, False], Verdict.PARTLY),
        ([False, False], Verdict.FAILS),
        ([True, None], Verdict.UNDECIDED),
        ([True, False, None], Verdict.PARTLY),
        ([None, False], Verdict.UNDECIDED),
    ],
)
def test_conditions_are_counted(conditions: list, verdict: Verdict) -> None:
    assert count_passed(conditions, "").verdict == verdict


def test_grades_and_the_other_outcomes() -> None:
    assert graded(Limits(0.95, 0.91, 1), "").verdict == Verdict.HOLDS
    assert graded(Limits(0.7, 0.5, 0.8), "").verdict == Verdict.PARTLY
    assert graded(Limits(0.2, 0.1, 0.4), "").verdict == Verdict.FAILS
    assert graded(Limits(0.95, 0.8, 1), "").verdict == Verdict.UNDECIDED
    assert decide(None, "").verdict == Verdict.UNDECIDED
    assert untested("").verdict == Verdict.UNTESTED
    assert [as_proved(ok, "").verdict for ok in (True, False)] == [Verdict.AS_PROVED, Verdict.CONTRADICTED]


def test_tracking_counts_positions_and_not_the_largest_ones() -> None:
    truth = np.r_[np.full(99, 1e-3), 10.0]
    frame = pd.DataFrame(
        {"block": np.arange(100) % 8, "truth": truth, "guess": np.r_[np.full(99, 1.0), 10.0]}
    )
    judge = tracks("truth", "guess", lambda part: part["block"])
    assert frame["truth"].corr(frame["guess"]) > 0.99  # what the largest few say
    assert judge(frame).verdict == Verdict.FAILS


def ladder(written: float, chosen: float, width: float) -> pd.DataFrame:
    rows = [
        {"task": task, "method": method, "dropped": count, "source": "toy", "kept": value}
        | {"kept_low": value - width, "kept_high": value + width}
        for method in ("attn", "mlp", "block")
        for count, shown in ((0, 1.0), (4, None))
        for task, value in (
            ("capitals-choice", shown or chosen),
            ("units", shown or chosen),
            ("capitals-answer", shown or written),
            ("copy-4", shown or written),
        )
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("written", "chosen", "width", "verdict"),
    [
        (0.1, 0.9, 0.1, Verdict.HOLDS),
        (0.1, 0.2, 0.1, Verdict.FAILS),
        (0.1, 0.6, 0.3, Verdict.UNDECIDED),
        (0.5, 0.9, 0.3, Verdict.UNDECIDED),  # whether written answers are ruined is not known
        (1.0, 1.0, 0.1, Verdict.UNTESTED),  # nothing was ruined
    ],
)
def test_choice_survives_only_where_writing_is_ruined(
    written: float, chosen: float, width: float, verdict: Verdict
) -> None:
    assert choice_survives(ladder(written, chosen, width)).verdict == verdict


def test_band_of_a_monotone_curve_stays_valid_and_narrows() -> None:
    part = pd.DataFrame({"spec": "x", "n": [1, 2, 3, 4], "tv": [0.2, 0.1, 0.3, 0.4]})
    part = part.assign(divergence=part["tv"], shared_noise=part["tv"])
    part = part.assign(tv_lower=[0.1, 0.0, 0.5, 0.2], tv_upper=[0.9, 0.6, 0.1, 0.7])
    found = monotone(part, [1, 2, 4])  # limits at 3 are not among those that hold together
    assert found["tv_lower"].tolist() == [0.1, 0.1, 0.1, 0.2]
    assert found["tv_upper"].tolist() == [0.6, 0.6, 0.7, 0.7]
    assert found["tv"].is_monotonic_increasing


@pytest.mark.parametrize("name", list(FIGURES))
def test_claims_say_whose_they_are_and_name_theorems_that_exist(name: str) -> None:
    for claim in FIGURES[name].claims:
        for theorem in claim.theorems:
            assert catalogue[theorem].id == theorem
        assert claim.source.startswith("ours") == (claim.whose != Whose.PAPER) or "reviewer" in claim.source
        assert claim.rule.startswith("A theorem") == (claim.whose == Whose.THEOREM)


def test_no_verdict_is_read_out_of_text() -> None:
    """House rule: no ``in evidence``, no number cut out of an id."""
    folder = Path(inspect.getfile(paper_figs)).parent
    for path in [*folder.glob("*.py"), *(folder / "gallery").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                names = [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
                names += [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
                assert "evidence" not in names, f"{path.name}:{node.lineno} decides by the words of a finding"
