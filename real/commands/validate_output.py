"""What ``python -m real validate`` prints and writes."""

from __future__ import annotations

from typing import Any

from rich.table import Table

LOSSES = ("choice_loss", "generation_loss")


def rounded(value: Any) -> Any:
    """Six significant digits: what a reader needs, and small files."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def comparison_table(records: list[dict[str, Any]], name: str) -> Table:
    table = Table("spec", "KL/token", "greedy exact", title=f"{name}: forecast | measured")
    table.add_column("n tokens identical: best coupling")
    table.add_column("shared noise")
    table.add_column("loss of choice")
    table.add_column("loss of writing")
    table.add_column("scores within ceiling")
    for record in records:
        middle = [record[key][len(record[key]) // 2] for key in ("survival", "shared_noise")]
        ceilings = {
            "sampled": len(record["tasks"]),
            "greedy": sum("greedy_ceiling" in task for task in record["tasks"]),
        }
        table.add_row(
            record["spec"],
            f"{record['kl_per_token']['mean']:.3f}",
            f"{record['greedy']['exact']:.2f}",
            *(f"n={row['n']}: {row['forecast_mean']:.2f} | {row['measured_mean']:.2f}" for row in middle),
            *("–" if record[key] is None else f"{record[key]:+.3f}" for key in LOSSES),
            " and ".join(f"{record['within_ceiling'][way]} of {count}" for way, count in ceilings.items()),
        )
    return table
