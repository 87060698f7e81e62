"""From numbers to words: is a kind of task safe, at risk, or does it fail? The rules stand here alone.

Safe: the ceiling on the change of the mean of any score in [0, 1] is, with 95 % confidence, at most SAFE.
Fails: the damage is, with 95 % confidence, at least what the rule of that kind says.
At risk: neither can be said; more prompts may decide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import log

from real.forecast.text_drift import Forecast, Interval
from theory import Band

SAFE = 0.15
CHANGED = 0.25  # a quarter of all decisions, or of the ranking score
SHORT_ANSWER = 8  # tokens
SHORT_FAILS = 0.5  # at least half of the probability of all short answers has moved
LONG_FAILS = log(2)  # nats per token: dense text is twice as perplexing to the pruned model, at every token


class Outcome(Enum):
    """What can be said of a kind of task."""

    SAFE = "safe"
    AT_RISK = "at risk"
    FAILS = "fails"


@dataclass(frozen=True)
class Verdict:
    """An outcome, the number behind it, what that number is, and how sure we are of each of its limits."""

    kind: str
    outcome: Outcome
    number: Interval
    meaning: str
    confidence: float


def verdicts(forecast: Forecast) -> tuple[Verdict, ...]:
    """The four verdicts on one variant: multiple choice, retrieval, short answer, long generation."""
    sure = (1 + forecast.level) / 2
    n = min(SHORT_ANSWER, forecast.horizon)
    short, long = _at(forecast.sequence_tv, n), _at(forecast.sequence_tv, forecast.horizon)
    per_token = forecast.kl_per_token

    def judge(kind: str, ceiling: Interval, damage: float, fails: float, meaning: str) -> Verdict:
        if ceiling.upper <= SAFE:
            outcome = Outcome.SAFE
        else:
            outcome = Outcome.FAILS if damage >= fails else Outcome.AT_RISK
        return Verdict(kind, outcome, ceiling, meaning, sure)

    changed, moved = forecast.options_changed, forecast.retrieval_change
    long_verdict = judge(
        "long generation", long, per_token.lower, LONG_FAILS, f"total variation of {forecast.horizon} tokens"
    )
    if long_verdict.outcome is not Outcome.SAFE:
        long_verdict = Verdict(
            "long generation", long_verdict.outcome, per_token, "nats of KL per token", sure
        )
    return (
        judge("multiple choice", changed, changed.lower, CHANGED, "share of decisions that change"),
        judge("retrieval", moved, moved.lower, CHANGED, "mean |change of nDCG@10|"),
        judge("short answer", short, short.lower, SHORT_FAILS, f"total variation of {n} tokens"),
        long_verdict,
    )


def _at(band: Band, n: int) -> Interval:
    return Interval(float(band.mean[n - 1]), float(band.lower[n - 1]), float(band.upper[n - 1]))
