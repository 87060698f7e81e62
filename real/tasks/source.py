"""Questions whose answers can be judged, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from real.models.load import LanguageModel
from real.tasks.items import task
from real.text.prompting import encode_prompt, encode_text


@dataclass(frozen=True)
class Asked:
    """One question. prompt: all that the model reads. answers: right ones, any of them will do.

    options: what may be chosen, for a question that asks for no text; the right one is ``answers[0]``.
    pattern: regular expression that other right answers match as a whole. item: what the task's own scorer
    needs to judge a text.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    pattern: str | None = None
    item: Any = field(default=None, repr=False, compare=False)


Scorer = Callable[[str, Asked], float]
"""From a written text and its question into [0, 1]."""


@dataclass(frozen=True)
class Graded:
    """Texts that are written and scored already: by which tokenizer, at which temperature and seed.

    rounding: largest error of a log-probability in nats.
    """

    tokenizer_sha256: str | None
    temperature: float
    seed: int = 0
    rounding: float = 0.0


@dataclass(frozen=True)
class TaskSource:
    """A task. stops: strings that end an answer. lead: what stands between prompt and answer.

    horizon: most tokens of an answer. chat: the prompt is one turn of the chat template, where there is one.
    per_character: options are compared by their log-probability per character. endings: right is what begins
    with the tokens of ``answers[0]``, whatever follows. after: what an answer follows in a text (``The answer
    is``), which begins with a chain of thought. scorer: the task's own. graded: every question's ``item`` is
    its texts, which are judged already. remarks: what was skipped.
    """

    name: str
    questions: tuple[Asked, ...]
    stops: tuple[str, ...] = ("\n",)
    lead: str = " "
    horizon: int = 16
    chat: bool = False
    per_character: bool = False
    endings: bool = False
    after: str = ""
    scorer: Scorer | None = None
    graded: Graded | None = None
    remarks: tuple[str, ...] = ()

    @property
    def has_options(self) -> bool:
        """Whether every question asks for a choice."""
        return bool(self.questions) and all(one.options for one in self.questions)

    def prompts(self, lm: LanguageModel) -> list[tuple[int, ...]]:
        """Token ids of every prompt."""
        if self.graded:
            return [tuple(one.item[0].prompt_ids) for one in self.questions]
        encode = encode_prompt if self.chat else encode_text
        return [tuple(encode(lm, one.prompt)) for one in self.questions]


def shipped(name: str, limit: int | None = None) -> TaskSource:
    """The first ``limit`` questions of a task that ships with the package.

    Raises
    ------
    UnknownNameError
        No task has that name.
    ValueError
        Its answers are programs, so they are right or wrong only when run.
    """
    one = task(name)
    if one.kind == "code":
        raise ValueError(f"task {name!r} asks for programs: no list of right answers can be read off")
    questions = []
    for item in one.items[:limit]:
        options = tuple(item["options"]) if one.kind == "choice" else ()
        right = options[item["answer"]] if options else item["answer"]
        questions.append(Asked(one.preamble + item["question"], (right,), options))
    return TaskSource(
        name, tuple(questions), one.stop, one.delimiter, one.max_tokens, per_character=one.normalised
    )
