"""What is read off of every question, and what models then really answer: kept task by task, spec by spec.

An interrupted run goes on where it stopped. What is kept of the dense model (its trees, its texts) is what a
variant's pass begins with, so that nothing dense is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lm_eval.tasks import TaskManager
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.forecast.stepwise import DensePass, dense_pass, score_variant
from real.forecast.text_drift import default_prompts
from real.models.load import LanguageModel
from real.pruning.spec import names_checkpoint
from real.pruning.variants import variant
from real.scores.forecast import read_source
from real.scores.options import Chosen, choose, follow
from real.scores.resolved import RIGHT, WRONG, resolve
from real.scores.sampled import Draw, Judged, judged, scorer_of
from real.scores.tree import Tree, trees
from real.tasks.drafted import Drafts
from real.tasks.evaluate import answer, task_manager
from real.tasks.source import TaskSource
from real.tasks.summary import DENSE
from real.text.likelihood import log_probabilities
from real.text.sample import sample
from theory.fingerprint import fingerprint
from theory.terminal.console import say, track

_DIGITS = 9
_KL_PROMPTS, _KL_TOKENS = 16, 32


@dataclass(frozen=True)
class Plan:
    """What is compared. questions: most of each task; answered: those, drawn by ``seed``, that every model
    really answers.

    samples: dense texts per question of a task that asks for text.
    """

    specs: tuple[str, ...]
    tasks: tuple[str, ...]
    questions: int = 200
    answered: int = 50
    samples: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.specs or not self.tasks:
            raise ValueError("name at least one variant and at least one task")
        if not 0 < self.answered < self.questions or self.samples < 1:
            raise ValueError(
                f"answered must be from 1 to below questions, and samples at least 1, got {self.answered} of "
                f"{self.questions} and {self.samples}"
            )


@dataclass(frozen=True)
class Outcome:
    """One model on one task; lists over all questions, ``answered`` over those really answered.

    greedy, sampled: lower and upper end of what is read off of every question (K1, K12). laws: probabilities
    of the options, where there are some. texts: log-probability of each dense text up to the token that
    decides it; text_scores: its score. leaves: of the trees, to begin a variant with. items, answered:
    numbers and scores of the questions that the model really answered. read_seconds, run_seconds: what each
    took.
    """

    greedy: tuple[list[float], list[float]]
    sampled: tuple[list[float], list[float]]
    items: list[int]
    answered: list[float]
    read_seconds: float
    run_seconds: float
    laws: list[list[float]] | None = None
    texts: list[float] | None = None
    text_scores: list[float] | None = None
    leaves: list[list[list[int]]] = field(default_factory=list)


@dataclass
class Bench:
    """A dense model and its variants on some tasks; what is known stays in ``folder``."""

    lm: LanguageModel
    plan: Plan
    folder: Path
    drafts: Drafts = field(default_factory=dict)

    @cached_property
    def sources(self) -> dict[str, TaskSource]:
        """The questions of every task."""
        found = {}
        for name in self.plan.tasks:
            source = read_source(name, self.lm, self.plan.questions)
            found[name] = replace(source, questions=source.questions[: self.plan.questions])
        return found

    @cached_property
    def manager(self) -> TaskManager:
        """The harness' index of its tasks; reading it takes a while."""
        return task_manager(self.plan.tasks)

    @cached_property
    def dense_texts(self) -> DensePass:
        """Texts along which the drift per token is measured."""
        texts = default_prompts(_KL_PROMPTS)
        return dense_pass(self.lm, sample(self.lm, texts, _KL_TOKENS, 1, 1.0, self.plan.seed))

    @cached_property
    def answers(self) -> dict[str, Judged]:
        """Texts that the dense model writes for tasks that ask for text, and which are right."""
        return {
            name: judged(self.lm, source, scorer_of(source), Draw(self.plan.samples, seed=self.plan.seed))
            for name, source in self.sources.items()
            if not _is_choice(source)
        }

    def run(self) -> Iterator[tuple[str, float, dict[str, Outcome]]]:
        """The dense model, then every spec: name, KL per token in nats, and outcomes by task."""
        _ = self.answers
        dense = {name: self._kept(DENSE, self.lm, name) for name in track(self.plan.tasks, DENSE)}
        yield DENSE, 0.0, dense
        for spec in self.plan.specs:
            known = None if names_checkpoint(spec) else self._known(spec)
            if known is None:
                _ = self.dense_texts
                with variant(self.lm, spec) as other:
                    kl = self._drift(spec, other)
                    known = kl, {name: self._kept(spec, other, name, dense[name]) for name in dense}
            yield spec, *known

    def _place(self, spec: str, what: str) -> Path:
        return self.folder / f"{content_key([spec, what])}.json"

    def _known(self, spec: str) -> tuple[float, dict[str, Outcome]] | None:
        kl = read_record(self._place(spec, "kl per token"))
        records = {name: read_record(self._place(spec, name)) for name in self.plan.tasks}
        if kl is None or None in records.values():
            return None
        return kl, {name: Outcome(**record) for name, record in records.items()}

    def _drift(self, spec: str, other: LanguageModel) -> float:
        place = self._place(spec, "kl per token")
        kl = read_record(place)
        if kl is None:
            steps = score_variant(self.lm, self.dense_texts, other)
            lengths = self.dense_texts.samples.lengths - self.dense_texts.samples.prompt_lengths
            kl = float(steps.kl.sum() / lengths.sum())
            write_record(place, kl)
        return float(kl)

    def _kept(self, spec: str, lm: LanguageModel, name: str, dense: Outcome | None = None) -> Outcome:
        place = self._place(spec, name)
        record = read_record(place)
        if record is None:
            record = asdict(self._made(spec, lm, name, dense))
            write_record(place, record)
            say(
                f"{spec}, {name}: {record['read_seconds']:.0f} s read, {record['run_seconds']:.0f} s answered"
            )
        elif spec == DENSE and dense is None:
            _ = self._answered(spec, lm, name)  # kept too; its texts are the drafts
        return Outcome(**record)

    def _made(self, spec: str, lm: LanguageModel, name: str, dense: Outcome | None) -> Outcome:
        started = perf_counter()
        found = _read_off(lm, self.sources[name], dense)
        read = perf_counter() - started
        if name in self.answers:
            found |= _read_texts(lm, self.answers[name])
        started = perf_counter()
        items, answered = self._answered(spec, lm, name)
        run = perf_counter() - started
        return Outcome(**found, items=items, answered=answered, read_seconds=read, run_seconds=run)

    def _answered(self, spec: str, lm: LanguageModel, name: str) -> tuple[list[int], list[float]]:
        """Really ask the drawn questions, through the harness."""
        count = len(self.sources[name].questions)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.plan.seed))
        items = sorted(order[: min(self.plan.answered, count // 2)].tolist())
        rows = answer(
            lm, spec, [name], self.manager, None, 16, cache_folder() / "answers", None, self.drafts,
            {name: items},
        )  # fmt: skip
        rows = rows.sort_values("item")
        return rows["item"].tolist(), rows["correct"].astype(float).tolist()


def bench(lm: LanguageModel, plan: Plan, folder: Path | None = None) -> Bench:
    """A bench whose folder is named by all that its numbers depend on."""
    settings = {key: value for key, value in asdict(plan).items() if key not in ("specs", "tasks")}
    libraries = {name: version(name) for name in ("torch", "transformers", "lm-eval", "tokenizers")}
    key = content_key(
        [lm.content, settings, libraries, lm.device.type, fingerprint("real.validation.outcomes")]
    )
    return Bench(lm, plan, (folder or cache_folder() / "validation") / key)


def _read_texts(lm: LanguageModel, dense: Judged) -> dict[str, Any]:
    log_prob = log_probabilities(lm, dense.samples)
    counted = torch.arange(log_prob.shape[1]) < dense.decided.unsqueeze(1)
    return {"texts": _numbers((log_prob * counted).sum(1)), "text_scores": _numbers(dense.scores)}


def _is_choice(source: TaskSource) -> bool:
    return source.has_options or source.endings


def _read_off(lm: LanguageModel, source: TaskSource, dense: Outcome | None) -> dict[str, Any]:
    if _is_choice(source):
        found = follow(lm, source) if source.endings else choose(lm, source)
        return _chosen(found)
    grown = [
        _begun(tree, leaves) for tree, leaves in zip(trees(lm, source), _leaves(dense, source), strict=True)
    ]
    known = resolve(lm, grown)
    greedy = (known.greedy == RIGHT).double(), (known.greedy != WRONG).double()
    return {
        "greedy": (_numbers(greedy[0]), _numbers(greedy[1])),
        "sampled": (_numbers(known.won), _numbers(known.upper)),
        "leaves": [[list(path) for path in tree.leaves()] for tree in known.trees] if dense is None else [],
    }


def _chosen(found: Chosen) -> dict[str, Any]:
    likely, drawn = _numbers(found.likely), _numbers(found.drawn)
    laws = [_numbers(law) for law in found.laws] or None
    return {"greedy": (likely, likely), "sampled": (drawn, drawn), "laws": laws}


def _leaves(dense: Outcome | None, source: TaskSource) -> Sequence[Sequence[Sequence[int]]]:
    return dense.leaves if dense else [[]] * len(source.questions)


def _begun(tree: Tree, leaves: Sequence[Sequence[int]]) -> Tree:
    for leaf in leaves:
        tree.add(tuple(leaf))
    return tree


def _numbers(values: Tensor) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
