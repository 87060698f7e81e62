"""From numbers to words: what the drift of text and the probes say about scores. The rules stand here alone.

Safe: the loss of the score is, with 95 % confidence, at most SAFE. Fails: it is at least that. Undecided:
neither can be said. Multiple choice and retrieval have right answers, so their loss itself is judged. Total
variation is a ceiling on the change of any score and no score: it can make a text safe, never fail. How much
of a task's score is lost, :mod:`real.scores` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from real.forecast.text_drift import Forecast, Interval
from real.scores.verdict import EPSILON, Outcome
from theory import Band
from theory.sequences.verdicts import rows_needed

SAFE = EPSILON
SHORT_ANSWER = 8  # tokens


@dataclass(frozen=True)
class Verdict:
    """An outcome, the number behind it, what that number is, and how sure we are of each of its limits.

    more: prompts that are missing at least before anything can be called safe (K0); None if none are.
    """

    kind: str
    outcome: Outcome
    number: Interval
    meaning: str
    confidence: float
    more: int | None = None


def verdicts(forecast: Forecast) -> tuple[Verdict, ...]:
    """The four verdicts on one variant: multiple choice, retrieval, short answer, long generation."""
    n = min(SHORT_ANSWER, forecast.horizon)
    level, noise = forecast.level, forecast.noise
    return (
        _of_score(
            "multiple choice",
            forecast.options_lost,
            "loss of accuracy",
            level,
            noise.options if noise else 0.0,
        ),
        _of_score("retrieval", forecast.retrieval_lost, "loss of nDCG@10", level),
        *(
            of_ceiling(
                kind,
                _at(forecast.sequence_tv, tokens),
                tokens,
                forecast.prompts,
                level,
                float(noise.sequence_tv[tokens - 1]) if noise else 0.0,
            )
            for kind, tokens in (("short answer", n), ("long generation", forecast.horizon))
        ),
    )


def of_ceiling(
    kind: str, ceiling: Interval, tokens: int, prompts: int, level: float, noise: float = 0.0
) -> Verdict:
    """The verdict that the total variation of texts allows: safe, or undecided.

    ``noise``: what two evaluations of the same weights differ by (K10); the limit is wider by it, and nothing
    is said of a drift that is no larger.
    """
    meaning, sure = f"total variation of {tokens} tokens", (1 + level) / 2
    drowned = 0 < noise >= ceiling.mean
    if ceiling.upper + noise <= SAFE and not drowned:
        return Verdict(kind, Outcome.SAFE, ceiling, meaning, sure)
    least = rows_needed(torch.ones(1), 1 - SAFE, 1 - sure) or 0
    missing = least - prompts if least > prompts else None
    return Verdict(kind, Outcome.UNDECIDED, ceiling, meaning, sure, missing)


def _of_score(kind: str, loss: Interval, meaning: str, level: float, noise: float = 0.0) -> Verdict:
    outcome = Outcome.UNDECIDED
    if loss.upper + noise <= SAFE:
        outcome = Outcome.SAFE
    elif loss.lower - noise >= SAFE:
        outcome = Outcome.FAILS
    return Verdict(kind, outcome, loss, meaning, (1 + level) / 2)


def _at(band: Band, n: int) -> Interval:
    return Interval(float(band.mean[n - 1]), float(band.lower[n - 1]), float(band.upper[n - 1]))
