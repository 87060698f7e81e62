"""From limits to verdicts: a verdict stands only if every value within the limits leads to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd

from paper_figs.figure import Finding, Verdict
from paper_figs.limits import Limits, share

WITHIN = 1.25
TRACKS_RULE = (
    f"Share of positions at which estimate and truth are within a factor {WITHIN:g} of each other: holds "
    "from 90 %, partly from 50 %."
)


def cell(table: pd.DataFrame, row: Any, column: str) -> float:
    """One number of a table; pandas does not say what type a cell has."""
    return float(cast(Any, table.at[row, column]))


def decide(condition: bool | None, evidence: str) -> Finding:
    """One condition: it holds, it does not, or its limits allow both."""
    return count_passed([condition], evidence)


def count_passed(conditions: Sequence[bool | None], evidence: str) -> Finding:
    """All conditions met holds, none does not, anything between holds partly.

    A condition that is None may be met or not; if that leaves more than one verdict possible, nothing is
    decided.
    """
    choices = [(True, False) if condition is None else (bool(condition),) for condition in conditions]
    possible = {_counted(met) for met in product(*choices)}
    return Finding(possible.pop() if len(possible) == 1 else Verdict.UNDECIDED, evidence)


def _counted(met: Sequence[bool]) -> Verdict:
    return Verdict.HOLDS if all(met) else Verdict.PARTLY if any(met) else Verdict.FAILS


def graded(part: Limits, evidence: str, holds: float = 0.9, partly: float = 0.5) -> Finding:
    """The verdict for a claim about many cases that is true in a share ``part`` of them."""
    low, high = (
        Verdict.HOLDS if end >= holds else Verdict.PARTLY if end >= partly else Verdict.FAILS
        for end in (part.low, part.high)
    )
    return Finding(low if low == high else Verdict.UNDECIDED, evidence)


def untested(why: str) -> Finding:
    """The claim's condition never occurred."""
    return Finding(Verdict.UNTESTED, why)


def as_proved(agrees: bool, evidence: str) -> Finding:
    """Numbers laid beside a theorem; they can only show an error of the code."""
    return Finding(Verdict.AS_PROVED if agrees else Verdict.CONTRADICTED, evidence)


def within(frame: pd.DataFrame, truth: str, estimate: str, unit: pd.Series) -> tuple[Limits, str]:
    """Share of rows whose ``estimate`` is within ``WITHIN`` of the ``truth``, and a sentence about it."""
    known = (frame[truth] > 0) & (frame[estimate] > 0)
    part, unit = frame[known], unit[known]
    log_ratio = pd.Series(np.log(part[estimate] / part[truth]), part.index)
    close = share(log_ratio.abs() <= np.log(WITHIN), unit)
    words = (
        f"{percent(close)} of {len(part)} positions, median estimate/truth {np.exp(log_ratio.median()):.2f}"
    )
    return close, words


def tracks(truth: str, estimate: str, unit: Callable[[pd.DataFrame], pd.Series]) -> Any:
    """A judge by ``TRACKS_RULE``."""

    def judge(frame: pd.DataFrame) -> Finding:
        return graded(*within(frame, truth, estimate, unit(frame)))

    return judge


def percent(limits: Limits) -> str:
    """``42 % [31, 55]``."""
    return f"{100 * limits.value:.0f} % [{100 * limits.low:.0f}, {100 * limits.high:.0f}]"
