"""The shipped tasks in the form lm-evaluation-harness runs; any other name is one of the harness' own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from transformers import PreTrainedTokenizerBase

from real.tasks.functions import request, solved
from real.tasks.items import Task, task

CHOICE_ONLY = "choice-only"


def harness_task(
    name: str, tokenizer: PreTrainedTokenizerBase, *, choice_only: bool = False
) -> ConfigurableTask:
    """Build the harness task of a shipped one; ``choice_only`` removes the question (a baseline)."""
    one = task(name)
    if choice_only and one.kind != "choice":
        raise ValueError(f"task {name!r} has no options, so no {CHOICE_ONLY} baseline")
    docs = [
        {
            **item,
            "context": "" if choice_only else _context(one, item, tokenizer),
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
    if one.kind == "code":
        _, stops = request(tokenizer, one.items[0])
        config["target_delimiter"] = ""
        kind = _generation(stops, one.max_tokens, _solved)
    else:
        kind = _choice(one) if one.kind == "choice" else _generation(one.stop, one.max_tokens, _exact_match)
    return ConfigurableTask(config=config | kind)


def _context(one: Task, item: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> str:
    return request(tokenizer, item)[0] if one.kind == "code" else one.preamble + item["question"]


def _choice(one: Task) -> dict[str, Any]:
    return {
        "output_type": "multiple_choice",
        "doc_to_choice": "options",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc_norm" if one.normalised else "acc"}],
    }


def _generation(stops: Sequence[str], max_tokens: int, judge: Callable[..., Any]) -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "process_results": judge,
        "generation_kwargs": {"until": list(stops), "max_gen_toks": max_tokens, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }


def _exact_match(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    return {"exact_match": float(results[0].strip() == doc["answer"])}


def _solved(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    return {"exact_match": float(solved(doc, results[0]))}
