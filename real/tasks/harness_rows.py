"""From what the harness logs to one row per item: the answer, its score, the options' probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

METRICS = ("acc_norm", "acc", "exact_match", "f1", "em")


class UncountedTask(ValueError):
    """A task of the harness whose answers have no score each, or must not be run."""


def require_countable(tasks: Mapping[str, Any]) -> None:
    """Raise, before anything is asked, for harness tasks without a score per item or that run code.

    Raises
    ------
    UncountedTask
        One sentence that names the task and the measures that it has.
    """
    for name, one in tasks.items():
        if getattr(one, "UNSAFE_CODE", False):
            raise UncountedTask(
                f"task {name!r} of the harness executes what the model writes without isolation: not run"
            )
        measured = sorted(one.aggregation())
        if one.OUTPUT_TYPE == "loglikelihood_rolling" or not set(measured) & set(METRICS):
            raise UncountedTask(
                f"task {name!r} of the harness has no score per item (it measures {', '.join(measured)}); "
                f"scores that can be compared are {', '.join(METRICS)}"
            )


def item_rows(name: str, one: Any, samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of one task: task, item, metric, correct (by that metric), prediction, probabilities.

    A task that reads answers in several ways (filters) gives one row per item and way; the ways are told
    apart in ``task`` as ``name:way``.
    """
    ways = {sample["filter"] for sample in samples}
    for sample in samples:
        metric = _metric(name, sample)
        yield {
            "task": name if len(ways) == 1 else f"{name}:{sample['filter']}",
            "item": sample["doc_id"],
            "metric": metric,
            "correct": float(sample[metric]),
            **_answer(one, sample),
        }


def _metric(name: str, sample: dict[str, Any]) -> str:
    for metric in METRICS:
        if isinstance(sample.get(metric), bool | int | float | np.number):
            return metric
    raise ValueError(f"task {name!r} of the harness gave no score for item {sample['doc_id']}")


def _answer(one: Any, sample: dict[str, Any]) -> dict[str, Any]:
    """The generated text, or the chosen option's index and the options' probabilities."""
    answers = sample["filtered_resps"]
    if one.OUTPUT_TYPE != "multiple_choice":
        first = answers[0][0] if isinstance(answers[0], list | tuple) else answers[0]
        return {"prediction": str(first).strip(), "probabilities": None}
    options = one.doc_to_choice(sample["doc"])
    # Some tasks ask for the options without the question as well: those come after.
    scores = np.array([float(answer[0]) for answer in answers[: len(options)]])
    if "acc_norm" in sample:
        scores = scores / np.array([max(1, len(option)) for option in options])
    return {"prediction": str(int(scores.argmax())), "probabilities": tuple(softmax(scores).tolist())}
