"""Scores of tasks with limits, flips against the dense model, and which tasks show nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from real.pruning.calibration import spread
from real.tasks.harness import CHOICE_ONLY
from real.tasks.items import TASKS, task
from real.tasks.public_sets import PUBLIC

DENSE = "dense"
_RESAMPLES = 2000


def summarise(items: pd.DataFrame, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row per spec and task: score with Wilson interval, flips against dense, agreement.

    Columns: n, score, lower, upper (Wilson; bootstrap for graded scores), score_least, score_most (over three
    calibration texts, where another gives another model), change, change_lower, change_upper
    (paired bootstrap over items), right_to_wrong, wrong_to_right (counts of flips), mcnemar (exact p-value of
    as many flips one way and the other), agreement (share of equal answers), chance, choice_only.
    """
    dense = items[items.spec == DENSE].set_index(["task", "item"])
    random = np.random.default_rng(seed)
    rows = []
    for (spec, name), group in items.groupby(["spec", "task"], sort=False):
        if str(name).endswith(CHOICE_ONLY):
            continue
        before = dense.loc[pd.MultiIndex.from_frame(group[["task", "item"]])]
        change = group.correct.to_numpy() - before.correct.to_numpy()
        resampled = change[random.integers(len(change), size=(_RESAMPLES, len(change)))].mean(1)
        limits = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
        lower, upper = _score_limits(group.correct.to_numpy(), level, random)
        rows.append(
            {
                "spec": spec,
                "task": name,
                "n": len(group),
                "score": group.correct.mean(),
                "lower": lower,
                "upper": upper,
                **spread("score", _calibrations(group)),
                "change": change.mean(),
                "change_lower": limits[0],
                "change_upper": limits[1],
                "right_to_wrong": int((change < 0).sum()),
                "wrong_to_right": int((change > 0).sum()),
                "mcnemar": _mcnemar(change),
                "agreement": (group.prediction.to_numpy() == before.prediction.to_numpy()).mean(),
                "chance": chance(str(name)),
                "choice_only": _choice_only(items, str(name)),
            }
        )
    return pd.DataFrame(rows)


def _calibrations(group: pd.DataFrame) -> list[float]:
    """Scores over calibration texts; none where one text is all that was asked."""
    columns = [name for name in group if str(name).startswith("correct_") and group[name].notna().all()]
    return [float(group[name].mean()) for name in ["correct", *columns]] if columns else []


def chance(name: str) -> float | None:
    """Score of guessing, where it is known."""
    if name in TASKS:
        return task(name).chance
    public = PUBLIC.get(name.partition(":")[0])
    return None if public is None else public.chance


def without_signal(summary: pd.DataFrame) -> list[str]:
    """Tasks that the dense model cannot do beyond doubt: its interval reaches chance (or 1 % where none is).

    A pruned model can lose nothing there, and a change of such a score says nothing.
    """
    dense = summary[summary["spec"] == DENSE]
    chance = dense["chance"].astype(float).fillna(0).clip(lower=0.01)
    return [str(name) for name in dense["task"][dense["lower"].astype(float) <= chance]]


def _mcnemar(change: np.ndarray[Any, Any]) -> float:
    """Exact: given that an item flips, either way is as likely."""
    worse, flips = int((change < 0).sum()), int((change != 0).sum())
    return float(binomtest(worse, flips).pvalue) if flips else 1.0


def _score_limits(
    scores: np.ndarray[Any, Any], level: float, random: np.random.Generator
) -> tuple[float, float]:
    """Wilson's interval of a share; a bootstrap over items where scores lie between 0 and 1."""
    if set(np.unique(scores)) <= {0.0, 1.0}:
        wilson = binomtest(int(scores.sum()), len(scores)).proportion_ci(level, method="wilson")
        return float(wilson.low), float(wilson.high)
    means = scores[random.integers(len(scores), size=(_RESAMPLES, len(scores)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _choice_only(items: pd.DataFrame, name: str) -> float | None:
    blind = items[items.task == f"{name}/{CHOICE_ONLY}"]
    return float(blind.correct.mean()) if len(blind) else None
