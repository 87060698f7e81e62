"""Measure a dense model on tasks, one after the other, into a table that names its run and grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from real.cache import cache_folder
from real.models.load import LanguageModel
from real.tasks.baselines import Baseline, baseline_rows
from real.tasks.evaluate import answer, require_allowed, task_manager
from real.tasks.summary import DENSE, summarise, without_signal
from theory.terminal.console import track
from theory.terminal.writing import write_json

_FORMAT = "softmax-drift/1"


def measure(
    lm: LanguageModel,
    tasks: Sequence[str],
    path: Path | None = None,
    *,
    limit: int | None = None,
    batch_size: int = 16,
    allow_code: bool = False,
) -> list[Baseline]:
    """Ask ``lm`` the first ``limit`` items of every task; the file ``path`` has each as soon as it is known.

    Tasks that the file has with this limit already are not asked again, others of the file stay. Answers are
    kept in the cache as well.

    Raises
    ------
    ValueError
        ``path`` is no such table, or one of other weights or another harness.
    UnknownNameError, SandboxUnavailableError
        See :func:`real.tasks.evaluate.evaluate`.
    """
    require_allowed(tasks, allow_code)
    manager = task_manager(tasks)
    header = {
        "baselines": _FORMAT,
        "model": lm.name,
        "weights": lm.content["weights"],
        "dtype": str(lm.model.dtype).removeprefix("torch."),
        "harness": version("lm-eval"),
    }
    known = [] if path is None else _read(path, header)
    for name in track(list(dict.fromkeys(tasks)), "measuring"):
        if any(one.task.partition(":")[0] == name and one.limit == limit for one in known):
            continue
        found = answer(lm, DENSE, [name], manager, limit, batch_size, cache_folder() / "answers")
        known = [one for one in known if one.task.partition(":")[0] != name]
        known = sorted(known + _rows(found, limit), key=lambda one: one.task)
        if path is not None:
            write_json(header | {"rows": [asdict(one) for one in known]}, path)
    return known


def _rows(items: pd.DataFrame, limit: int | None) -> list[Baseline]:
    summary = summarise(items)
    silent = without_signal(summary)
    return [
        Baseline(
            task=str(row["task"]),
            n=int(row["n"]),
            metric=str(items.loc[items["task"] == row["task"], "metric"].iloc[0]),
            score=round(float(row["score"]), 4),
            lower=round(float(row["lower"]), 4),
            upper=round(float(row["upper"]), 4),
            chance=None if pd.isna(row["chance"]) else round(float(row["chance"]), 4),
            signal=row["task"] not in silent,
            limit=limit,
        )
        for row in summary.to_dict("records")
    ]


def _read(path: Path, header: dict[str, Any]) -> list[Baseline]:
    """The rows of a table that the same run began; none where there is no file."""
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text("utf-8"))
        rows = baseline_rows(found)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} is no table of baselines: remove it or name another file") from None
    if other := [name for name, value in header.items() if found.get(name) != value]:
        raise ValueError(
            f"{path} holds baselines of another run ({other[0]} {found.get(other[0])!r}, here "
            f"{header[other[0]]!r}): name another file"
        )
    return rows
