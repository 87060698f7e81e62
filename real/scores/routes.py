"""The ways to know a task's score without letting a variant write: read off, computed, or estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.scores.options import Chosen, choose, follow
from real.scores.resolved import MASS, RIGHT, ROWS, WRONG, Resolved, resolve
from real.scores.sampled import Scored, read_with, scored
from real.scores.tree import Tree, trees
from real.scores.verdict import ALPHA, Evidence, between, sampled
from real.tasks.source import Scorer, TaskSource
from real.text.sample import HALF
from theory.sequences.scores import ScoredTexts

_NOISE_QUESTIONS = 32

Decoding = Literal["greedy", "sampled"]
Ends = dict[Decoding, tuple[Tensor, Tensor]]  # lower and upper end of every question's score


class Route(Protocol):
    """A task as the dense model answers it."""

    @property
    def source(self) -> TaskSource:
        """The task."""
        ...

    def read(self, other: LanguageModel, start: int, end: int) -> Any:
        """What ``other`` answers to the questions from ``start`` to ``end``: one pass."""
        ...

    def evidence(self, parts: Sequence[Any]) -> dict[Decoding, Evidence]:
        """What the parts read so far, from the first question on, say of the change of the score."""
        ...


@dataclass(frozen=True)
class ReadOff:
    """Right answers are known: their probability, and whether greedy decoding gives them (K1)."""

    source: TaskSource
    trees: tuple[Tree, ...]
    dense: Ends

    def read(self, other: LanguageModel, start: int, end: int) -> Ends:
        """See :class:`Route`."""
        return _ends(resolve(other, self.trees[start:end]))

    def evidence(self, parts: Sequence[Ends]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        return _between(self.dense, parts)


@dataclass(frozen=True)
class Options:
    """Options are compared, or one ending is read: every decision is exact (K12)."""

    source: TaskSource
    dense: Ends

    def read(self, other: LanguageModel, start: int, end: int) -> Ends:
        """See :class:`Route`."""
        return _ends(_exact(other, replace(self.source, questions=self.source.questions[start:end])))

    def evidence(self, parts: Sequence[Ends]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        return _between(self.dense, parts)


@dataclass(frozen=True)
class Sampled:
    """Any scorer: dense texts are scored, their weights in the variant give a band (K4)."""

    source: TaskSource
    dense: Scored
    alpha: float = ALPHA

    def read(self, other: LanguageModel, start: int, end: int) -> ScoredTexts:
        """See :class:`Route`."""
        return read_with(other, self.dense, start, end)

    def evidence(self, parts: Sequence[ScoredTexts]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        return {"sampled": sampled(joined(parts), self.alpha)}


def route(
    lm: LanguageModel,
    source: TaskSource,
    scorer: Scorer | None = None,
    *,
    samples: int = 4,
    alpha: float = ALPHA,
    seed: int = 0,
) -> Route:
    """Let the dense model answer a task: with a ``scorer`` it writes ``samples`` texts per question.

    The task's own scorer is used where it has one and none is given.

    Raises
    ------
    ValueError
        There is no scorer, and a question has neither options nor an answer that can be written.
    """
    scorer = scorer or source.scorer
    if scorer is not None:
        return Sampled(source, scored(lm, source, scorer, samples=samples, seed=seed), alpha)
    if source.has_options or source.endings:
        return Options(source, _ends(_exact(lm, source)))
    missing = [index for index, one in enumerate(source.questions) if not one.answers and one.pattern is None]
    if missing:
        raise ValueError(
            f"task {source.name!r}, question {missing[0] + 1}: no right answer is given, so none can be read "
            "off; give answers, or a scorer that judges sampled texts"
        )
    found = resolve(lm, trees(lm, source), mass=MASS, rows=ROWS)
    return ReadOff(source, found.trees, _ends(found))


def noise_floor(one: Route, lm: LanguageModel) -> dict[Decoding, float]:
    """Mean size by which a question's score moves when the dense model itself answers it again (K10).

    Each of the first questions is read alone: other batches, other shapes, the same weights. In float32 and
    better nothing moves that counts, and nothing is read.
    """
    if lm.model.dtype not in HALF:
        return {}
    count = min(len(one.source.questions), _NOISE_QUESTIONS)
    again = one.evidence([one.read(lm, index, index + 1) for index in range(count)])
    return {name: float((found.plus - found.minus).abs().mean()) / 2 for name, found in again.items()}


def _exact(lm: LanguageModel, source: TaskSource) -> Chosen:
    return follow(lm, source) if source.endings else choose(lm, source)


def joined(parts: Sequence[ScoredTexts]) -> ScoredTexts:
    """Texts of consecutive prompts as one."""
    prompts, before = [], 0
    for part in parts:
        prompts.append(part.prompt + before)
        before += len(part.counts)
    return ScoredTexts(
        torch.cat([part.log_weights for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat(prompts),
    )


def _ends(found: Resolved | Chosen) -> Ends:
    if isinstance(found, Chosen):
        return {"greedy": (found.likely, found.likely), "sampled": (found.drawn, found.drawn)}
    return {
        "greedy": ((found.greedy == RIGHT).double(), (found.greedy != WRONG).double()),
        "sampled": (found.won, found.upper),
    }


def _between(dense: Ends, parts: Sequence[Ends]) -> dict[Decoding, Evidence]:
    found: dict[Decoding, Evidence] = {}
    for decoding, (low, high) in dense.items():
        after = (
            torch.cat([part[decoding][0] for part in parts]),
            torch.cat([part[decoding][1] for part in parts]),
        )
        read = len(after[0])
        found[decoding] = between((low[:read], high[:read]), after)
    return found
