"""What it costs to know a score: one more spec read off, and answers written from drafts.

Reading off is compared with one forward pass over the same questions and their usual answers, head included;
writing from drafts with writing alone, both with a cache and in batches. Processor time, one thread, ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from real.models.load import LanguageModel, load
from real.pruning.variants import variant
from real.scores.resolved import resolve
from real.scores.tree import trees
from real.tasks.source import TaskSource, shipped
from real.text.drafted import write_from_drafts
from real.text.passes import final_hidden, head_logits
from tests.benchmarks.test_trace import seconds

pytestmark = pytest.mark.benchmark

QUESTIONS, ROUNDS = 100, 3
LENGTHS = (6, 32)
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The embedded model: what is left alive beside an answer depends on trained weights."""
    return load("smollm2-135m")


def questions(answers: int) -> TaskSource:
    """Past tenses after worked examples, with as many accepted answers each."""
    source = shipped("past-tense", QUESTIONS)
    others = ("went away", "had gone", "did go")[: answers - 1]
    asked = tuple(replace(one, answers=(*one.answers, *others)) for one in source.questions)
    return replace(source, questions=asked)


def one_pass(lm: LanguageModel, source: TaskSource) -> Callable[[], object]:
    """Read every question with its first answer, and the head at every token of the answer."""
    answers = [list(lm.tokenizer(" " + one.answers[0] + ".").input_ids) for one in source.questions]
    prompts = [list(prompt) for prompt in source.prompts(lm)]
    rows = sorted(zip(prompts, answers, strict=True), key=lambda row: len(row[0]) + len(row[1]))
    texts = [torch.tensor(prompt + answer) for prompt, answer in rows]
    tokens = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)

    def work() -> None:
        hidden = final_hidden(lm, tokens)
        for states, (prompt, answer) in zip(hidden, rows, strict=True):
            torch.softmax(head_logits(lm, states[len(prompt) - 1 : len(prompt) + len(answer)]).double(), -1)

    return work


@pytest.mark.parametrize("answers", [1, 4])
def test_one_more_spec_beside_one_pass(lm: LanguageModel, answers: int, record_property: Note) -> None:
    source = questions(answers)
    known = resolve(lm, trees(lm, source)).trees
    plain = one_pass(lm, source)
    with variant(lm, "attn:[20]") as other:
        pairs = [(seconds(lambda: resolve(other, known)), seconds(plain)) for _ in range(ROUNDS)]
    ratio = sorted(read / passed for read, passed in pairs)[ROUNDS // 2]
    record_property(f"scores: one more spec, {answers} answers, in passes over the tokens", ratio)
    print(f"\none more spec on {QUESTIONS} questions, {answers} answers each: {ratio:.2f} passes")


def counted(lm: LanguageModel, work: Callable[[], object]) -> tuple[float, int, int]:
    """Processor time, forward passes and tokens read, padding included."""
    read: list[int] = []
    backbone = lm.anatomy.need_head().backbone
    hook = backbone.register_forward_pre_hook(
        lambda _, given, named: read.append(named["input_ids"].numel()), with_kwargs=True
    )
    try:
        return seconds(work), len(read), sum(read)
    finally:
        hook.remove()


@pytest.mark.parametrize("batch_size", [32, 1])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("spec", "wrong"), [("attn:0", False), ("int8", False), ("attn:2", False), ("attn:0", True)]
)
def test_writing_from_drafts_beside_writing_alone(
    lm: LanguageModel, length: int, spec: str, wrong: bool, batch_size: int, record_property: Note
) -> None:
    """Dense texts as drafts; the best there is (attn:0), and the worst: every token of it wrong."""
    prompts = [list(prompt) for prompt in questions(1).prompts(lm)][: batch_size if batch_size > 1 else 4]
    alone = [[] for _ in prompts]  # type: list[list[int]]
    drafts = write_from_drafts(lm, prompts, alone, length)
    drafts = [[token + wrong for token in text] for text in drafts]
    with variant(lm, spec) as model:
        drafted, plain = (
            counted(
                model,
                lambda some=some: write_from_drafts(model, prompts, some, length, batch_size=batch_size),
            )
            for some in (drafts, alone)
        )
    time, passes, tokens = (one / other for one, other in zip(plain, drafted, strict=True))
    name = f"{length} tokens, {spec}{', all wrong' if wrong else ''}, {batch_size} at once"
    record_property(f"drafts of {name}: times cheaper", time)
    print(f"\ndrafts of {name}: time {time:.2f}, passes {passes:.2f}, tokens read {tokens:.2f} times less")
