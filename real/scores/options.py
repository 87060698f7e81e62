"""Questions with options, or with one ending each: after one pass every decision is exact (K12)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.tasks.source import TaskSource
from real.text.likelihood import log_probabilities, read_tokens
from real.text.prompting import encode_text
from real.text.sample import pack


@dataclass(frozen=True)
class Chosen:
    """Per question, float64 ``(questions,)``.

    likely: 1 where the right option has the largest score (ties go to the first), else 0. drawn: probability
    of the right one if options are drawn with softmax of their scores. laws: these probabilities, one tensor
    per question.
    """

    likely: Tensor
    drawn: Tensor
    laws: tuple[Tensor, ...] = ()


def choose(lm: LanguageModel, source: TaskSource) -> Chosen:
    """Compare the options of every question by their log-probability, as lm-evaluation-harness does.

    Raises
    ------
    ValueError
        A question has fewer than two options, or its answer is none of them.
    """
    prompts, rows, options = source.prompts(lm), [], []
    for index, (one, prompt) in enumerate(zip(source.questions, prompts, strict=True)):
        if len(one.options) < 2 or one.answers[0] not in one.options:
            raise ValueError(
                f"task {source.name!r}, question {index + 1}: expected two options or more, one of them the "
                f"answer, got {list(one.options)!r}"
            )
        for option in one.options:
            rows.append((index, list(prompt)))
            options.append(_tokens(lm, source, one.prompt, prompt, option))
    totals = log_probabilities(lm, pack(lm, rows, options, 1.0, seed=0)).sum(1)
    likely, drawn, laws, start = [], [], [], 0
    for one in source.questions:
        scores = totals[start : start + len(one.options)]
        start += len(one.options)
        if source.per_character:
            scores = scores / torch.tensor([max(1, len(option)) for option in one.options])
        right = one.options.index(one.answers[0])
        likely.append(float(scores.argmax() == right))
        laws.append(torch.softmax(scores, 0))
        drawn.append(float(laws[-1][right]))
    return Chosen(
        torch.tensor(likely, dtype=torch.float64), torch.tensor(drawn, dtype=torch.float64), tuple(laws)
    )


def follow(lm: LanguageModel, source: TaskSource) -> Chosen:
    """Read one ending per question: does greedy decoding write it, and with which probability is it drawn?

    Of the ending's own tokens, whatever follows them, as lm-evaluation-harness counts (``is_greedy``).
    """
    prompts = source.prompts(lm)
    endings = [
        _tokens(lm, source, one.prompt, prompt, one.answers[0])
        for one, prompt in zip(source.questions, prompts, strict=True)
    ]
    rows = [(index, list(prompt)) for index, prompt in enumerate(prompts)]
    log_prob, greedy = read_tokens(lm, pack(lm, rows, endings, 1.0, seed=0))
    return Chosen(greedy.all(1).double(), log_prob.sum(1).exp())


def _tokens(
    lm: LanguageModel, source: TaskSource, text: str, prompt: tuple[int, ...], option: str
) -> list[int]:
    """Tokens of an option, cut out of the whole text's where the prompt's own tokens are its beginning."""
    whole = [] if source.chat else encode_text(lm, text + source.lead + option)
    if len(whole) > len(prompt) and tuple(whole[: len(prompt)]) == prompt:
        return whole[len(prompt) :]
    return list(lm.tokenizer(source.lead + option, add_special_tokens=False).input_ids)
