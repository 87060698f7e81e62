"""``python -m real validate``: does what was forecast come true?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Model, Prompts, Specs, Tasks
from real.pruning.spec import parse_spec
from theory.terminal.options import Limit, Seed, names
from theory.terminal.writing import check_outputs, write_json

PROVENANCE = ("name", "weights", "dtype", "torch", "transformers")
DEFAULT = (
    "wikidata-choice,capitals-choice,addition-choice,wikidata-answer,capitals-answer,addition-answer,copy-4"
)


def validate(
    model: Model,
    specs: Specs,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Write the comparison as JSON.")],
    tokens: Annotated[int, typer.Option(min=1, help="Length of the text to forecast.")] = 64,
    prompts: Prompts = None,
    count: Annotated[
        int, typer.Option(min=2, help="Number of shipped prompts; every second is kept unseen.")
    ] = 32,
    samples: Annotated[int, typer.Option(min=1, help="Dense texts per unseen prompt.")] = 2,
    tasks: Tasks = DEFAULT,
    limit: Limit = None,
    seed: Seed = 0,
) -> None:
    """Forecast every spec, then let the pruned model write and answer, and compare.

    Every spec and every answer is kept in the cache: run it again to go on after an interruption.
    """
    for spec in specs:
        parse_spec(spec)
    check_outputs(out)
    wanted = names(tasks) or ()
    from real.commands.validate_output import comparison_table, rounded
    from real.forecast.text_drift import default_prompts
    from real.forecast.validate import Plan, rank_correlation
    from real.forecast.validate import validate as compare
    from real.models.load import load
    from real.text.files import read_prompts
    from theory.terminal.console import show

    texts = read_prompts(prompts) if prompts else default_prompts(count)
    plan = Plan(tuple(specs), tuple(texts), wanted, tokens, samples, limit, seed)
    lm = load(model)
    records = compare(lm, plan)
    summary = {
        "model": {key: lm.provenance.get(key) for key in PROVENANCE},
        "tokens": tokens,
        "prompts": {"forecast": len(texts[::2]), "measured": len(texts[1::2]), "samples": samples},
        "limit": limit,
        "seed": seed,
        "rank_correlation": rank_correlation(records),
        "specs": records,
    }
    write_json(rounded(summary), out)
    show(comparison_table(records, lm.name))
