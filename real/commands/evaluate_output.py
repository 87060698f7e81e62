"""What ``python -m real evaluate`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from real.commands.calibrations import cells, columns, remarks
from real.models.load import LanguageModel
from real.tasks.public_sets import PUBLIC
from real.tasks.summary import summarise, without_signal
from theory.outside import visible
from theory.terminal.console import say, show
from theory.terminal.tables import plain_table

_LEGEND = "lost, gained: right answers that became wrong, and the reverse. In brackets 95 % limits."

_SIGNAL = (
    "In brackets 95 % limits. No signal: they reach chance (1 % where none is), so nothing can be lost there."
)


def show_scores(lm: LanguageModel, found: pd.DataFrame, wanted: Sequence[str], alone: bool) -> None:
    """Print what the items come to; ``alone``: of the dense model without variants."""
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): scores"
    summary = summarise(found)
    show(baseline_table(summary, title) if alone else summary_tables(summary, title))
    for name in wanted:
        if name in PUBLIC and PUBLIC[name].note:
            say(f"{name}: {PUBLIC[name].note}.")
    if not alone and (silent := without_signal(summary)):
        say(f"No signal, the dense score is not beyond chance: {', '.join(silent)}.")


def baseline_table(summary: pd.DataFrame, title: str) -> Group:
    """One row per task of the dense model alone: score, chance, and whether it can do the task at all."""
    silent = without_signal(summary)
    table = plain_table("task", "items", "score", "chance", "signal")
    for row, chance in zip(summary.itertuples(), summary["chance"].astype(float), strict=True):
        table.add_row(
            str(row.task),
            str(row.n),
            f"{row.score:.2f} [{row.lower:.2f}, {row.upper:.2f}]",
            "–" if pd.isna(chance) else f"{chance:.2f}",
            "none" if row.task in silent else "yes",
        )
    return Group(Text(visible(title), "bold"), table, _SIGNAL)


def summary_tables(summary: pd.DataFrame, title: str) -> Group:
    """One table for each task, in the order of their names."""
    tables: list[Any] = []
    for task, rows in summary.groupby("task"):
        baselines = [
            f"{words} {rows[name].iloc[0]:.2f}"
            for name, words in (("chance", "chance"), ("choice_only", "options without the question"))
            if not pd.isna(rows[name].iloc[0])
        ]
        known = f" ({', '.join(baselines)})" if baselines else ""
        spreads = [
            [] if pd.isna(least) else [least, most] for least, most in zip(*_spread(rows), strict=True)
        ]
        chaotic = any(spreads)
        table = plain_table(
            "spec", "score", *columns(chaotic), "change", "lost", "gained", "McNemar p", "same answer",
            title=f"{task}{known}",
        )  # fmt: skip
        for row, spread in zip(rows.itertuples(), spreads, strict=True):
            table.add_row(
                str(row.spec),
                f"{row.score:.2f} [{row.lower:.2f}, {row.upper:.2f}]",
                *cells(chaotic, spread, 2),
                f"{row.change:+.2f} [{row.change_lower:+.2f}, {row.change_upper:+.2f}]",
                str(row.right_to_wrong),
                str(row.wrong_to_right),
                f"{row.mcnemar:.2g}",
                f"{row.agreement:.2f}",
            )
        tables.append(table)
    chaotic_specs = summary["spec"][summary["score_least"].notna()]
    return Group(Text(visible(title), "bold"), *tables, _LEGEND, *remarks(chaotic_specs, "score"))


def _spread(rows: pd.DataFrame) -> tuple[list[float], list[float]]:
    """The least and the most score over calibration texts, NaN where one is all."""
    least, most = (rows[name].astype(float).tolist() for name in ("score_least", "score_most"))
    return least, most
