"""What ``python -m real validate`` and ``validate-texts`` print and write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

METHODS = ("read off", "band", "ceiling", "counting")


def rounded(value: Any) -> Any:
    """Six significant digits: what a reader needs, and small files."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def score_table(records: Sequence[dict[str, Any]], name: str) -> Table:
    """One row per spec, task and decoding."""
    table = Table("task", "spec", "decoding", "dense", "loss", title=f"{name}: forecasts of scores")
    for heading in ("read off = answered", "other questions: forecast | measured", "right verdict"):
        table.add_column(heading)
    for method in METHODS:
        table.add_column(f"prompts, {method}")
    for record in records:
        for one in record["tasks"]:
            forecast = one["forecast"]
            known = one.get("answered", 0) - one.get("undecided", 0)
            table.add_row(
                one["task"],
                record["spec"],
                one["decoding"],
                f"{one['dense']:.3f}",
                f"{one['loss']:+.3f}",
                f"{one['agree']} of {known}" if known else "–",
                f"{forecast['lower']:+.2f} to {forecast['upper']:+.2f} | {one['measured']:+.3f}",
                one["truth"],
                *(_prompts(one["power"].get(method)) for method in METHODS),
            )
    return table


def _prompts(power: dict[str, Any] | None) -> str:
    if power is None:
        return ""
    return f"never ({power['right']:.2f})" if power["prompts"] is None else str(power["prompts"])


def text_table(records: Sequence[dict[str, Any]], name: str) -> Table:
    """One row per spec."""
    table = Table("spec", "KL/token", "greedy exact", title=f"{name}: forecast | measured")
    table.add_column("n tokens identical: best coupling")
    table.add_column("shared noise")
    for record in records:
        middle = [record[key][len(record[key]) // 2] for key in ("survival", "shared_noise")]
        table.add_row(
            record["spec"],
            f"{record['kl_per_token']['mean']:.3f}",
            f"{record['greedy']['exact']:.2f}",
            *(f"n={row['n']}: {row['forecast_mean']:.2f} | {row['measured_mean']:.2f}" for row in middle),
        )
    return table
