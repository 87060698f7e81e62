"""``python -m real validate``: does what was forecast come true?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from real.forecast import default_prompts
from real.load import load
from real.progress import table_console
from real.prompting import read_prompts
from real.spec import parse_spec
from theory.files import atomic_path

DEFAULT = (
    "wikidata-choice,capitals-choice,addition-choice,wikidata-answer,capitals-answer,addition-answer,copy-4"
)


def validate(
    model: Annotated[str, typer.Argument(help="smollm2-135m, gemma3-270m, a hub id or a local folder")],
    specs: Annotated[list[str], typer.Argument(help="pruning specs")],
    out: Annotated[Path, typer.Option(help="write the comparison as JSON")],
    tokens: Annotated[int, typer.Option()] = 64,
    prompts: Annotated[
        Path | None, typer.Option(help="text file, one prompt per line; default: shipped")
    ] = None,
    tasks: Annotated[str, typer.Option(help="comma-separated shipped tasks")] = DEFAULT,
    limit: Annotated[int | None, typer.Option(help="items per task")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Forecast every spec, then let the pruned model generate and answer, and compare."""
    from real.validate import rank_correlation  # the harness takes seconds to import
    from real.validate import validate as compare

    for spec in specs:
        parse_spec(spec)
    texts = read_prompts(prompts) if prompts else default_prompts()
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    lm = load(model)
    table = compare(lm, specs, texts, names, tokens=tokens, limit=limit, seed=seed)
    record = {
        "model": lm.provenance,
        "tokens": tokens,
        "prompts": len(texts),
        "tasks": names,
        "limit": limit,
        "seed": seed,
        "rank_correlation": rank_correlation(table),
        "specs": table.to_dict("records"),
    }
    with atomic_path(out) as partial:
        partial.write_text(json.dumps(record, indent=1))
    shown = Table(*table.columns, title=f"{lm.name}: forecast and outcome")
    for row in table.itertuples(index=False):
        shown.add_row(*(value if isinstance(value, str) else f"{value:.3f}" for value in row))
    table_console().print(shown)
