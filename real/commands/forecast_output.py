"""What ``python -m real forecast`` prints, writes and draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from real.commands.calibrations import cells, columns, remarks
from real.forecast.first_divergence import first_divergence_table
from real.forecast.noise import NoiseFloor
from real.forecast.report import TextReport
from real.forecast.text_drift import Forecast, HalfLife, Interval
from real.forecast.verdict import Verdict, verdicts
from real.models.load import LanguageModel
from real.scores.verdict import Outcome
from theory.files import atomic_path
from theory.terminal import console, writing
from theory.terminal.console import styled
from theory.terminal.tables import plain_table

COLOUR = {Outcome.SAFE: "green", Outcome.UNDECIDED: "yellow", Outcome.FAILS: "red"}


def show(lm: LanguageModel, found: Sequence[Forecast]) -> None:
    """Print the verdict table and the table of numbers on stdout."""
    first = found[0]
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): which tasks survive?"
    judged = [verdicts(result) for result in found]
    kinds = [verdict.kind for verdict in judged[0]]
    table = plain_table("spec", *kinds, title=title, caption=_caption(first))
    for result, row in zip(found, judged, strict=True):
        table.add_row(result.spec, *map(_cell, row))
    chaotic = [result.spec for result in found if result.kl_per_token_calibrations]
    numbers = plain_table(
        *("spec", "TV", "half-life", "identical tokens", "KL/token", *columns(bool(chaotic))),
        *("accepted drafts", "greedy"),
    )
    for result in found:
        numbers.add_row(
            result.spec,
            f"{float(result.sequence_tv.mean[-1]):.2f}",
            _half_life(result.half_life, result.horizon),
            _interval(result.identical_tokens, 1, "\n"),
            _interval(result.kl_per_token, 3, "\n"),
            *cells(bool(chaotic), result.kl_per_token_calibrations, 3),
            _interval(result.acceptance, 3, "\n"),
            _greedy(result),
        )
    floor = [_noise(first.noise, lm)] if first.noise else []
    console.show(table, numbers, *floor, _divergences(found), *remarks(chaotic, "KL per token"))


def _noise(noise: NoiseFloor, lm: LanguageModel) -> str:
    return (
        f"noise floor of {str(lm.model.dtype)[6:]}: the same weights, evaluated in two ways, differ by "
        f"{noise.kl_per_token:.4f} nats per token, a total variation of "
        f"{float(noise.sequence_tv[-1]):.2f} of all "
        f"tokens, and {noise.options:.0%} of the options chosen; limits are wider by it, and no "
        "verdict is given below"
    )


def _divergences(found: Sequence[Forecast]) -> Table:
    tables = [first_divergence_table(result) for result in found]
    spans = [
        "none" if not first else str(last) if first == last else f"{first}–{last}"
        for first, last in zip(tables[0]["first"], tables[0]["last"], strict=True)
    ]
    table = plain_table("spec", "decoding", *spans, title="first differing token: share of texts")
    for result, shares in zip(found, tables, strict=True):
        for way in ("greedy", "shared_noise", "best_coupling"):
            table.add_row(result.spec, way.replace("_", " "), *(f"{share:.2f}" for share in shares[way]))
    return table


def _greedy(result: Forecast) -> str:
    identical, certified, length = (
        int(part.median())
        for part in (result.greedy.identical, result.greedy.certified, result.greedy.length)
    )
    return f"{identical} ({certified}) of {length}"


def _caption(first: Forecast) -> str:
    return (
        f"{first.prompts} prompts × {first.samples} samples × {first.horizon} tokens, temperature "
        f"{first.temperature:g}. In brackets {first.level:.0%} intervals: each limit is wrong with "
        f"probability at most {(1 - first.level) / 2:.0%}. Multiple choice, retrieval: loss of "
        "the score. Short answer, long generation: ceiling on the change of any score in [0, 1], which can "
        "say safe and never fails; --task says what a task loses. Greedy: "
        "tokens that are the same (certified), medians over prompts."
    )


def _cell(verdict: Verdict) -> Text:
    colour = COLOUR[verdict.outcome]
    missing = "" if verdict.more is None else f", {verdict.more} prompts missing"
    return styled(f"[{colour}]{verdict.outcome.value}[/] {_interval(verdict.number, 2)}{missing}")


def _interval(interval: Interval, digits: int, gap: str = " ") -> str:
    return f"{interval.mean:.{digits}f}{gap}({interval.lower:.{digits}f}–{interval.upper:.{digits}f})"


def _half_life(half: HalfLife, horizon: int) -> str:
    mean, lower, upper = (f">{horizon}" if n is None else str(n) for n in dataclasses.astuple(half))
    return f"{mean} ({lower}–{upper})"


def write_json(path: Path, lm: LanguageModel, found: Sequence[Forecast]) -> None:
    """Write provenance, every field of every forecast, and the verdicts."""
    entries = [
        dataclasses.asdict(result)
        | {"verdicts": [dataclasses.asdict(verdict) for verdict in verdicts(result)]}
        | {"first_divergence": first_divergence_table(result).to_dict("records")}
        for result in found
    ]
    writing.write_json({"model": lm.provenance, "forecasts": entries}, path, _plain)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Outcome) else torch.as_tensor(value).tolist()


def write_csv(path: Path, report: TextReport) -> None:
    """Write one row per spec and number of tokens."""
    writing.write_table(report.curves(), path)


def draw(path: Path, report: TextReport) -> None:
    """Draw sequence TV and survival of exact agreement against the number of tokens, with their bands."""
    with atomic_path(path) as partial:
        report.plot().savefig(partial)
