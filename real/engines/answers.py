"""Right answers of a shipped task as texts that any engine can score: the probability of writing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from real.engines.hugging_face import HuggingFaceEngine
from real.records.record import RecordedText
from real.tasks import task
from real.text.texts import opening_tokens


@dataclass(frozen=True)
class AnswerScore:
    """Of each question, ``(items,)``. written: probability of writing the right answer and its stop.

    It counts one spelling in tokens, so it is a lower bound of the probability of an exact match (K1x), by
    some tenths of a percent on the shipped tasks. greedy: bool, greedy decoding writes that spelling.
    """

    written: Tensor
    greedy: Tensor


def right_answers(engine: HuggingFaceEngine, name: str, limit: int | None = None) -> list[RecordedText]:
    """The first ``limit`` questions of a task, each followed by its right answer and the stop.

    Raises
    ------
    ValueError
        The task asks for no text that has one right answer.
    """
    one = task(name)
    if one.kind != "generation":
        raise ValueError(f"task {name!r} asks for no text that has one right answer")
    tokenizer = engine.lm.tokenizer
    texts = []
    for index, item in enumerate(one.items[:limit]):
        question = tokenizer(one.preamble + item["question"], add_special_tokens=False).input_ids
        right = tokenizer(one.delimiter + item["answer"] + one.stop[-1], add_special_tokens=False).input_ids
        prompt = (*opening_tokens(tokenizer), *question)
        unknown = (0.0,) * len(right)
        texts.append(RecordedText(index, prompt, tuple(right), unknown, stopped=True, score=1.0))
    return texts


def answer_score(texts: Sequence[RecordedText]) -> AnswerScore:
    """What scored right answers (with ``top``) say of the score.

    Raises
    ------
    ValueError
        A text has no ``top``.
    """
    greedy = []
    for text in texts:
        if text.top is None:
            raise ValueError("texts have no 'top', which greedy answers need: score them with top=1")
        best = (max(step, key=lambda known: known[1])[0] for step in text.top)
        greedy.append(all(token == right for token, right in zip(best, text.ids, strict=True)))
    written = torch.tensor([sum(text.logprobs) for text in texts], dtype=torch.float64).exp()
    return AnswerScore(written, torch.tensor(greedy))
