"""``python -m real search``: the most that may be dropped within a budget of drift."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Calibration, Model, Parts, Prompts, calibration_text, overrides
from real.pruning.spec import REPAIRS
from real.search.budget import check_kinds, check_saving, parse_budget
from theory.names import lookup
from theory.terminal.console import say
from theory.terminal.cost import Yes
from theory.terminal.options import Device, Dtype, Seed, names
from theory.terminal.writing import check_outputs

SETS_PER_PART = 7  # about so many sets are measured for each part: a beam of six as it goes, and alone


def search(
    model: Model,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for table, plot and journal; goes on after a kill.")
    ],
    keep: Annotated[
        str, typer.Option(help="Budget: kl<=0.2, tv(64)<=0.5, score(my.jsonl)>=0.95 (of the dense score).")
    ] = "kl<=0.2",
    minimise: Annotated[str, typer.Option(help="What is saved: parameters, time or bytes.")] = "parameters",
    drop: Annotated[
        int | None,
        typer.Option(min=1, help="Exactly so many parts, of the least drift, whatever the budget."),
    ] = None,
    among: Annotated[
        str, typer.Option(help="What may go: attn,mlp,block; layer by layer int8,int4,wanda:50% (bytes).")
    ] = "attn,mlp",
    repair: Annotated[str | None, typer.Option(help="Repair the result: mean, linear, scale.")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Length of the dense texts of the search.")] = 32,
    rows: Annotated[int, typer.Option(min=1, help="Dense texts of the search.")] = 12,
    prompts: Prompts = None,
    calibration: Calibration = None,
    seed: Seed = 0,
    parts: Parts = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    yes: Yes = False,
) -> None:
    """Find what can be dropped within a budget of drift, on the model's own texts, and forecast it on others.

    Writes front.csv, front.json and front.png; prints the best spec, which every other command takes.
    """
    budget, saving, named = parse_budget(keep), check_saving(minimise), overrides(parts)
    kinds = check_kinds(names(among) or (), saving, drop)
    if repair is not None:
        lookup("repair", repair, {one: one for one in REPAIRS})
    given = calibration_text(calibration)
    check_outputs(out / "front.json", out / "front.csv", out / "front.png")
    from real.commands import search_output
    from real.commands.workload import check_texts
    from real.forecast.text_drift import default_prompts, forecast, reference
    from real.models.load import load
    from real.search.measuring import Texts, default_texts
    from real.search.search import exactly, start, within
    from real.text.files import read_prompts

    wanted = read_prompts(prompts) if prompts else None
    lm = load(model, device, dtype, named)
    tokens = max(tokens, budget.tokens or 0)
    read = (wanted or default_texts())[:rows]
    check_texts(lm, read, tokens, 1, SETS_PER_PART * len(kinds) * len(lm.anatomy.need_layers()), yes)
    texts = Texts(lm, read, tokens, budget, seed, given)
    facts = [budget.content, kinds, tokens, rows, wanted, seed, dtype, given]
    found = start(lm, texts, kinds, saving, out, facts)
    best = exactly(found, drop) if drop else within(found, budget)
    say(f"searched: {len(found.points)} sets, {texts.resume.layers_run} layers run, best {best.spec}")
    specs = [best.spec] if best.parts else []
    if best.parts and repair:
        specs.append(f"{best.spec}+{repair}")
    dense = reference(lm, default_prompts(), tokens, seed=seed + 1)
    forecasts = list(forecast(lm, specs, dense, given)) if specs else []
    search_output.show(lm, found, best, saving, forecasts)
    search_output.write(out, lm, found, best, saving, forecasts)
    print(specs[-1] if specs else "dense")
