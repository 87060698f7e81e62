"""What ``python -m real evaluate`` prints."""

from __future__ import annotations

import pandas as pd
from rich.table import Table


def summary_table(summary: pd.DataFrame, title: str) -> Table:
    flips = ("right→wrong", "wrong→right", "McNemar p")
    table = Table("task", "spec", "score", "change", *flips, "same answer", title=title)
    table.add_column("chance / no question")
    ordered = summary.sort_values("task", kind="stable")
    for row, chance, choice_only in zip(
        ordered.itertuples(),
        ordered["chance"].astype(float),
        ordered["choice_only"].astype(float),
        strict=True,
    ):
        baselines = ("–" if pd.isna(value) else f"{value:.2f}" for value in (chance, choice_only))
        table.add_row(
            str(row.task),
            str(row.spec),
            f"{row.score:.2f} ({row.lower:.2f}–{row.upper:.2f})",
            f"{row.change:+.2f} ({row.change_lower:+.2f}–{row.change_upper:+.2f})",
            str(row.right_to_wrong),
            str(row.wrong_to_right),
            f"{row.mcnemar:.2g}",
            f"{row.agreement:.2f}",
            " / ".join(baselines),
        )
    return table
