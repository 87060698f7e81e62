"""How far the score of a written answer can move, from one teacher-forced pass over the task's own questions.

After every question stand dense texts: the greedy answer and sampled answers. Along them a variant shows,
without writing, which greedy answers it would change (G10) and the total variation of its answers, which no
change of a score in [0, 1] can exceed. The probability of a right answer is read off over all its spellings
and stops (K1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from real.forecast.stepwise import DensePass, dense_pass, score_variant
from real.models.load import LanguageModel
from real.scores.resolved import Resolved, resolve
from real.scores.tree import trees
from real.tasks import Task, task
from real.tasks.source import shipped
from real.text.sample import Samples, pack, sample


@dataclass(frozen=True)
class AnswerReference:
    """Dense texts of one task; every question has one greedy row, then its samples."""

    name: str
    dense: DensePass
    rows_each: int
    resolved: Resolved


@dataclass(frozen=True)
class AnswerForecast:
    """Per question, ``(items,)``.

    kept: bool, the greedy answer stays the same. right_dense, right_pruned: probability of a right
    answer at temperature 1, as far as it is resolved. tv: unbiased estimate in [0, 1] of the answers' total
    variation.
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
    source = shipped(name, limit)
    questions = [list(ids) for ids in source.prompts(lm)]
    greedy = sample(lm, questions, one.max_tokens, 1, 0.0)
    drawn = sample(lm, questions, one.max_tokens, samples, 1.0, seed)
    continuations = []
    for index in range(len(questions)):
        sampled = range(index * samples, (index + 1) * samples)
        continuations.append(_until_stop(lm, one, greedy, index))
        continuations += [_until_stop(lm, one, drawn, row) for row in sampled]
    each = samples + 1
    rows = [(index, ids) for index, ids in enumerate(questions) for _ in range(each)]
    dense = dense_pass(lm, pack(lm, rows, continuations, 1.0, seed))
    return AnswerReference(name, dense, each, resolve(lm, trees(lm, source)))


def _until_stop(lm: LanguageModel, one: Task, samples: Samples, row: int) -> list[int]:
    """Tokens up to the one in which the answer stops; a stop may span several."""
    tokens: list[int] = samples.continuation(row).tolist()
    texts = (str(lm.tokenizer.decode(tokens[:end])) for end in range(1, len(tokens) + 1))
    ends = (index for index, text in enumerate(texts) if any(stop in text for stop in one.stop))
    return tokens[: next(ends, len(tokens)) + 1]


def answer_forecast(lm: LanguageModel, reference: AnswerReference, other: LanguageModel) -> AnswerForecast:
    """One pass of ``other`` over the dense texts of a task."""
    scores = score_variant(lm, reference.dense, other)
    log_ratio = scores.log_ratio.sum(1).reshape(-1, reference.rows_each)
    resolved = resolve(other, reference.resolved.trees)
    return AnswerForecast(
        kept=scores.agree.all(1).reshape(-1, reference.rows_each)[:, 0],
        right_dense=reference.resolved.won,
        right_pruned=resolved.won,
        tv=-torch.expm1(log_ratio[:, 1:].clamp(max=0)).mean(1),
    )
