"""Forecast what a compressed model loses of a task's score: one teacher-forced pass per variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from real.models.load import AnyModel, LanguageModel, loaded
from real.pruning.calibration import Calibration
from real.pruning.variants import recalibrated, variant
from real.records.record import is_record
from real.scores.blocks import Part, as_json, from_json, identity, in_blocks, ranges
from real.scores.report import Many, ScoreReport, ScoreVerdict
from real.scores.routes import Decoding, Route, noise_floor, route
from real.scores.verdict import (
    ALPHA,
    EPSILON,
    Evidence,
    Outcome,
    log_evidence_of_safety,
    of_prompts_like_these,
    of_these_prompts,
)
from real.tasks.graded import read_graded
from real.tasks.harness_source import harness_source
from real.tasks.items import TASKS
from real.tasks.items import task as shipped_task
from real.tasks.source import Scorer, TaskSource, shipped
from real.tasks.user_file import read_task
from theory.terminal.console import say, track

FIRST = 32  # prompts before the first look of a forecast that stops when it is decided …
DESIGN = 128  # … and the number that its stakes are meant for


@dataclass(frozen=True)
class Rule:
    """How a verdict is reached. epsilon: the loss between safe and fails. alpha: error of each limit.

    until_decided: stop reading questions as soon as every verdict about prompts like these is there.
    """

    epsilon: float = EPSILON
    alpha: float = ALPHA
    until_decided: bool = False

    def __post_init__(self) -> None:
        for name in ("epsilon", "alpha"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")


def forecast_scores(
    model: AnyModel,
    specs: Sequence[str],
    tasks: Sequence[str | Path | TaskSource],
    *,
    rule: Rule = Rule(),
    scorer: Scorer | None = None,
    samples: int = 4,
    limit: int | None = None,
    many: Many = "e-bh",
    calibration: Calibration = None,
    seed: int = 0,
    allow_code: bool = False,
) -> ScoreReport:
    """Say of every variant how much of every task's score it loses, without letting it write.

    Parameters
    ----------
    model:
        A name or folder that :func:`real.load` takes, a model that is loaded already, or a transformers model
        with its tokenizer.
    specs:
        Pruning specs or other checkpoints.
    tasks:
        Names of tasks (shipped, public benchmarks, any of the harness), task files (see
        :func:`real.tasks.user_file.read_task`), records whose texts carry a score, or task sources.
    scorer, samples:
        Any function of a written text and its question into [0, 1]; the dense model then writes ``samples``
        texts per question. Without it, right answers are read off (K1), and options compared (K12).
    limit:
        Most questions of each task, drawn by ``seed``; all by default.
    allow_code:
        Execute programs that the dense model writes, in the sandbox of :mod:`real.tasks.sandbox`.
    many:
        Which "safe" stand together when there are several specs, see :meth:`ScoreReport.together`.

    Raises
    ------
    ValueError
        Bad input, in one sentence: of a spec, a task, a number, a scorer, or an answer that no tokens write.

    Example
    -------
    >>> report = forecast_scores("smollm2-135m", ["int8"], ["capitals-answer"])  # doctest: +SKIP
    >>> report.frame()[["spec", "decoding", "like_verdict", "like_loss_upper"]]  # doctest: +SKIP
    """
    if not specs or not tasks:
        raise ValueError("name at least one variant and at least one task")
    lm = loaded(model)
    sources = asked_of(tasks, lm, limit, seed, allow_code)
    routes = [
        route(lm, source, scorer, samples=samples, alpha=rule.alpha, seed=seed)
        for source in track(sources, "dense answers")
    ]
    noises = [noise_floor(one, lm) for one in routes]
    found: dict[tuple[int, str], list[ScoreVerdict]] = {}
    seconds = {}
    for spec in track(list(specs), "forecasting scores"):
        with variant(lm, spec, calibration) as other:
            owner = identity(other, "real.scores.routes", spec, as_facts(calibration))
            seconds[spec] = 0.0
            for index, one in enumerate(routes):
                found[index, spec], took = _judged(one, other, owner, spec, rule, noises[index])
                seconds[spec] += took
        for index, verdicts in enumerate(_recalibrated(lm, spec, routes, found, calibration)):
            found[index, spec] = verdicts
    every = tuple(one for index in range(len(routes)) for spec in specs for one in found[index, spec])
    return ScoreReport(lm.name, rule.epsilon, rule.alpha, many, every, seconds)


def _judged(
    one: Route, other: LanguageModel, owner: str, spec: str, rule: Rule, noise: dict[Decoding, float]
) -> tuple[list[ScoreVerdict], float]:
    """Read ``other`` until all is read or, if so asked, decided; the seconds that it took too."""
    total, read, seconds = len(one.source.questions), 0, 0.0
    design = min(total, DESIGN) if rule.until_decided else None
    parts: list[Part] = []
    while True:
        end = min(total, max(FIRST, 2 * read)) if rule.until_decided else total
        known, took = _read(one, other, owner, ranges(read, end), f"{spec} on {one.source.name}")
        parts += known
        read, seconds = end, seconds + took
        found = [
            verdict_of(one.source.name, spec, decoding, evidence, rule, design, noise.get(decoding, 0.0))
            for decoding, evidence in one.evidence(parts).items()
        ]
        if read == total or all(one.like.outcome is not Outcome.UNDECIDED for one in found):
            return found, seconds


def _recalibrated(
    lm: LanguageModel,
    spec: str,
    routes: Sequence[Route],
    found: dict[tuple[int, str], list[ScoreVerdict]],
    calibration: Calibration,
) -> list[list[ScoreVerdict]]:
    """The verdicts of ``spec`` for each route, with its scores on the other calibration texts."""

    def scores(other: LanguageModel) -> list[dict[Decoding, float]]:
        owner = identity(other, "real.scores.routes", spec, as_facts(calibration))
        counts = [found[index, spec][0].prompts for index in range(len(routes))]
        return [_score(one, other, owner, spec, count) for one, count in zip(routes, counts, strict=True)]

    again = recalibrated(lm, spec, scores, calibration)
    return [
        [
            replace(
                one, after_calibrations=(one.after.mean, *(score[index][one.decoding] for score in again))
            )
            if again
            else one
            for one in found[index, spec]
        ]
        for index in range(len(routes))
    ]


def _score(one: Route, other: LanguageModel, owner: str, spec: str, prompts: int) -> dict[Decoding, float]:
    """Score of ``other`` on the first ``prompts`` questions, for each way of decoding."""
    parts, _ = _read(one, other, owner, ranges(0, prompts), f"{spec} on {one.source.name}")
    return {decoding: evidence.after.mean for decoding, evidence in one.evidence(parts).items()}


def _read(
    one: Route, other: LanguageModel, owner: str, spans: Sequence[tuple[int, int]], description: str
) -> tuple[list[Part], float]:
    found, seconds = in_blocks(
        [[owner, one.facts(*span)] for span in spans],
        lambda index: as_json(one.read(other, *spans[index])),
        description,
    )
    return [from_json(part) for part in found], seconds


def verdict_of(
    task: str,
    spec: str,
    decoding: Decoding,
    evidence: Evidence,
    rule: Rule,
    design: int | None = None,
    noise: float = 0.0,
) -> ScoreVerdict:
    """What the evidence says by a rule; ``design`` and ``noise`` as in :mod:`real.scores.verdict`."""
    return ScoreVerdict(
        task=task,
        spec=spec,
        decoding=decoding,
        prompts=len(evidence.plus),
        before=evidence.before,
        after=evidence.after,
        these=of_these_prompts(evidence, rule.epsilon, rule.alpha, noise),
        like=of_prompts_like_these(evidence, rule.epsilon, rule.alpha, design, noise),
        # a loss that noise alone may explain is no evidence
        log_evidence=log_evidence_of_safety(evidence, rule.epsilon - noise, rule.alpha, design),
        noise=noise,
        explanation=evidence.explanation,
    )


def asked_of(
    tasks: Sequence[str | Path | TaskSource],
    lm: LanguageModel,
    limit: int | None,
    seed: int,
    allow_code: bool,
) -> list[TaskSource]:
    """The questions of every task, at most ``limit`` each, in random order; remarks are printed."""
    sources = [_drawn(read_source(task, lm, limit, allow_code=allow_code), limit, seed) for task in tasks]
    for remark in (remark for source in sources for remark in source.remarks):
        say(remark)
    return sources


def read_source(
    task: str | Path | TaskSource,
    lm: LanguageModel | None = None,
    limit: int | None = None,
    *,
    allow_code: bool = False,
) -> TaskSource:
    """A task source, the task in a file, or the task of that name: shipped, a public benchmark, the harness'.

    Of the harness' tasks only the first ``limit`` questions are made.
    """
    if isinstance(task, TaskSource):
        return task
    path, name = Path(task), str(task)
    if is_record(path):
        return read_graded(path)
    if path.suffix == ".jsonl" or path.is_file():
        return read_task(path)
    if name in TASKS and not needs_model(task):
        return shipped(name)
    return harness_source(name, lm, limit, allow_code=allow_code)


def needs_model(task: str | Path | TaskSource) -> bool:
    """Whether the questions are written in a model's chat template: shipped programs."""
    name = str(task)
    return not isinstance(task, TaskSource) and name in TASKS and shipped_task(name).kind == "code"


def as_facts(calibration: Calibration) -> Any:
    """A calibration as a JSON value."""
    if calibration is None or isinstance(calibration, str):
        return calibration
    return [part if isinstance(part, str) else part.tolist() for part in calibration]


def _drawn(source: TaskSource, limit: int | None, seed: int) -> TaskSource:
    """At most ``limit`` questions, in random order, so that any first few of them are a sample."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    order = torch.randperm(len(source.questions), generator=torch.Generator().manual_seed(seed))
    return replace(source, questions=tuple(source.questions[index] for index in order[:limit].tolist()))
