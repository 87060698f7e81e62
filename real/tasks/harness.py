"""The shipped tasks in the form lm-evaluation-harness runs; any other name is one of the harness' own."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

from real.tasks.items import Task, task

CHOICE_ONLY = "choice-only"


def harness_task(name: str, *, choice_only: bool = False) -> ConfigurableTask:
    """Build the harness task of a shipped one; ``choice_only`` removes the question (a baseline)."""
    one = task(name)
    if choice_only and one.kind != "choice":
        raise ValueError(f"task {name!r} has no options, so no {CHOICE_ONLY} baseline")
    docs = [
        {
            **item,
            "context": "" if choice_only else one.preamble + item["question"],
            "item": index,
        }
        for index, item in enumerate(one.items)
    ]
    config: dict[str, Any] = {
        "task": f"{name}/{CHOICE_ONLY}" if choice_only else name,
        "custom_dataset": lambda **_: {"test": Dataset.from_list(docs)},
        "test_split": "test",
        "doc_to_text": "{{context}}",
        "target_delimiter": one.delimiter,
        "metadata": {"version": 1},
    }
    return ConfigurableTask(config=config | (_choice(one) if one.kind == "choice" else _generation(one)))


def _choice(one: Task) -> dict[str, Any]:
    return {
        "output_type": "multiple_choice",
        "doc_to_choice": "options",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc_norm" if one.normalised else "acc"}],
    }


def _generation(one: Task) -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "process_results": _exact_match,
        "generation_kwargs": {"until": list(one.stop), "max_gen_toks": one.max_tokens, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }


def _exact_match(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    return {"exact_match": float(results[0].strip() == doc["answer"])}
