"""What is left of a score: the one notion by which every figure compares tasks.

Kept share: (score - chance) / (dense score - chance), 1 where nothing was lost, 0 at chance; chance is 0 for
answers that are written out. Its limits come from Jeffreys' posterior of the paired outcomes, item by item
(for graded scores from the Bayesian bootstrap). Where the dense model itself is not certainly above chance,
there is nothing to keep and the task says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from paper_figs.limits import Limits, average, of_draws, paired_shares
from real.tasks.baselines import with_signal
from real.tasks.summary import DENSE

COLUMNS = ("kept", "kept_low", "kept_high")


def add_kept(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """``table`` of ``real.tasks.summary.summarise`` with the three columns; NaN where there is nothing."""
    found = [_kept(row, seed) for row in table.itertuples()]
    values = [(np.nan,) * 3 if one is None else (one.value, one.low, one.high) for one in found]
    return table.join(pd.DataFrame(values, columns=pd.Index(COLUMNS), index=table.index, dtype=float))


def left_out(model: str) -> str:
    """Why the tasks are small ones and no public benchmarks, and how to measure one of those."""
    names = (
        f" (those beyond chance on this model: {', '.join(found)})" if (found := with_signal(model)) else ""
    )
    return (
        f"Public benchmarks{names} are left out for time; python -m real evaluate {model} attn:8 --tasks "
        "arc_easy --limit 200 measures one."
    )


def _kept(row: Any, seed: int) -> Limits | None:
    floor = 0.0 if pd.isna(row.chance) else float(row.chance)
    lost, gained = int(row.right_to_wrong), int(row.wrong_to_right)
    right = round(row.n * row.score)
    before, after = paired_shares(right - gained, lost, gained, row.n - right - lost, seed)
    dense = (right - gained + lost) / row.n
    if np.quantile(before, 0.025) <= floor or dense <= floor:
        return None
    if row.spec == DENSE:
        return Limits(1.0, 1.0, 1.0)
    return of_draws(_ratio(before, after, floor), (row.score - floor) / (dense - floor))


def kept_of_graded(dense: ArrayLike, other: ArrayLike, floor: float, seed: int = 0) -> Limits | None:
    """Kept share of paired scores between 0 and 1, one pair for each item."""
    before, after = np.asarray(dense, dtype=float), np.asarray(other, dtype=float)
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(before)), 4000)
    drawn = weights @ before
    if np.quantile(drawn, 0.025) <= floor:
        return None
    value = float((after.mean() - floor) / (before.mean() - floor))
    return of_draws(_ratio(drawn, weights @ after, floor), value)


def _ratio(before: np.ndarray, after: np.ndarray, floor: float) -> np.ndarray:
    """Kept share draw by draw; a draw that puts the dense score at chance limits nothing from above."""
    with np.errstate(divide="ignore"):
        return np.where(before > floor, (after - floor) / np.maximum(before - floor, 1e-12), np.inf)


def kept_share(rows: pd.DataFrame) -> Limits | None:
    """Mean kept share over the tasks in ``rows``; None if one of them says nothing."""
    if not len(rows) or rows[COLUMNS[0]].isna().any():
        return None
    return average([Limits(*map(float, row)) for row in rows[list(COLUMNS)].to_numpy()])
