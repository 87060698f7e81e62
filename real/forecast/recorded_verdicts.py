"""Verdicts on a variant that is known by a record alone: those that need no vocabulary."""

from __future__ import annotations

from real.forecast.recorded import RecordedForecast
from real.forecast.text_drift import Interval
from real.forecast.verdict import LONG_FAILS, SAFE, SHORT_ANSWER, SHORT_FAILS, Outcome, Verdict


def recorded_verdicts(forecast: RecordedForecast) -> tuple[Verdict, Verdict]:
    """Short answer and long generation, by the rules of :mod:`real.forecast.verdict`."""
    sure = (1 + forecast.level) / 2
    n = min(SHORT_ANSWER, forecast.horizon)
    short, long = _ceiling(forecast, n), _ceiling(forecast, forecast.horizon)
    per_token = forecast.kl_per_token
    short_outcome = _outcome(short, short.lower >= SHORT_FAILS)
    long_outcome = _outcome(long, per_token.lower >= LONG_FAILS)
    meaning = f"total variation of {forecast.horizon} tokens"
    if long_outcome is not Outcome.SAFE:
        long, meaning = per_token, "nats of KL per token"
    return (
        Verdict("short answer", short_outcome, short, f"total variation of {n} tokens", sure),
        Verdict("long generation", long_outcome, long, meaning, sure),
    )


def _outcome(ceiling: Interval, damaged: bool) -> Outcome:
    if ceiling.upper <= SAFE:
        return Outcome.SAFE
    return Outcome.FAILS if damaged else Outcome.AT_RISK


def _ceiling(forecast: RecordedForecast, n: int) -> Interval:
    place = int((forecast.tokens <= n).sum()) - 1
    band = forecast.sequence_tv
    return Interval(float(band.mean[place]), float(band.lower[place]), float(band.upper[place]))
