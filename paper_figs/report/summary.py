"""What a run found, in one file: tallies, the answer in five sentences, every finding; for the README."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paper_figs.figure import Verdict, Whose
from theory.files import atomic_path

ANSWER = ("fig04", "regime", "fig01", "sequence-tv", "forecast")
"""Figures whose takeaways answer, in this order, when pruning works."""
SHIPPED = Path(__file__).parents[1] / "data" / "summary.json"


def summary(sidecars: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run in numbers and sentences, from the figures' sidecars."""
    by_id = {side["id"]: side for side in sidecars}
    setup = sidecars[0]["provenance"]["setup"]
    return {
        "model": setup["model"],
        "profile": setup["profile"]["name"],
        "seed": setup["seed"],
        "commit": sidecars[0]["provenance"]["commit"],
        "figures": sorted(by_id),
        "answer": [{"figure": name, "sentence": by_id[name]["takeaway"]} for name in ANSWER if name in by_id],
        "processor_seconds": costs(sidecars),
        "tallies": {str(whose): tally(sidecars, whose) for whose in Whose},
        "findings": [{"figure": side["id"], **finding} for side in sidecars for finding in side["findings"]],
    }


def costs(sidecars: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Processor seconds of every computation, the dearest first, of every drawing, and of all together.

    A computation that several figures share is counted once, whichever run made it. Start-up and the pages
    are not in it.
    """
    computing: dict[str, float] = {}
    for side in sidecars:
        computing |= side["provenance"]["processor_seconds"]
    drawing = {side["id"]: side["provenance"]["drawing_seconds"] for side in sidecars}
    total = round(sum(computing.values()) + sum(drawing.values()))
    dearest = dict(sorted(computing.items(), key=lambda one: -one[1]))
    return {"total": total, "computing": dearest, "drawing": drawing}


def tally(sidecars: Sequence[dict[str, Any]], whose: Whose) -> dict[str, int]:
    """How many claims of one kind have each verdict, in the order of the verdicts."""
    found = Counter(
        finding["verdict"] for side in sidecars for finding in side["findings"] if finding["whose"] == whose
    )
    return {str(verdict): found[verdict] for verdict in Verdict if found[verdict]}


def write_summary(found: dict[str, Any], folder: Path) -> Path:
    """Write ``folder/summary.json``."""
    path = folder / "summary.json"
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def words(counts: dict[str, int]) -> str:
    """``12 holds, 3 undecided here``."""
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def markdown(found: dict[str, Any]) -> str:
    """The README's block: the answer, the tallies, and what was decided about the paper's claims."""
    lines = [f"* {one['sentence']} (`{one['figure']}`)." for one in found["answer"]]
    tallies = found["tallies"]
    lines += [
        "",
        f"The paper's claims: {words(tallies['the paper'])}. Ours: {words(tallies['ours'])}. Theorems, "
        f"checked against every number: {words(tallies['theorem'])}. Decided of the paper's:",
        "",
        "| the paper's claim | verdict here | what was measured |",
        "|---|---|---|",
    ]
    shown = (Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS)
    lines += [
        f"| {_cell(one['claim'])} (`{one['figure']}`) | {one['verdict']} | {_cell(one['evidence'])} |"
        for one in found["findings"]
        if one["whose"] == Whose.PAPER and one["verdict"] in shown
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
