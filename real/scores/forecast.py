"""Forecast what a compressed model loses of a task's score: one teacher-forced pass per variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from real.models.load import LanguageModel, load
from real.pruning.calibration import Calibration
from real.pruning.variants import variant
from real.scores.options import Chosen, choose
from real.scores.report import Decoding, ScoreReport, ScoreVerdict
from real.scores.resolved import MASS, RIGHT, ROWS, WRONG, Resolved, resolve
from real.scores.tree import Tree, trees
from real.scores.verdict import (
    ALPHA,
    EPSILON,
    Outcome,
    between,
    log_evidence_of_safety,
    of_prompts_like_these,
    of_these_prompts,
)
from real.tasks.source import TaskSource, shipped
from real.tasks.user_file import read_task
from theory.terminal.console import say, track

TASKS = ("agreement", "capitals-choice", "past-tense", "capitals-answer")
FIRST = 32  # prompts before the first look of a forecast that stops when it is decided …
DESIGN = 128  # … and the number that its stakes are meant for

Ends = dict[Decoding, tuple[Tensor, Tensor]]  # lower and upper end of every question's score


@dataclass(frozen=True)
class Question:
    """What is asked of every variant. mass, rows: when a question counts as resolved, see :func:`resolve`."""

    epsilon: float = EPSILON
    alpha: float = ALPHA
    mass: float = MASS
    rows: int = ROWS
    until_decided: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 1:
            raise ValueError(f"epsilon must be between 0 and 1, got {self.epsilon}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {self.alpha}")


def forecast_scores(
    model: str | LanguageModel,
    specs: Sequence[str],
    tasks: Sequence[str | Path | TaskSource] = TASKS,
    *,
    limit: int | None = None,
    epsilon: float = EPSILON,
    alpha: float = ALPHA,
    until_decided: bool = False,
    calibration: Calibration = None,
    seed: int = 0,
) -> ScoreReport:
    """Say of every variant how much of every task's score it loses, without letting it write.

    Parameters
    ----------
    model:
        A name or folder that :func:`real.load` takes, or a model that is loaded already.
    specs:
        Pruning specs or other checkpoints.
    tasks:
        Names of shipped tasks, task files (see :func:`real.tasks.user_file.read_task`) or task sources.
    limit:
        Most questions of each task, drawn by ``seed``; all by default.
    epsilon, alpha:
        The loss that decides between safe and fails; the error of each limit about prompts like these.
    until_decided:
        Read more and more questions, and stop for each variant as soon as the verdict about prompts like
        these is there. The limits hold whenever one stops (K4a).

    Raises
    ------
    ValueError
        Bad input, in one sentence: of a spec, a task, a number or an answer that cannot be written.

    Example
    -------
    >>> report = forecast_scores("smollm2-135m", ["int8"], ["capitals-answer"])  # doctest: +SKIP
    >>> report.frame()[["spec", "decoding", "like_verdict", "like_loss_upper"]]  # doctest: +SKIP
    """
    if not specs:
        raise ValueError("specs are empty: name at least one variant")
    question = Question(epsilon, alpha, until_decided=until_decided)
    sources = [_drawn(_source(task), limit, seed) for task in tasks]
    if not sources:
        raise ValueError("tasks are empty: name at least one task")
    for remark in (remark for source in sources for remark in source.remarks):
        say(remark)
    lm = load(model) if isinstance(model, str) else model
    dense = [_Dense.read(lm, source, question) for source in sources]
    verdicts: dict[tuple[int, str], list[ScoreVerdict]] = {}
    seconds = {}
    for spec in track(list(specs), "forecasting scores"):
        with variant(lm, spec, calibration) as other:
            started = perf_counter()
            for index, one in enumerate(dense):
                verdicts[index, spec] = _judged(one, other, spec)
            seconds[spec] = perf_counter() - started
    order = [v for index in range(len(dense)) for spec in specs for v in verdicts[index, spec]]
    return ScoreReport(lm.name, epsilon, alpha, tuple(order), seconds)


@dataclass(frozen=True)
class _Dense:
    """A task as the dense model answers it."""

    source: TaskSource
    question: Question
    ends: Ends
    trees: tuple[Tree, ...]

    @classmethod
    def read(cls, lm: LanguageModel, source: TaskSource, question: Question) -> _Dense:
        if source.has_options:
            return cls(source, question, _ends_of_choice(choose(lm, source)), ())
        found = resolve(lm, trees(lm, source), mass=question.mass, rows=question.rows)
        return cls(source, question, _ends_of_text(found), found.trees)

    def read_with(self, other: LanguageModel, start: int, end: int) -> Ends:
        """What ``other`` answers to some of the questions."""
        question = self.question
        if self.source.has_options:
            return _ends_of_choice(
                choose(other, replace(self.source, questions=self.source.questions[start:end]))
            )
        return _ends_of_text(resolve(other, self.trees[start:end], mass=question.mass, rows=question.rows))


def _judged(dense: _Dense, other: LanguageModel, spec: str) -> list[ScoreVerdict]:
    question, total = dense.question, len(dense.source.questions)
    design = min(total, DESIGN) if question.until_decided else None
    read = 0
    after: dict[Decoding, list[tuple[Tensor, Tensor]]] = {}
    while True:
        end = min(total, max(FIRST, 2 * read)) if question.until_decided else total
        for decoding, ends in dense.read_with(other, read, end).items():
            after.setdefault(decoding, []).append(ends)
        read = end
        found = [
            _verdict(
                dense,
                spec,
                decoding,
                (torch.cat([low for low, _ in parts]), torch.cat([high for _, high in parts])),
                design,
            )
            for decoding, parts in after.items()
        ]
        if read == total or all(one.like.outcome is not Outcome.UNDECIDED for one in found):
            return found


def _verdict(
    dense: _Dense, spec: str, decoding: Decoding, after: tuple[Tensor, Tensor], design: int | None
) -> ScoreVerdict:
    read = len(after[0])
    low, high = dense.ends[decoding]
    evidence = between((low[:read], high[:read]), after)
    limits = dense.question.epsilon, dense.question.alpha
    return ScoreVerdict(
        task=dense.source.name,
        spec=spec,
        decoding=decoding,
        prompts=read,
        before=evidence.before,
        after=evidence.after,
        these=of_these_prompts(evidence, *limits),
        like=of_prompts_like_these(evidence, *limits, design),
        log_evidence=log_evidence_of_safety(evidence, *limits, design),
    )


def _ends_of_text(found: Resolved) -> Ends:
    return {
        "greedy": ((found.greedy == RIGHT).double(), (found.greedy != WRONG).double()),
        "sampled": (found.won, found.upper),
    }


def _ends_of_choice(found: Chosen) -> Ends:
    return {"greedy": (found.likely, found.likely), "sampled": (found.drawn, found.drawn)}


def _source(task: str | Path | TaskSource) -> TaskSource:
    if isinstance(task, TaskSource):
        return task
    path = Path(task)
    return read_task(path) if path.suffix == ".jsonl" or path.is_file() else shipped(str(task))


def _drawn(source: TaskSource, limit: int | None, seed: int) -> TaskSource:
    """At most ``limit`` questions, in random order, so that any first few of them are a sample."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    order = torch.randperm(len(source.questions), generator=torch.Generator().manual_seed(seed))
    return replace(source, questions=tuple(source.questions[index] for index in order[:limit].tolist()))
