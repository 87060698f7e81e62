"""From a score's change to words: safe, fails, or undecided and how many prompts are missing.

Safe: the loss is certainly at most epsilon. Fails: it is certainly at least epsilon. Said of two things:
*these prompts*, the listed questions, where a resolved score needs no statistics; and *prompts like these*,
of which the questions are a sample, where each limit is wrong with probability at most alpha (K4) and no
method can do with fewer prompts than the price of prompts (K0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

from theory.sequences.betting import log_e_value, lower_limit
from theory.sequences.scores import ScoredTexts, change_rows, score_band, score_split
from theory.sequences.verdicts import rows_needed

EPSILON = 0.1
ALPHA = 0.05


@dataclass(frozen=True)
class Interval:
    """An estimate between its lower and upper confidence limits."""

    mean: float
    lower: float
    upper: float


class Outcome(Enum):
    """What can be said of the loss of a score."""

    SAFE = "safe"
    FAILS = "fails"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Explanation:
    """Where the mass of scored texts goes (K2), estimates: only lost right mass can lower the score.

    lost_right + lost_wrong is the total variation; gained_right: right mass that the weights show elsewhere.
    sample_size: effective number of prompts. usable: whether the estimate of the loss may be quoted, or only
    its limits (K6).
    """

    lost_right: float
    lost_wrong: float
    gained_right: float
    sample_size: float
    usable: bool


@dataclass(frozen=True)
class Evidence:
    """What is known of the change of one score between two models.

    plus, minus: float64 ``(prompts,)`` >= 0, of means at most 1 + change and 1 - change. texts: the same for
    every single text ``(texts,)``, where scores were sampled; None where plus and minus are the questions'
    own, without sampling. before, after: scores of the dense model and of the variant on these prompts.
    explanation: of sampled texts, see :class:`Explanation`.
    """

    plus: Tensor
    minus: Tensor
    before: Interval
    after: Interval
    texts: tuple[Tensor, Tensor] | None = None
    explanation: Explanation | None = None

    @property
    def loss(self) -> float:
        """Estimate of the loss."""
        lost, kept = 1 - float(self.plus.mean()), float(self.minus.mean()) - 1
        return lost if self.texts else (lost + kept) / 2


@dataclass(frozen=True)
class Verdict:
    """An outcome, the loss behind it (positive is worse), and about how many more prompts would decide it.

    more: None where nothing is missing, or no number within sight would do.
    """

    outcome: Outcome
    loss: Interval
    more: int | None = None


def between(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Evidence:
    """Evidence from the ends of every question's score, each ``(questions,)``, without sampling."""
    return Evidence(
        plus=1 + after[0] - before[1],
        minus=1 + before[0] - after[1],
        before=_middle(*before),
        after=_middle(*after),
    )


def sampled(texts: ScoredTexts, alpha: float = ALPHA) -> Evidence:
    """Evidence from scored dense texts and their weights in the variant (K4); ``texts`` of drawn prompts."""
    band = score_band(texts, 1 - 2 * alpha)
    before, after = (Interval(*map(float, (b.mean, b.lower, b.upper))) for b in (band.dense, band.perturbed))
    listed, split = replace(texts, listed=True), score_split(texts, 1 - 2 * alpha)
    explanation = Explanation(
        lost_right=float(split.lost_right.mean),
        lost_wrong=float(split.lost_wrong.mean),
        gained_right=float(split.gained_right.mean),
        sample_size=band.sample_size,
        usable=band.usable,
    )
    return Evidence(*change_rows(texts), before, after, change_rows(listed), explanation)


def of_these_prompts(
    evidence: Evidence, epsilon: float = EPSILON, alpha: float = ALPHA, noise: float = 0.0
) -> Verdict:
    """The verdict on the listed questions: exact, or with limits over sampled texts (K4b).

    ``noise``, what evaluating one model in two ways moves its score by (K10), widens both limits.
    """
    if evidence.texts is None:
        limits = float(evidence.plus.mean()), float(evidence.minus.mean())
    else:
        limits = _limits(*evidence.texts, alpha)
    return _verdict(evidence.loss, *limits, epsilon, noise)


def of_prompts_like_these(
    evidence: Evidence,
    epsilon: float = EPSILON,
    alpha: float = ALPHA,
    design: int | None = None,
    noise: float = 0.0,
) -> Verdict:
    """The verdict on the prompts that the questions sample; ``design`` as in :func:`lower_limit`."""
    found = _verdict(evidence.loss, *_limits(evidence.plus, evidence.minus, alpha, design), epsilon, noise)
    if found.outcome is not Outcome.UNDECIDED:
        return found
    return Verdict(found.outcome, found.loss, _more(evidence, epsilon, alpha))


def log_evidence_of_safety(
    evidence: Evidence, epsilon: float = EPSILON, alpha: float = ALPHA, design: int | None = None
) -> float:
    """Log of an e-value against "the loss on prompts like these is at least epsilon" (K4f)."""
    return float(log_e_value(evidence.plus.unsqueeze(1), 1 - epsilon, alpha, design))


def _limits(plus: Tensor, minus: Tensor, alpha: float, design: int | None = None) -> tuple[float, float]:
    both = lower_limit(torch.stack([plus, minus], 1), alpha, design)
    return float(both[0]), float(both[1])


def _verdict(loss: float, plus: float, minus: float, epsilon: float, noise: float) -> Verdict:
    upper, lower = min(1.0, 1 - plus + noise), max(-1.0, minus - 1 - noise)
    outcome = Outcome.UNDECIDED
    if upper <= epsilon:
        outcome = Outcome.SAFE
    elif lower >= epsilon:
        outcome = Outcome.FAILS
    return Verdict(outcome, Interval(min(max(loss, lower), upper), lower, upper))


def _more(evidence: Evidence, epsilon: float, alpha: float) -> int | None:
    """About how many further prompts would decide if they were like those seen."""
    needed = None
    for values, goal in ((evidence.plus, 1 - epsilon), (evidence.minus, 1 + epsilon)):
        if float(values.mean()) > goal:  # else no number of such prompts would do
            needed = rows_needed(values, goal, alpha)
    return None if needed is None else max(1, needed - len(evidence.plus))


def _middle(lower: Tensor, upper: Tensor) -> Interval:
    low, high = float(lower.mean()), float(upper.mean())
    return Interval((low + high) / 2, low, high)
