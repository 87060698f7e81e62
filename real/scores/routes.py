"""The ways to know a task's score without letting a variant write: read off, computed, or estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.scores.blocks import Part, as_json, from_json, identity, in_blocks, ranges
from real.scores.futures import futures
from real.scores.options import Chosen, choose, follow
from real.scores.resolved import MASS, RIGHT, ROWS, WRONG, Resolved, resolve
from real.scores.sampled import Draw, Scored, graded, read_with, require_answers, scored, some_rows
from real.scores.tree import Tree, trees
from real.scores.verdict import ALPHA, Evidence, between, sampled
from real.tasks.source import Scorer, TaskSource
from real.text.sample import HALF
from theory.sequences.scores import ScoredTexts

_NOISE_QUESTIONS = 32

Decoding = Literal["greedy", "sampled"]


class Route(Protocol):
    """A task as the dense model answers it."""

    @property
    def source(self) -> TaskSource:
        """The task."""
        ...

    def facts(self, start: int, end: int) -> Any:
        """All that the answers of a given model to some questions depend on, as a JSON value."""
        ...

    def read(self, other: LanguageModel, start: int, end: int) -> Part:
        """What ``other`` answers to the questions from ``start`` to ``end``: one pass."""
        ...

    def evidence(self, parts: Sequence[Part]) -> dict[Decoding, Evidence]:
        """What the parts read so far, from the first question on, say of the change of the score."""
        ...


@dataclass(frozen=True)
class ReadOff:
    """Right answers are known: their probability, and whether greedy decoding gives them (K1)."""

    source: TaskSource
    trees: tuple[Tree, ...]
    dense: Part

    def facts(self, start: int, end: int) -> Any:
        """See :class:`Route`."""
        return [_tree_facts(tree) for tree in self.trees[start:end]]

    def read(self, other: LanguageModel, start: int, end: int) -> Part:
        """See :class:`Route`."""
        return _ends(resolve(other, self.trees[start:end]))

    def evidence(self, parts: Sequence[Part]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        return _between(self.dense, parts)


@dataclass(frozen=True)
class Options:
    """Options are compared, or one ending is read: every decision is exact (K12)."""

    source: TaskSource
    prompts: tuple[tuple[int, ...], ...]
    dense: Part

    def facts(self, start: int, end: int) -> Any:
        """See :class:`Route`."""
        return _options_facts(self.source, self.prompts, start, end)

    def read(self, other: LanguageModel, start: int, end: int) -> Part:
        """See :class:`Route`."""
        return _ends(_exact(other, self.source, start, end))

    def evidence(self, parts: Sequence[Part]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        return _between(self.dense, parts)


@dataclass(frozen=True)
class Sampled:
    """Any scorer: dense texts are scored, their weights in the variant give a band (K4)."""

    source: TaskSource
    dense: Scored
    alpha: float = ALPHA

    def facts(self, start: int, end: int) -> Any:
        """See :class:`Route`."""
        rows, some = some_rows(self.dense.samples, start, end)
        known = (some.tokens, some.prompt_lengths, some.lengths, self.dense.log_prob[rows])
        judged = (self.dense.scores[rows], self.dense.decided[rows])
        return [some.temperature, *(tensor.tolist() for tensor in (*known, *judged))]

    def read(self, other: LanguageModel, start: int, end: int) -> Part:
        """See :class:`Route`."""
        found = read_with(other, self.dense, start, end)
        return {"sampled": (found.log_weights, found.scores, found.prompt)}

    def evidence(self, parts: Sequence[Part]) -> dict[Decoding, Evidence]:
        """See :class:`Route`."""
        texts = joined([scored_texts(part["sampled"]) for part in parts])
        return {"sampled": sampled(texts, self.alpha)}


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

    Texts that are graded already are taken as they are. The task's own scorer is used where it has one and
    none is given.

    Raises
    ------
    ValueError
        There is no scorer, and a question has neither options nor an answer that can be written.
    """
    if source.graded:
        return Sampled(source, graded(lm, source), alpha)
    scorer = scorer or source.scorer
    if scorer is not None:
        return Sampled(source, scored(lm, source, scorer, Draw(samples, seed=seed)), alpha)
    if source.has_options or source.endings:
        return _options(lm, source)
    require_answers(source)
    if source.after:
        return futures(lm, source, Draw(samples, seed=seed), alpha)
    return _read_off(lm, source)


def _read_off(lm: LanguageModel, source: TaskSource) -> ReadOff:
    """Resolve every question with the dense model; what its trees became is where variants begin."""
    begun = trees(lm, source)
    spans = ranges(0, len(begun))

    def make(index: int) -> dict[str, Any]:
        found = resolve(lm, begun[slice(*spans[index])], mass=MASS, rows=ROWS)
        return {"ends": as_json(_ends(found)), "nodes": [[*map(list, tree.nodes)] for tree in found.trees]}

    owner = identity(lm, "real.scores.resolved", MASS, ROWS)
    facts = [[owner, [_tree_facts(tree) for tree in begun[start:end]]] for start, end in spans]
    found, _ = in_blocks(facts, make, "dense answers")
    grown = [tree.copy() for tree in begun]
    for tree, nodes in zip(grown, (nodes for block in found for nodes in block["nodes"]), strict=True):
        for path in nodes:
            tree.add(tuple(path))
    return ReadOff(source, tuple(grown), _joined([from_json(block["ends"]) for block in found]))


def _options(lm: LanguageModel, source: TaskSource) -> Options:
    prompts = tuple(source.prompts(lm))
    spans, owner = ranges(0, len(prompts)), identity(lm, "real.scores.options")
    found, _ = in_blocks(
        [[owner, _options_facts(source, prompts, *span)] for span in spans],
        lambda index: as_json(_ends(_exact(lm, source, *spans[index]))),
        "dense answers",
    )
    return Options(source, prompts, _joined([*map(from_json, found)]))


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


def scored_texts(found: tuple[Tensor, ...]) -> ScoredTexts:
    """Texts of a block as they are kept: log-weights, scores, prompts."""
    log_weights, scores, prompt = found
    return ScoredTexts(log_weights, scores, prompt)


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


def _exact(lm: LanguageModel, source: TaskSource, start: int, end: int) -> Chosen:
    some = replace(source, questions=source.questions[start:end])
    return follow(lm, some) if source.endings else choose(lm, some)


def _options_facts(source: TaskSource, prompts: Sequence[tuple[int, ...]], start: int, end: int) -> Any:
    asked = [(one.prompt, one.options, one.answers) for one in source.questions[start:end]]
    settings = [source.lead, source.chat, source.per_character, source.endings]
    return [settings, asked, prompts[start:end]]


def _tree_facts(tree: Tree) -> Any:
    asked, accepted = tree.question, tree.question.accepted
    right = [accepted.answers, accepted.stops, accepted.pattern]
    return [asked.prompt, right, asked.horizon, asked.lead, list(tree.nodes)]


def _ends(found: Resolved | Chosen) -> Part:
    """Lower and upper end of every question's score."""
    if isinstance(found, Chosen):
        return {"greedy": (found.likely, found.likely), "sampled": (found.drawn, found.drawn)}
    return {
        "greedy": ((found.greedy == RIGHT).double(), (found.greedy != WRONG).double()),
        "sampled": (found.won, found.upper),
    }


def _joined(parts: Sequence[Part]) -> Part:
    return {
        name: tuple(torch.cat(tensors) for tensors in zip(*(part[name] for part in parts), strict=True))
        for name in parts[0]
    }


def _between(dense: Part, parts: Sequence[Part]) -> dict[Decoding, Evidence]:
    found: dict[Decoding, Evidence] = {}
    after = _joined(parts)
    for decoding in ("greedy", "sampled"):
        ends = _pair(after[decoding])
        low, high = dense[decoding]
        found[decoding] = between((low[: len(ends[0])], high[: len(ends[0])]), ends)
    return found


def _pair(tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    low, high = tensors
    return low, high
