"""``python -m real forecast``: which kinds of task survive which pruning, before anything is deployed."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from real.forecast.first_divergence import first_divergence_table
from real.forecast.text_drift import Forecast, HalfLife, Interval, default_prompts, reference
from real.forecast.text_drift import forecast as forecasts
from real.forecast.verdict import Outcome, Verdict, verdicts
from real.models.load import LanguageModel, load
from real.progress import say, table_console
from real.pruning.spec import parse_spec
from real.pruning.variants import names_checkpoint
from real.text.files import read_prompts
from theory.files import atomic_path

COLOUR = {Outcome.SAFE: "green", Outcome.AT_RISK: "yellow", Outcome.FAILS: "red"}
CURVES = ("sequence_tv", "survival", "shared_noise")

Model = Annotated[str, typer.Argument(help="smollm2-135m, gemma3-270m, a hub id or a local folder")]
Specs = Annotated[list[str], typer.Argument(help="pruning specs (attn:4, wanda:2:4 …) or other checkpoints")]
OutFile = Annotated[Path | None, typer.Option(dir_okay=False)]


def forecast(
    model: Model,
    specs: Specs,
    tokens: Annotated[int, typer.Option(help="length of the text to forecast")] = 64,
    prompts: Annotated[
        Path | None, typer.Option(help="text file, one prompt per line; default: shipped")
    ] = None,
    samples: Annotated[int, typer.Option(help="dense samples per prompt (K)")] = 1,
    temperature: Annotated[float, typer.Option()] = 1.0,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option()] = "cpu",
    dtype: Annotated[str, typer.Option()] = "float32",
    json_file: Annotated[Path | None, typer.Option("--json", help="write everything as JSON")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write the curves as CSV")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw the curves (png, pdf, svg)")] = None,
) -> None:
    """Predict what pruning does to multiple choice, retrieval and generation; nothing is generated pruned.

    Prompts are the independent units: more prompts narrow the intervals, more samples per prompt hardly do.
    """
    for spec in specs:
        if not names_checkpoint(spec):
            parse_spec(spec)  # a typing error should cost a second, not a minute
    texts = read_prompts(prompts) if prompts else default_prompts()
    lm = load(model, device, dtype)
    dense = reference(lm, texts, tokens, samples, temperature, seed)
    found = []
    for result in forecasts(lm, specs, dense):
        found.append(result)
        say(f"{result.spec}: {result.kl_per_token.mean:.3f} nats per token, {result.seconds:.0f} s")
    show(lm, found)
    if json_file:
        write_json(json_file, lm, found)
    if csv_file:
        write_csv(csv_file, found)
    if plot:
        draw(plot, lm, found)


def show(lm: LanguageModel, found: Sequence[Forecast]) -> None:
    """Print the verdict table and the table of numbers on stdout."""
    console = table_console()
    first = found[0]
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): which tasks survive?"
    table = Table("spec", title=title, caption=_caption(first))
    judged = [verdicts(result) for result in found]
    for verdict in judged[0]:
        table.add_column(verdict.kind)
    for result, row in zip(found, judged, strict=True):
        table.add_row(result.spec, *map(_cell, row))
    console.print(table)
    numbers = Table(
        "spec", "TV of all tokens", "half-life", "identical tokens", "KL/token", "accepted drafts"
    )
    numbers.add_column("greedy: identical (certified)")
    for result in found:
        numbers.add_row(
            result.spec,
            f"{float(result.sequence_tv.mean[-1]):.2f}",
            _half_life(result.half_life, result.horizon),
            _interval(result.identical_tokens, 1),
            _interval(result.kl_per_token, 3),
            _interval(result.acceptance, 3),
            _greedy(result),
        )
    console.print(numbers, _divergences(found))


def _divergences(found: Sequence[Forecast]) -> Table:
    table = Table("spec", "decoding", title="first differing token: share of texts")
    tables = [first_divergence_table(result) for result in found]
    for first, last in zip(tables[0]["first"], tables[0]["last"], strict=True):
        table.add_column("none" if not first else str(last) if first == last else f"{first}–{last}")
    for result, shares in zip(found, tables, strict=True):
        for way in ("greedy", "shared_noise", "best_coupling"):
            table.add_row(result.spec, way.replace("_", " "), *(f"{share:.2f}" for share in shares[way]))
    return table


def _greedy(result: Forecast) -> str:
    identical, certified, length = (
        int(part.median())
        for part in (result.greedy.identical, result.greedy.certified, result.greedy.length)
    )
    return f"{identical} ({certified}) of {length}"


def _caption(first: Forecast) -> str:
    return (
        f"{first.prompts} prompts × {first.samples} samples × {first.horizon} tokens, temperature "
        f"{first.temperature:g}. In brackets {first.level:.0%} intervals: each limit is wrong with "
        f"probability at most {(1 - first.level) / 2:.0%}. Multiple choice, retrieval, "
        "short answers: ceiling on the change of any score in [0, 1]. Long generation: nats of KL per "
        "token, or that ceiling if safe. Greedy: medians over prompts."
    )


def _cell(verdict: Verdict) -> str:
    colour = COLOUR[verdict.outcome]
    return f"[{colour}]{verdict.outcome.value}[/] {_interval(verdict.number, 2)}"


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.mean:.{digits}f} ({interval.lower:.{digits}f}–{interval.upper:.{digits}f})"


def _half_life(half: HalfLife, horizon: int) -> str:
    mean, lower, upper = (f">{horizon}" if n is None else str(n) for n in dataclasses.astuple(half))
    return f"{mean} ({lower}–{upper})"


def write_json(path: Path, lm: LanguageModel, found: Sequence[Forecast]) -> None:
    """Write provenance, every field of every forecast, and the verdicts."""
    entries = [
        dataclasses.asdict(result)
        | {"verdicts": [dataclasses.asdict(verdict) for verdict in verdicts(result)]}
        | {"first_divergence": first_divergence_table(result).to_dict("records")}
        for result in found
    ]
    with atomic_path(path) as partial:
        partial.write_text(
            json.dumps({"model": lm.provenance, "forecasts": entries}, default=_plain, indent=1)
        )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Outcome) else torch.as_tensor(value).tolist()


def write_csv(path: Path, found: Sequence[Forecast]) -> None:
    """Write one row per spec and number of tokens."""
    with atomic_path(path) as partial, partial.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["spec", "tokens", *(f"{c}{end}" for c in CURVES for end in ("", "_lower", "_upper")), "kl"]
        )
        for result in found:
            for n in range(result.horizon):
                bands = [getattr(result, curve) for curve in CURVES]
                values = [float(part[n]) for b in bands for part in (b.mean, b.lower, b.upper)]
                writer.writerow([result.spec, n + 1, *values, float(result.kl[n])])


def draw(path: Path, lm: LanguageModel, found: Sequence[Forecast]) -> None:
    """Draw sequence TV and survival of exact agreement against the number of tokens, with their bands."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(CURVES), figsize=(12, 3.5), sharex=True, sharey=True, layout="constrained"
    )
    titles = {
        "sequence_tv": "total variation of n tokens",
        "survival": "n tokens identical (best coupling)",
        "shared_noise": "n tokens identical (shared noise)",
    }
    for axis, curve in zip(axes, CURVES, strict=True):
        for result in found:
            band, n = getattr(result, curve), range(1, result.horizon + 1)
            (line,) = axis.plot(n, band.mean, label=result.spec)
            axis.fill_between(n, band.lower, band.upper, color=line.get_color(), alpha=0.12)
        axis.set(title=titles[curve], xlabel="tokens n", ylim=(0, 1))
    axes[0].legend(title=lm.name)
    with atomic_path(path) as partial:
        figure.savefig(partial)
    pyplot.close(figure)
