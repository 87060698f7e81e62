"""Figures of choices and repairs on tables whose verdicts are known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from paper_figs.gallery import pareto, repair
from paper_figs.output import findings, takeaway
from real.search.compare import ORDER

CASES = ("attn:4", "attn:8", "mlp:2")


def table(search: float, linear: float, spread: float = 0.1) -> pd.DataFrame:
    """KL of every way as a multiple of the cosine's unrepaired one; the search saves as much."""
    rows = []
    for (choice, way), (place, case) in itertools.product(ORDER, enumerate(CASES)):
        ratio = (search if choice == "search" else 1) * (linear if way == "linear" else 1)
        rows.append(
            {
                "case": case,
                "choice": choice,
                "repair": way,
                "spec": f"{case} {choice}",
                "saved": 0.02 * (place + 1) - (0.005 if way == "linear" else 0),
                "kl": 0.15 * (place + 1) * ratio,
                "kept": 1 - 0.1 * ratio,
                "ratio": ratio,
                "ratio_low": ratio * (1 - spread),
                "ratio_high": ratio * (1 + spread),
                "model": "made-up",
                "prompts": 5,
                "horizon": 8,
            }
        )
    return pd.DataFrame(rows)


def verdicts(search: float, linear: float, spread: float = 0.1) -> list[str]:
    frame = table(search, linear, spread)
    both = (repair.FIGURE, pareto.FIGURE)
    return [str(one["verdict"]) for figure in both for one in findings(figure, frame)]


def test_verdicts_follow_the_numbers() -> None:
    assert verdicts(0.8, 0.5) == ["holds"] * 5
    fails = "does not hold here"
    assert verdicts(1.3, 1.2) == [fails] * 5
    assert verdicts(0.95, 0.5) == ["holds", "holds", "undecided here", "holds", "holds"]
    assert verdicts(0.8, 0.95, spread=0.5)[:2] == ["undecided here", fails]


def test_takeaways_say_the_medians() -> None:
    assert "0.40x with search and linear repair, 0.50x with repair alone, 0.80x" in takeaway(
        repair.FIGURE, table(0.8, 0.5)
    )
    assert "search repaired 5.5%" in takeaway(pareto.FIGURE, table(0.8, 0.5))


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"kl": rng.random(40), "saved": rng.random(40)})
    front = pareto.front(rows)
    for index, row in rows.iterrows():
        others = rows.drop(index=[index])
        beaten = ((others["kl"] <= row["kl"]) & (others["saved"] >= row["saved"])).any()
        assert beaten == (index not in front.index)
