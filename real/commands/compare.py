"""``python -m real compare``: ways to choose what goes and ways to repair it, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Model
from real.pruning.spec import parse_spec
from theory.terminal.options import Device, Dtype, Seed, names


def compare(
    model: Model,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for results; goes on after a kill.")],
    cases: Annotated[
        str | None, typer.Option(help="For example attn:8,mlp:4,joint:8; default: eleven.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float32",
) -> None:
    """Compare cosine, single KL, Gram and search, each unrepaired and repaired, on prompts none has seen.

    Writes compared.json after every round, the most telling round first. Stop it when you have seen enough.
    """
    wanted = names(cases) if cases else None
    for case in wanted or ():
        parse_spec(case)
    from real.models.load import load
    from real.search.compare import CASES, KINDS, Sizes
    from real.search.compare import compare as compared
    from theory.names import lookup
    from theory.terminal.writing import check_outputs, write_json

    for case in wanted or ():
        lookup("target", case.partition(":")[0], {one: one for one in KINDS})
    check_outputs(out / "compared.json")
    lm, sizes = load(model, device, dtype), Sizes()
    chosen = tuple(wanted or CASES)
    rows = []
    for row in compared(lm, out, chosen, sizes, seed):
        rows.append(row)
        if len(rows) % len(chosen) == 0:
            entry = {"model": lm.provenance, "sizes": vars(sizes), "seed": seed, "rows": rows}
            write_json(entry, out / "compared.json")
    print(out / "compared.json")
