"""Rules that several figures share, each beside the words that state it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from paper_figs.figure import Finding, Verdict

TRACKS_RULE = (
    "Pearson correlation at least 0.9 and median estimate/truth between 0.8 and 1.25 (medians over layers, "
    "where there are several): both hold, one holds partly, none does not hold."
)


def cell(table: pd.DataFrame, row: Any, column: str) -> float:
    """One number of a table; pandas does not say what type a cell has."""
    return float(cast(Any, table.at[row, column]))


def count_passed(passed: Sequence[bool], evidence: str) -> Finding:
    """All conditions met holds, none does not, anything between holds partly."""
    if all(passed):
        return Finding(Verdict.HOLDS, evidence)
    return Finding(Verdict.PARTLY if any(passed) else Verdict.FAILS, evidence)


def tracks(frame: pd.DataFrame, truth: str, estimate: str, by: str | None = None) -> Finding:
    """Apply ``TRACKS_RULE``, for each group of ``by`` and then to the medians over groups."""
    groups = [frame] if by is None else [part for _, part in frame.groupby(by)]
    pearson = float(np.nanmedian([part[truth].corr(part[estimate]) for part in groups]))
    ratio = float(np.nanmedian([(part[estimate] / part[truth]).median() for part in groups]))
    evidence = f"Pearson {pearson:.3f}, median estimate/truth {ratio:.2f}, {len(frame)} points"
    return count_passed([pearson >= 0.9, 0.8 <= ratio <= 1.25], evidence)
