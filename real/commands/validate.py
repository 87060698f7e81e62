"""``python -m real validate``: does what was forecast come true?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from real.forecast.text_drift import default_prompts
from real.models.load import load
from real.progress import table_console
from real.pruning.spec import parse_spec
from real.text.files import read_prompts
from theory.files import atomic_path

PROVENANCE = ("name", "weights", "dtype", "torch", "transformers")
LOSSES = ("choice_loss", "generation_loss")
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
    count: Annotated[int, typer.Option(help="number of shipped prompts; every second is kept unseen")] = 32,
    samples: Annotated[int, typer.Option(help="dense texts per unseen prompt")] = 2,
    tasks: Annotated[str, typer.Option(help="comma-separated shipped tasks")] = DEFAULT,
    limit: Annotated[int | None, typer.Option(help="items per task")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Forecast every spec, then let the pruned model write and answer, and compare.

    Every spec and every answer is kept in the cache: run it again to go on after an interruption.
    """
    from real.forecast.validate import Plan, rank_correlation  # the harness takes seconds to import
    from real.forecast.validate import validate as compare

    for spec in specs:
        parse_spec(spec)
    texts = read_prompts(prompts) if prompts else default_prompts(count)
    names = tuple(name.strip() for name in tasks.split(",") if name.strip())
    plan = Plan(tuple(specs), tuple(texts), names, tokens, samples, limit, seed)
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
    with atomic_path(out) as partial:
        partial.write_text(json.dumps(_rounded(summary), indent=1))
    table_console().print(_table(records, lm.name))


def _rounded(value: Any) -> Any:
    """Six significant digits: what a reader needs, and small files."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _table(records: list[dict[str, Any]], name: str) -> Table:
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
