"""Results that stand in the repository: the sweep of 1e8 draws and the attack on every theorem."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from theory.files import atomic_path
from theory.statements.catalogue import catalogue

DATA = Path(__file__).parents[1] / "data"
SWEEP = DATA / "sweep_1e8_seed0.json"
ATTACK = DATA / "attack_seed0.json"
PACKAGES = ("softmax-drift", "torch", "numpy", "scipy", "sympy", "mpmath")


def versions() -> dict[str, str]:
    """Python and the packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def write_json(data: dict[str, object], path: Path) -> None:
    """Write small data, atomically, one line per record."""
    body = ",\n".join(f"{json.dumps(name)}: {_lines(value)}" for name, value in data.items())
    with atomic_path(path) as partial:
        partial.write_text("{\n" + body + "\n}\n")


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
    if isinstance(value, dict) and any(isinstance(item, list) for item in value.values()):
        return (
            "{\n" + ",\n".join(f"{json.dumps(name)}: {_lines(item)}" for name, item in value.items()) + "\n}"
        )
    return json.dumps(value)


def read_json(path: Path) -> dict[str, Any]:
    """What ``write_json`` wrote."""
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def attack_summary(found: pd.DataFrame, silent: dict[str, str], seed: int, steps: int) -> dict[str, object]:
    """Plain data of an attack: per claim and side the best ratio per size; why the others have none."""
    records = []
    for (theorem, claim, side), rows in found.groupby(["theorem", "claim", "side"], sort=False):
        ratios = zip(rows["size"], rows["tightness"], strict=True)
        records.append({
            "theorem": theorem, "claim": claim, "side": side, "sharp": bool(rows["sharp"].iloc[0]),
            "excess": float(rows["excess"].max()),
            "tightness": {str(size): float(ratio) for size, ratio in ratios},
        })  # fmt: skip
    return {"seed": seed, "steps": steps, "versions": versions(), "attacked": records, "nothing": silent}


def theorem_table(sweep: dict[str, Any], attack: dict[str, Any]) -> pd.DataFrame:
    """One row per theorem of the catalogue.

    Columns: theorem, name, status, draws, violations, slack (least 1 - ratio of the sweep at R >= 0.1),
    attack (largest ratio found), sharp_attack (the ratio reached by the least tight of its sides that are
    called sharp; NaN without one). Draws and slack are NaN for theorems that no drift can be checked against.
    """
    swept = pd.DataFrame(sweep["claims"])
    swept["slack"] = swept[["slack_upper", "slack_lower"]].astype(float).min(axis=1)
    bounded = swept[~swept["claim"].str.contains("~")]  # the others are estimates
    by_theorem = bounded.groupby("theorem").agg(
        draws=("draws", "min"), violations=("violations", "sum"), slack=("slack", "min")
    )
    attacked = pd.DataFrame(attack["attacked"])
    attacked["best"] = [max(ratios.values()) for ratios in attacked["tightness"]]
    best = attacked.groupby("theorem")["best"].max()
    sharp = attacked[attacked["sharp"]].groupby("theorem")["best"].min()
    rows = []
    for theorem in catalogue:
        known = by_theorem.loc[theorem.id] if theorem.id in by_theorem.index else None
        rows.append({
            "theorem": theorem.id, "name": theorem.name, "status": str(theorem.status),
            "draws": np.nan if known is None else known["draws"],
            "violations": np.nan if known is None else known["violations"],
            "slack": np.nan if known is None else known["slack"],
            "attack": best.get(theorem.id, np.nan), "sharp_attack": sharp.get(theorem.id, np.nan),
        })  # fmt: skip
    return pd.DataFrame(rows)


def printed(table: pd.DataFrame, title: str) -> Table:
    """The table by theorem for a terminal of 80 columns."""
    formats = {
        "draws": "{:.1e}", "violations": "{:.0f}", "slack": "{:.0e}",
        "attack": "{:.5f}", "sharp_attack": "{:.5f}",
    }  # fmt: skip
    result = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    result.add_column("id", min_width=4)
    result.add_column("name", no_wrap=True)
    for heading, width in (("draws", 7), ("broken", 6), ("slack", 5), ("attack", 7), ("sharp", 7)):
        result.add_column(heading, justify="right", min_width=width)
    for row in table.to_dict(orient="records"):
        numbers = ["-" if pd.isna(row[name]) else form.format(row[name]) for name, form in formats.items()]
        result.add_row(row["theorem"], row["name"], *numbers)
    return result
