"""Task items as data: what is asked, what is right, what they may be used for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from theory.names import lookup

TASKS = (
    "agreement",
    "units",
    "steps",
    "wikidata-choice",
    "capitals-choice",
    "addition-choice",
    "wikidata-answer",
    "capitals-answer",
    "addition-answer",
    "negation",
    "past-tense",
    "copy-1",
    "copy-2",
    "copy-4",
    "copy-8",
    "copy-16",
    "functions",
)


@dataclass(frozen=True)
class Task:
    """One task. Items have question and answer; those of ``choice`` have options, the answer is an index;
    of ``code`` the answer is a Python expression that must be true, see :mod:`real.tasks.functions`.

    family: tasks of one family ask the same facts in two ways, or the same at another length.
    chance: accuracy of guessing. normalised: options are compared per character. preamble: worked examples
    before every question. items are for evaluation, probes for a forecast; they share no question.
    """

    name: str
    family: str
    kind: Literal["choice", "generation", "code"]
    licence: str
    items: tuple[dict[str, Any], ...]
    probes: tuple[dict[str, Any], ...]
    chance: float | None = None
    normalised: bool = False
    preamble: str = ""
    delimiter: str = " "
    stop: tuple[str, ...] = ("\n",)
    max_tokens: int = 16


@cache
def task(name: str) -> Task:
    """Read one shipped task.

    Raises
    ------
    UnknownNameError
        ``name`` is not in ``TASKS``.
    """
    lookup("task", name, dict.fromkeys(TASKS))
    entry: dict[str, Any] = json.loads(files("real").joinpath(f"data/tasks/{name}.json").read_text("utf-8"))
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return Task(**fields)
