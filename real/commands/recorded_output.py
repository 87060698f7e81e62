"""What ``python -m real forecast`` prints and writes of records: what log-probabilities alone tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.table import Table

from real.forecast.recorded import RecordedForecast
from real.forecast.recorded_verdicts import recorded_verdicts
from real.forecast.text_drift import Interval
from real.scores.verdict import Outcome
from theory.terminal import console, writing
from theory.terminal.console import styled

_COLOUR = {Outcome.SAFE: "green", Outcome.UNDECIDED: "yellow", Outcome.FAILS: "red"}
_CURVES = ("sequence_tv", "survival")


def show(found: Sequence[RecordedForecast]) -> None:
    """Print the table on stdout; the noise floor and what is missing on stderr."""
    console.show(_table(found))
    if floor := _noise(found):
        console.say(floor)
    console.say(f"Missing without the vocabulary: {'; '.join(found[0].missing)}.")


def write_json(path: Path, found: Sequence[RecordedForecast]) -> None:
    """Write both headers, every field of every forecast, and the verdicts."""
    writing.write_json([_entry(one) for one in found], path, _plain)


def write_csv(path: Path, found: Sequence[RecordedForecast]) -> None:
    """Write one row per model and tabulated number of tokens."""
    rows = []
    for one in found:
        for place, tokens in enumerate(one.tokens.tolist()):
            row: dict[str, Any] = {"model": one.other.model, "tokens": tokens}
            for curve in _CURVES:
                band = getattr(one, curve)
                ends = {"": band.mean, "_lower": band.lower, "_upper": band.upper}
                row |= {curve + end: float(values[place]) for end, values in ends.items()}
            rows.append(row | {"kl": float(one.kl[place])})
    writing.write_table(pd.DataFrame(rows), path)


def _table(found: Sequence[RecordedForecast]) -> Table:
    first = found[0]
    title = f"{first.dense.model} ({first.dense.engine}): what does its text become?"
    caption = (
        f"{first.texts} texts of {first.prompts} prompts, up to {first.horizon} tokens, "
        f"{first.dense.decoding}. In brackets {first.level:.0%} intervals: each limit is wrong with "
        f"probability at most {(1 - first.level) / 2:.0%}. Short answers: ceiling on the change of any "
        "score in [0, 1]. Long generation: nats of KL per token, or that ceiling if safe."
    )
    table = Table("model", title=title, caption=caption)
    for header in ("short answer", "long generation", "TV of all tokens", "half-life", "identical tokens"):
        table.add_column(header)
    for header in ("KL/token", "accepted drafts", "greedy: identical", "score: change"):
        table.add_column(header)
    for one in found:
        verdicts = [
            styled(f"[{_COLOUR[verdict.outcome]}]{verdict.outcome.value}[/] {_interval(verdict.number, 2)}")
            for verdict in recorded_verdicts(one)
        ]
        half = (f">{one.horizon}" if n is None else str(n) for n in astuple(one.half_life))
        estimate, low, high = half
        table.add_row(
            one.other.model,
            *verdicts,
            f"{float(one.sequence_tv.mean[-1]):.2f}",
            f"{estimate} ({low}–{high})",
            _interval(one.identical_tokens, 1),
            _interval(one.kl_per_token, 3),
            _interval(one.acceptance, 3),
            _greedy(one),
            _score(one),
        )
    return table


def _greedy(one: RecordedForecast) -> str:
    if one.greedy_identical is None:
        return "–"
    identical, length = one.greedy_identical
    return f"{int(identical.median())} of {int(length.median())}"


def _score(one: RecordedForecast) -> str:
    if one.score is None:
        return "–"
    limits = f"({float(one.score.change.lower):+.2f}–{float(one.score.change.upper):+.2f})"
    return f"{float(one.score.change.mean):+.2f} {limits}" if one.score.usable else limits


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.mean:.{digits}f} ({interval.lower:.{digits}f}–{interval.upper:.{digits}f})"


def _noise(found: Sequence[RecordedForecast]) -> str | None:
    """What of the drift is the programs' and not the models'."""
    notes = []
    widest = max(one.rounding for one in found)
    if widest:
        notes.append(f"Log-probabilities are rounded: every limit is widened by {widest:g} nats per token.")
    floors = [
        f"{one.kl_per_token.mean:.4f} nats per token, TV {float(one.sequence_tv.mean[-1]):.3f} "
        f"({one.other.engine})"
        for one in found
        if _weights(one.dense.settings) is not None
        and _weights(one.dense.settings) == _weights(one.other.settings)
        and one.dense.engine != one.other.engine
    ]
    if floors:
        notes.append(f"Noise floor, the same weights in another engine: {'; '.join(floors)}.")
    elif any(one.dense.engine.split()[0] != one.other.engine.split()[0] for one in found):
        notes.append(
            "Two engines compute the same weights differently: record the dense weights in the second engine "
            "too, and read every drift beside that noise floor."
        )
    return " ".join(notes) or None


def _weights(settings: dict[str, Any]) -> Any:
    return settings.get("weights")


def _entry(one: RecordedForecast) -> dict[str, Any]:
    return asdict(one) | {"verdicts": [asdict(verdict) for verdict in recorded_verdicts(one)]}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Outcome) else torch.as_tensor(value).tolist()
