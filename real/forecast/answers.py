"""How far the score of a written answer can move, from one teacher-forced pass over the task's own questions.

After every question stand dense texts: the greedy answer, sampled answers and the right answer. Along them a
variant shows, without writing: which greedy answers it would change (G10), the probability with which it
would write the right answer, and the total variation of its answers, which no score in [0, 1] can exceed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from real.forecast.stepwise import DensePass, dense_pass, score_variant
from real.models.load import LanguageModel
from real.tasks import Task, task
from real.text.prompting import encode_text
from real.text.sample import Samples, pack, sample


@dataclass(frozen=True)
class AnswerReference:
    """Dense texts of one task; every question has one greedy row, one right row, then its samples."""

    name: str
    dense: DensePass
    rows_each: int


@dataclass(frozen=True)
class AnswerForecast:
    """Per question, ``(items,)``.

    kept: bool, the greedy answer stays the same. right_dense, right_pruned: probability of writing exactly
    the right answer at temperature 1. tv: unbiased estimate in [0, 1] of the answers' total variation.
    """

    kept: Tensor
    right_dense: Tensor
    right_pruned: Tensor
    tv: Tensor


def answer_reference(
    lm: LanguageModel, name: str, limit: int | None = None, samples: int = 2, seed: int = 0
) -> AnswerReference:
    """Let the dense model answer the first ``limit`` questions of a shipped task that asks for text."""
    one = task(name)
    if one.kind != "generation":
        raise ValueError(f"task {name!r} asks for no text that has one right answer")
    items = one.items[:limit]
    questions = [encode_text(lm, one.preamble + item["question"]) for item in items]
    greedy = sample(lm, questions, one.max_tokens, 1, 0.0)
    drawn = sample(lm, questions, one.max_tokens, samples, 1.0, seed)
    continuations = []
    for index, item in enumerate(items):
        right = one.delimiter + item["answer"] + one.stop[-1]  # the stop of the worked examples
        sampled = range(index * samples, (index + 1) * samples)
        continuations += [
            _until_stop(lm, one, greedy, index),
            list(lm.tokenizer(right, add_special_tokens=False).input_ids),
            *(_until_stop(lm, one, drawn, row) for row in sampled),
        ]
    each = samples + 2
    rows = [(index, ids) for index, ids in enumerate(questions) for _ in range(each)]
    return AnswerReference(name, dense_pass(lm, pack(lm, rows, continuations, 1.0, seed)), each)


def _until_stop(lm: LanguageModel, one: Task, samples: Samples, row: int) -> list[int]:
    """Tokens up to the one in which the answer stops."""
    tokens: list[int] = samples.continuation(row).tolist()
    texts = (lm.tokenizer.decode([token]) for token in tokens)
    ends = (index for index, text in enumerate(texts) if any(stop in text for stop in one.stop))
    return tokens[: next(ends, len(tokens)) + 1]


def answer_forecast(lm: LanguageModel, reference: AnswerReference, other: LanguageModel) -> AnswerForecast:
    """One pass of ``other`` over the dense texts of a task."""
    dense = reference.dense
    scores = score_variant(lm, dense, other)
    log_dense = torch.zeros(len(dense.samples), dtype=torch.float64)
    log_dense.index_add_(0, dense.row, dense.log_prob.double())
    each = reference.rows_each
    log_dense, log_ratio = log_dense.reshape(-1, each), scores.log_ratio.sum(1).reshape(-1, each)
    return AnswerForecast(
        kept=scores.agree.all(1).reshape(-1, each)[:, 0],
        right_dense=log_dense[:, 1].exp(),
        right_pruned=(log_dense + log_ratio)[:, 1].exp(),
        tv=-torch.expm1(log_ratio[:, 2:].clamp(max=0)).mean(1),
    )
