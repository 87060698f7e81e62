"""Fill the explorer's page with JavaScript generated from the symbolic definitions and bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup

from paper_figs.page import claim_latex, mathml, render, text
from sim.chains import CHAINS
from theory import catalogue
from theory.files import atomic_path
from theory.formulas.claims import Bound, Claim
from theory.formulas.formula import Formula
from theory.formulas.functions.helpers import helpers
from theory.formulas.javascript import code
from theory.instances.definitions import DEFINITIONS, javascript
from theory.outside import script_json
from theory.theorems.theorem import Status, Theorem

RECORDED = Path(__file__).with_name("data") / "recorded.json"
UNPROVED = (Status.NUMERICAL, Status.FALSE)
SCRIPTS = ("shared.js", "fork.js", "lessons.js", "workbench.js", "state.js")
LESSON_CHAINS = {"mixing": 0.5, "slow": 0.5, "absorbing": 1.0}
"""Chains of ``sim`` that a lesson shows, with their noise."""


def write_explorer(folder: Path) -> Path:
    """Write ``folder/explorer.html``; it needs no network and no other file."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    page = render(
        __package__,
        style=text(__package__, "explorer.css"),
        script=Markup("\n").join(text(__package__, name) for name in SCRIPTS),
        formulas=Markup(formulas(recorded)),
        model=recorded["model"],
        specs=len(recorded["specs"]),
        temperatures=len(recorded["temperatures"]),
        bounds=[
            {
                "id": theorem.id,
                "title": theorem.title,
                "status": theorem.status,
                "mathml": mathml(claim_latex(claim)),
            }
            for theorem, claim in shown()
        ],
    )
    path = folder / "explorer.html"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def shown() -> Iterator[tuple[Theorem, Claim]]:
    """The bounds and estimates of one defined distance by defined statistics, distance by distance."""
    known = DEFINITIONS.keys() | {"temperature"}
    claims = [(t, claim) for t in catalogue if t.status not in UNPROVED for claim in t.claims]
    for column in DEFINITIONS:
        for theorem, claim in claims:
            if claim.name == column and set(claim.columns) <= known and (claim.bounds or claim.estimate):
                yield theorem, claim


def formulas(recorded: dict[str, Any]) -> str:
    """JavaScript: definitions as functions of the atoms, claims as functions of the columns, and the data."""
    definitions = ",\n".join(
        f"  {name}: (p, q, z, D, delta, V) => {javascript(name)}" for name in DEFINITIONS
    )
    rows = ",\n".join(_row(theorem, claim) for theorem, claim in shown())
    tv = catalogue["tv-oscillation"].upper
    assert tv is not None
    return "\n".join(
        [
            '"use strict";',
            "const total = (V, f) => { let sum = 0; for (let i = 0; i < V; i++) sum += f(i); return sum; };",
            "const largest = (V, f) => "
            "{ let top = -Infinity; for (let i = 0; i < V; i++) top = Math.max(top, f(i)); return top; };",
            helpers(),
            f"const DEFINITIONS = {{\n{definitions}\n}};",
            f"const BOUNDS = [\n{rows}\n];",
            f"const STEP_TV = {tv.javascript()};  // largest total variation of one step with oscillation R",
            f"const CHAINS = {script_json(chains())};",
            f"const RECORDED = {script_json(recorded)};",
        ]
    )


def chains() -> dict[str, dict[str, list[list[float]]]]:
    """Logits of the lessons' chains, as ``sim`` builds them."""
    found = {}
    for name, noise in LESSON_CHAINS.items():
        chain = CHAINS[name](noise, torch.Generator().manual_seed(0))
        found[name] = {"logits": chain.logits.tolist(), "perturbed": chain.perturbed.tolist()}
    return found


def _row(theorem: Theorem, claim: Claim) -> str:
    texts = {"id": theorem.id, "name": theorem.name, "title": theorem.title, "quantity": claim.name}
    sides = {"lower": claim.lower, "upper": claim.upper, "estimate": claim.estimate}
    parts = [f"{key}: {script_json(value)}" for key, value in texts.items()]
    parts.append(f"claim: {theorem.claims.index(claim)}")
    parts += [f"{side}: {_of_columns(formula)}" for side, formula in sides.items() if formula is not None]
    return "  {" + ", ".join(parts) + "}"


def _of_columns(formula: Formula) -> str:
    """A function of the object of columns; undefined where the bound's hypothesis fails."""
    call = f"({formula.javascript()})({', '.join(f'c.{name}' for name in formula.symbols)})"
    if isinstance(formula, Bound) and formula.when is not None:
        names = sorted(str(symbol) for symbol in formula.when.free_symbols)
        condition = f"(({', '.join(names)}) => {code(formula.when)})({', '.join(f'c.{n}' for n in names)})"
        return f"(c) => {condition} ? {call} : undefined"
    return f"(c) => {call}"
