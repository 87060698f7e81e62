"""Verdicts on a variant that is known by a record alone: those that need no vocabulary."""

from __future__ import annotations

from real.forecast.recorded import RecordedForecast
from real.forecast.text_drift import Interval
from real.forecast.verdict import SHORT_ANSWER, Verdict, of_ceiling


def recorded_verdicts(forecast: RecordedForecast) -> tuple[Verdict, Verdict]:
    """Short answer and long generation, by the rules of :mod:`real.forecast.verdict`."""
    n = min(SHORT_ANSWER, forecast.horizon)
    prompts, level = forecast.prompts, forecast.level
    return (
        of_ceiling("short answer", _ceiling(forecast, n), n, prompts, level),
        of_ceiling("long generation", _ceiling(forecast, forecast.horizon), forecast.horizon, prompts, level),
    )


def _ceiling(forecast: RecordedForecast, n: int) -> Interval:
    place = int((forecast.tokens <= n).sum()) - 1
    band = forecast.sequence_tv
    return Interval(float(band.mean[place]), float(band.lower[place]), float(band.upper[place]))
