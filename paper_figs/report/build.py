"""Read the sidecars that the figures left in a folder and write one page about them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from paper_figs.catalogue import FIGURES
from paper_figs.figure import Verdict
from paper_figs.page import claim_latex, mathml, render, text
from sim.sweeps.results import ATTACK, SWEEP, read_json, theorem_table
from theory import catalogue
from theory.files import atomic_path
from theory.theorems.theorem import Theorem


def write_report(folder: Path) -> Path:
    """Write ``folder/index.html`` from the figures in ``folder``.

    Raises
    ------
    ValueError
        If the folder holds no figure.
    """
    sidecars = [read for name in FIGURES if (read := _sidecar(folder / f"{name}.json"))]
    if not sidecars:
        raise ValueError(f"out must be a folder with figures, got {folder}, which has none")
    findings = [finding | {"figure": side["id"]} for side in sidecars for finding in side["findings"]]
    made = {side["id"] for side in sidecars}
    tally = Counter(finding["verdict"] for finding in findings)
    page = render(
        __package__,
        style=text(__package__, "report.css"),
        model=sidecars[0]["provenance"]["setup"]["model"],
        findings=findings,
        tally={verdict: tally[verdict] for verdict in Verdict if tally[verdict]},
        figures=[_figure(side, folder) for side in sidecars],
        missing=[name for name in FIGURES if name not in made],
        theorems=[_theorem(theorem) for theorem in catalogue],
        tests=_tests(),
        provenance=_provenance(sidecars),
    )
    path = folder / "index.html"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _sidecar(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _figure(side: dict[str, Any], folder: Path) -> dict[str, Any]:
    png = folder / f"{side['id']}.png"
    with Image.open(png) as image:
        width, height = image.size
    encoded = base64.b64encode(png.read_bytes()).decode()
    return {**side, "png": encoded, "width": width, "height": height}


def _theorem(theorem: Theorem) -> dict[str, Any]:
    return {
        "id": theorem.id,
        "title": theorem.title,
        "status": theorem.status,
        "statement": theorem.statement,
        "formulas": [mathml(claim_latex(claim)) for claim in theorem.claims],
        "steps": [f"{step.text} ({step.method})" for step in theorem.derivation],
    }


def _tests() -> dict[str, Any] | None:
    """Theorem by theorem, what the sweep and the attack that ship with the package found; None without."""
    if not (SWEEP.exists() and ATTACK.exists()):
        return None
    sweep, attack = read_json(SWEEP), read_json(ATTACK)
    table = theorem_table(sweep, attack)
    table = table[table["draws"].notna() | table["attack"].notna()]
    digits = {"draws": "{:,.0f}", "violations": "{:.0f}", "slack": "{:.1e}", "attack": "{:.9g}"}
    rows = [
        {name: digits[name].format(value) if name in digits else value for name, value in row.items()}
        for row in table.to_dict(orient="records")
    ]
    for row in rows:
        row |= {name: "–" for name in digits if row[name] == "nan"}
    return {"rows": rows, "draws": f"{sweep['total_draws']:,}", "seed": sweep["seed"]}


def _provenance(sidecars: Iterable[dict[str, Any]]) -> dict[str, str]:
    """One value for each fact; facts on which the figures differ show every value."""
    facts: dict[str, list[str]] = {}
    for side in sidecars:
        for name, value in _flat(side["provenance"]).items():
            seen = facts.setdefault(name, [])
            if value not in seen:
                seen.append(value)
    per_figure = ("rows", "drawn", "computed", "seconds", "code", "parameters")
    return {
        name: "; ".join(values) for name, values in facts.items() if name.split(".")[0] not in per_figure
    } | {
        "computed": f"{min(facts['computed'])} to {max(facts['computed'])}",
        "seconds of computation": str(round(sum(float(s["provenance"]["seconds"]) for s in sidecars))),
    }


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = str(value)
    return leaves
