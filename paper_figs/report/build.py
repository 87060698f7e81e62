"""Read the sidecars that the figures left in a folder and write one page about them."""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from paper_figs.catalogue import FIGURES
from paper_figs.figure import Verdict
from paper_figs.page import FAMILIES, claim_latex, mathml, render, symbols_of, text
from paper_figs.report.summary import costs, summary, write_summary
from sim.sweeps.results import ATTACK, SWEEP, read_json, theorem_table
from theory import catalogue
from theory.files import atomic_path
from theory.theorems.theorem import Theorem

SECTIONS = (
    "Representation hierarchy",
    "Estimates",
    "Multiple choice",
    "Tasks",
    "Generation",
    "Choice of layers",
    "Forecast",
    "Bounds",
)
"""Subjects in the order of the paper, then ours."""
PICTURES = ("regime", "sequence-tv", "fig01")  # beside the answer
THUMBNAIL = 460  # pixels


def write_report(folder: Path) -> Path:
    """Write ``folder/index.html`` and ``folder/summary.json`` from the figures in ``folder``.

    Raises
    ------
    ValueError
        If the folder holds no figure.
    """
    sidecars = [read for name in FIGURES if (read := _sidecar(folder / f"{name}.json"))]
    if not sidecars:
        raise ValueError(f"out must be a folder with figures, got {folder}, which has none")
    found = summary(sidecars)
    write_summary(found, folder)
    by_id = {side["id"]: side for side in sidecars}
    page = render(
        __package__,
        style=text(__package__, "report.css"),
        script=text(__package__, "report.js"),
        run=found,
        pictures=[_picture(name, by_id[name], folder) for name in PICTURES if name in by_id],
        verdicts=[str(verdict) for verdict in Verdict],
        sections=_sections(sidecars, folder),
        missing=[name for name in FIGURES if name not in by_id],
        families=_families(),
        tests=_tests(),
        provenance=provenance(sidecars),
        command=command(sidecars[0]["provenance"]["setup"]),
    )
    path = folder / "index.html"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _sections(sidecars: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Figures and findings by subject."""
    names = dict.fromkeys((*SECTIONS, *(side["section"] for side in sidecars)))
    found = []
    for number, name in enumerate(names):
        members = [side for side in sidecars if side["section"] == name]
        if members:
            findings = [one | {"figure": side["id"]} for side in members for one in side["findings"]]
            figures = sorted((_figure(side, folder) for side in members), key=_is_table)
            entry = {"id": f"section-{number}", "name": name or "Other"}
            found.append(entry | {"findings": findings, "figures": figures})
    return found


def _is_table(figure: dict[str, Any]) -> bool:
    """Tables come after pictures: they are as wide as the page."""
    return figure["table"] is not None


def command(setup: dict[str, Any]) -> str:
    """The command line that repeats the run."""
    profile = setup["profile"]["name"]
    words = ["python -m paper_figs", f"--model {shlex.quote(setup['model'])}"]
    words += [f"--encoder {shlex.quote(setup['encoder'])}", f"--seed {setup['seed']}"]
    words += [f"--{profile}"] if profile in ("quick", "full") else []
    words += [f"--device {setup['device']}"] if setup["device"] != "cpu" else []
    return " ".join(words)


def _sidecar(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _figure(side: dict[str, Any], folder: Path) -> dict[str, Any]:
    verdicts = list(dict.fromkeys(finding["verdict"] for finding in side["findings"]))
    if side.get("table"):
        return {**side, "verdicts": verdicts}
    png = folder / f"{side['id']}.png"
    with Image.open(png) as image:
        width, height = image.size
    encoded = base64.b64encode(png.read_bytes()).decode()
    return {**side, "table": None, "png": encoded, "width": width, "height": height, "verdicts": verdicts}


def _picture(name: str, side: dict[str, Any], folder: Path) -> dict[str, str]:
    return {"id": name, "words": side["takeaway"], "png": _thumbnail(folder / f"{name}.png")}


def _thumbnail(png: Path) -> str:
    with Image.open(png) as image:
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        packed = io.BytesIO()
        small.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def _families() -> list[dict[str, Any]]:
    """The theorems by letter, each with everything that ``theory show`` prints."""
    found = []
    for letter, words in FAMILIES.items():
        members = [_theorem(theorem) for theorem in catalogue if theorem.family == letter]
        if members:
            found.append({"letter": letter, "words": words, "theorems": members})
    return found


def _theorem(theorem: Theorem) -> dict[str, Any]:
    limit = [theorem.limit] if theorem.limit else []
    return {
        "id": theorem.id,
        "name": theorem.name,
        "title": theorem.title,
        "status": theorem.status,
        "statement": theorem.statement,
        "hypotheses": "; ".join(theorem.hypotheses),
        "formulas": [mathml(claim_latex(claim)) for claim in theorem.claims],
        "symbols": [(mathml(one.latex), one.text) for one in symbols_of(theorem)],
        "steps": [f"{step.text} ({step.method})" for step in theorem.derivation],
        "limit": [f"{step.text} ({step.method})" for step in limit],
        "witnesses": [witness.text for witness in theorem.witnesses],
        "counterexample": theorem.counterexample.text if theorem.counterexample else None,
        "source": theorem.source,
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


def provenance(sidecars: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Facts by group: models, setup, versions, machine and time; figures that differ show every value."""
    facts: dict[str, list[str]] = {}
    for side in sidecars:
        for name, value in _flat(side["provenance"]).items():
            seen = facts.setdefault(name, [])
            if value not in seen:
                seen.append(value)
    groups: dict[str, dict[str, str]] = {}
    for name, values in facts.items():
        group, _, rest = name.partition(".")
        if rest and group in ("models", "setup", "versions"):
            groups.setdefault(group, {})[rest] = "; ".join(values)
        elif group in ("softmax-drift", "commit", "machine"):
            groups.setdefault("run", {})[name] = "; ".join(values)
    groups.setdefault("run", {})["computed"] = f"{min(facts['computed'])} to {max(facts['computed'])}"
    groups["run"]["processor seconds"] = str(costs(sidecars)["total"])
    return groups


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = str(value)
    return leaves
