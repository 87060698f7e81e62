"""Dense scores of public benchmarks as data: the measured table that ships, and where there is signal.

A benchmark shows something on a model only where its score is beyond chance: ask :func:`with_signal` before
drawing one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from real.models.registry import DEFAULT


@dataclass(frozen=True)
class Baseline:
    """One task, dense. lower, upper: 95 % limits of the score over items (Wilson, or a bootstrap).

    task: with ``:way`` where the harness reads answers in several ways. limit: items asked for, None for all.
    signal: the lower limit is beyond chance (beyond 1 % where nothing can be guessed).
    """

    task: str
    n: int
    metric: str
    score: float
    lower: float
    upper: float
    chance: float | None
    signal: bool
    limit: int | None


def shipped_baselines(model: str = DEFAULT) -> list[Baseline]:
    """The measured table of a model that ships with the package; empty where there is none.

    Examples
    --------
    >>> {one.task for one in shipped_baselines() if one.signal} >= {"piqa", "lambada_openai"}
    True
    """
    place = files("real").joinpath(f"data/baselines_{model}.json")
    return baseline_rows(json.loads(place.read_text("utf-8"))) if place.is_file() else []


def with_signal(model: str = DEFAULT) -> list[str]:
    """Public tasks on which the shipped table finds the model beyond chance, in the order of their names."""
    return sorted({one.task.partition(":")[0] for one in shipped_baselines(model) if one.signal})


def published(model: str = DEFAULT) -> dict[str, tuple[float, str]]:
    """Scores that the model's authors state, by task, with their source; other harnesses, other prompts."""
    place = files("real").joinpath(f"data/published_{model}.json")
    if not place.is_file():
        return {}
    cited = json.loads(place.read_text("utf-8"))
    base = {name: (score, cited["base_source"]) for name, score in cited["base_scores"].items()}
    return base | {name: (score, cited["source"]) for name, score in cited["scores"].items()}


def baseline_rows(found: dict[str, Any]) -> list[Baseline]:
    """The rows of a table that was read from JSON."""
    return [Baseline(**row) for row in found["rows"]]
