"""Answers after a chain of thought: the chain is drawn, the answer after it is read off (K5 c).

The score of a text is known as soon as its chain ends: the probability of a right answer from there on, of
each model, stands for the answer that happened to be drawn. The mean stays, the variance falls, and drift
after the chain no longer counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.scores.accepted import Accepted
from real.scores.blocks import Part, identity, in_blocks, ranges
from real.scores.resolved import resolve
from real.scores.sampled import Draw, judged, kept_log_probabilities, some_rows
from real.scores.spelling import spelling
from real.scores.tree import Question, Tree, trees
from real.scores.verdict import ALPHA, Evidence, Interval, sampled
from real.tasks.source import TaskSource
from real.text.likelihood import log_probabilities
from real.text.sample import Samples, pack
from theory.sequences.betting import lower_limit
from theory.sequences.scores import ScoredTexts


@dataclass(frozen=True)
class Futures:
    """Dense chains of a task. chains: texts up to the token that ends the chain, or whole where none does.

    log_prob: of a chain in the dense model, float64 ``(N,)``. trees: of the right answers after each chain;
    None where the text is judged as it was drawn. dense: lower and upper end of every text's score, ``(N,)``.
    """

    source: TaskSource
    chains: Samples
    log_prob: Tensor
    trees: tuple[Tree | None, ...]
    dense: tuple[Tensor, Tensor]
    alpha: float = ALPHA

    def facts(self, start: int, end: int) -> Any:
        """See :class:`~real.scores.routes.Route`."""
        rows, some = some_rows(self.chains, start, end)
        known = (some.tokens, some.prompt_lengths, some.lengths, self.log_prob[rows], *self._ends(rows))
        accepted = [(one.answers, one.pattern) for one in self.source.questions[start:end]]
        settings = [self.source.stops, self.source.lead, self.source.horizon, self.source.after]
        return [settings, accepted, *(tensor.tolist() for tensor in known)]

    def read(self, other: LanguageModel, start: int, end: int) -> Part:
        """See :class:`~real.scores.routes.Route`: the chains' weights, and the ends of what follows them."""
        rows, some = some_rows(self.chains, start, end)
        low, high = (values.clone() for values in self._ends(rows))
        _resolve_into(other, [self.trees[row] for row in rows.tolist()], low, high)
        log_weights = log_probabilities(other, some).sum(1) - self.log_prob[rows]
        return {"sampled": (log_weights, low, high)}

    def evidence(self, parts: Sequence[Part]) -> dict[Any, Evidence]:
        """See :class:`~real.scores.routes.Route`."""
        log_weights, low, high = (
            torch.cat(tensors) for tensors in zip(*(part["sampled"] for part in parts), strict=True)
        )
        before = tuple(values[: len(low)] for values in self.dense)
        prompt = self.chains.prompt[: len(low)]
        texts = ScoredTexts(log_weights, (before[0] + before[1]) / 2, prompt)
        right, wrong = replace(texts, scores=low), replace(texts, scores=high)
        right_mass, wrong_mass = low + right.change, 1 - high + wrong.mirrored_change
        columns = torch.stack(
            [
                1 - before[1] + right_mass,
                before[0] + wrong_mass,
                before[0],
                1 - before[1],
                right_mass,
                wrong_mass,
            ],
            1,
        )
        rows, listed = texts.units(columns), replace(texts, listed=True).units(columns)
        return {
            "sampled": Evidence(
                plus=rows[:, 0],
                minus=rows[:, 1],
                before=self._interval(rows[:, 2:4]),
                after=self._interval(rows[:, 4:6]),
                texts=(listed[:, 0], listed[:, 1]),
                explanation=sampled(texts, self.alpha).explanation,
            )
        }

    def _ends(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.dense
        return low[rows], high[rows]

    def _interval(self, rows: Tensor) -> Interval:
        """A score from masses that are surely right and surely wrong."""
        right, wrong = lower_limit(rows, self.alpha).tolist()
        lower, upper = min(1.0, right), max(0.0, 1 - wrong)
        return Interval(min(max(float(rows[:, 0].mean()), lower), upper), lower, upper)


def futures(lm: LanguageModel, source: TaskSource, draw: Draw, alpha: float = ALPHA) -> Futures:
    """Let the dense model think, and read off which answers follow.

    Raises
    ------
    ValueError
        A question has no answer, or none that can be written.
    """
    begun = trees(lm, source)  # names the question whose answers cannot be written
    drawn = judged(lm, replace(source, stops=(source.after,)), lambda text, one: 0.0, draw)
    whole, ends = drawn.samples, drawn.decided.tolist()
    texts = [whole.continuation(row).tolist() for row in range(len(whole))]
    accepted = [tree.question.accepted for tree in begun]
    prompts = source.prompts(lm)
    found: list[Tree | None] = []
    for text, end, index in zip(texts, ends, whole.prompt.tolist(), strict=True):
        found.append(_after(lm, source, accepted[index], prompts[index], text, end))
    cuts = [text[:end] if tree else text for text, end, tree in zip(texts, ends, found, strict=True)]
    rows = [(index, list(prompts[index])) for index in whole.prompt.tolist()]
    chains = pack(lm, rows, cuts, whole.temperature, whole.seed)
    log_prob = whole.log_prob if whole.log_prob is not None else kept_log_probabilities(lm, whole)
    counted = torch.arange(log_prob.shape[1]) < (chains.lengths - chains.prompt_lengths).unsqueeze(1)
    scores = torch.tensor(
        [
            _judged(lm, source.after, accepted[index], text)
            for text, (index, _) in zip(texts, rows, strict=True)
        ]
    )
    low, high = _dense_ends(lm, source, chains, found, scores)
    return Futures(source, chains, (log_prob * counted).sum(1), tuple(found), (low, high), alpha)


def _dense_ends(
    lm: LanguageModel, source: TaskSource, chains: Samples, found: Sequence[Tree | None], scores: Tensor
) -> tuple[Tensor, Tensor]:
    spans, owner = ranges(0, len(source.questions)), identity(lm, "real.scores.futures")
    rows = [some_rows(chains, *span)[0] for span in spans]

    def make(index: int) -> list[list[float]]:
        low, high = scores[rows[index]].double(), scores[rows[index]].double()
        _resolve_into(lm, [found[row] for row in rows[index].tolist()], low, high)
        return [low.tolist(), high.tolist()]

    facts = [
        [owner, source.stops, source.lead, source.horizon, [(one.answers, one.pattern) for one in
         source.questions[slice(*span)]], chains.tokens[some].tolist(), chains.lengths[some].tolist(),
         chains.prompt_lengths[some].tolist(), scores[some].tolist()]
        for span, some in zip(spans, rows, strict=True)
    ]  # fmt: skip
    blocks, _ = in_blocks(facts, make, "dense answers after chains")
    low, high = ([value for block in blocks for value in block[end]] for end in (0, 1))
    return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)


def _resolve_into(lm: LanguageModel, found: Sequence[Tree | None], low: Tensor, high: Tensor) -> None:
    """Put the ends of what is read off where there is a tree."""
    places = [place for place, tree in enumerate(found) if tree is not None]
    if places:
        known = resolve(lm, [tree for tree in found if tree is not None])
        low[places], high[places] = known.won, known.upper


def _after(
    lm: LanguageModel,
    source: TaskSource,
    accepted: Accepted,
    prompt: tuple[int, ...],
    text: list[int],
    end: int,
) -> Tree | None:
    """The answers after a chain of ``end`` tokens; None if it does not end, or its last token says more."""
    begun = str(lm.tokenizer.decode(text[:end], skip_special_tokens=True)).partition(source.after)
    if not begun[1] or begun[2].strip() or any(stop in begun[2] for stop in source.stops):
        return None
    room, spelled = source.horizon - end, spelling(lm)
    shortest = min((len(spelled.spell(answer.encode())) for answer in accepted.answers), default=1)
    if room < shortest:
        return None
    return Tree(Question((*prompt, *text[:end]), accepted, room, source.lead), spelled, lm.tokenizer)


def _judged(lm: LanguageModel, after: str, accepted: Accepted, text: list[int]) -> float:
    """Whether what was drawn after the chain is right."""
    _, ended, answer = str(lm.tokenizer.decode(text, skip_special_tokens=True)).partition(after)
    return float(bool(ended) and accepted.is_right(answer.encode()))
