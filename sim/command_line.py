"""``python -m sim``: sweep, attack, table, curves, regimes, chain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from theory.entry import run
from theory.files import atomic_path

app = typer.Typer(no_args_is_help=True)
Seed = Annotated[int, typer.Option(help="The one seed of all random numbers.")]


def _whole(text: str) -> int:
    """An integer, also written 1e8."""
    value = float(text)
    if not value.is_integer():
        raise typer.BadParameter(f"{text} is not a whole number")
    return int(value)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))


@app.callback()
def laboratory() -> None:
    """Try to break every theorem, and watch error accumulate."""


@app.command()
def sweep(
    draws: Annotated[int, typer.Option(parser=_whole, help="Number of draws, for example 1e6.")] = 1_000_000,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    out: Annotated[Path, typer.Option(help="Summary; checkpoints go to OUT.parts.")] = Path("sweep.json"),
    vocabularies: Annotated[str | None, typer.Option(help="Vocabulary sizes, comma-separated.")] = None,
    bases: Annotated[str | None, typer.Option(help="Base families, comma-separated.")] = None,
    perturbations: Annotated[str | None, typer.Option(help="Perturbation families, comma-separated.")] = None,
    logits: Annotated[Path | None, typer.Option(help="A .npy file of real logits as one more base.")] = None,
) -> None:
    """Random perturbations against every theorem; exit code 1 if one is violated.

    Started by torchrun or accelerate launch, the ranks share the draws, and the first one reports.
    """
    from sim.logits.draws import Families
    from sim.sweeps.plan import VOCABULARIES
    from sim.sweeps.sweep import planned_draws
    from sim.sweeps.sweep import sweep as run_sweep

    sizes = tuple(_whole(s) for s in vocabularies.split(",")) if vocabularies else VOCABULARIES
    defaults = Families()
    families = Families(
        _names(bases) or defaults.bases,
        _names(perturbations) or defaults.perturbations,
        str(logits) if logits else None,
    )
    first = os.environ.get("RANK", "0") == "0"
    with _progress(disable=not first) as progress:
        task = progress.add_task("draws", total=planned_draws(draws, sizes))
        report = run_sweep(
            draws, seed, sizes, families, workers, out.with_name(out.name + ".parts"),
            lambda block: progress.advance(task, block.draws),
        )  # fmt: skip
    if first:
        report.save(out)
        Console().print(report.table())
    if report.violations:
        if first:
            Console(stderr=True).print(f"{len(report.violations)} confirmed violations; see {out}")
        raise typer.Exit(1)


@app.command()
def attack(
    theorem: Annotated[
        str, typer.Argument(help="Id or name of a theorem, for example B5 or kl-oscillation; or all.")
    ],
    sizes: Annotated[
        str | None, typer.Option(help="Vocabulary sizes (states, dimensions), comma-separated.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Gradient steps from each start.")] = 300,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the results as JSON.")] = None,
) -> None:
    """Maximise the tightness of a theorem's bounds; exit code 1 if a ratio exceeds 1."""
    from sim.attacks.search import attack as run_attack
    from sim.attacks.search import attack_all
    from sim.sweeps.results import attack_summary, write_json

    chosen = tuple(_whole(s) for s in sizes.split(",")) if sizes else None
    silent: dict[str, str] = {}
    with _progress() as progress:
        task = progress.add_task("", total=None)

        def show(text: str) -> None:
            progress.update(task, description=text)

        if theorem == "all":
            frame, silent = attack_all(chosen, seed, steps, show)
        else:
            frame = run_attack(theorem, chosen, seed, steps, show)
    if out:
        write_json(attack_summary(frame, silent, seed, steps), out)
    # What fits 80 columns: "theorem" is part of "claim", and "excess" decides the exit code.
    shown = frame.drop(columns=["theorem", "excess"])
    table = Table(title=f"largest quantity/upper or lower/quantity found, seed {seed}", box=box.SIMPLE)
    for name in shown.columns:
        table.add_column(name, no_wrap=True)
    for row in shown.to_dict(orient="records"):
        table.add_row(*(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table, *silent.values(), sep="\n", highlight=False)
    if (frame["excess"] > 0).any():
        raise typer.Exit(1)


@app.command("table")
def published() -> None:
    """Theorem by theorem: draws, violations, least slack and best attack of the results kept in sim/data."""
    from sim.sweeps.results import ATTACK, SWEEP, printed, read_json, theorem_table

    sweep, attack = read_json(SWEEP), read_json(ATTACK)
    title = f"{sweep['total_draws']:,} draws, seed {sweep['seed']}; attack with seed {attack['seed']}"
    Console().print(printed(theorem_table(sweep, attack), title))


@app.command()
def curves(
    draws: Annotated[int, typer.Option(parser=_whole, help="Noise vectors per setting.")] = 1000,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="All numbers as CSV.")] = Path("curves.csv"),
) -> None:
    """Predicted means and tails under random noise against simulated ones (E2, E3, F1 to F8)."""
    from sim.noise.curves import curves_table, predicted_curves

    frame = predicted_curves(seed, draws)
    with atomic_path(out) as partial:
        frame.to_csv(partial, index=False)
    Console().print(curves_table(frame))


@app.command()
def regimes(
    draws: Annotated[int, typer.Option(parser=_whole, help="Directions of the noise.")] = 200,
    vocabulary: Annotated[int, typer.Option(help="Vocabulary size.")] = 512,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="All numbers as CSV.")] = Path("regimes.csv"),
) -> None:
    """Where the softmax amplifies and where it damps: entropy x temperature x noise."""
    from sim.noise.regimes import regime_map, regime_tables

    frame = regime_map(seed, draws, vocabulary)
    with atomic_path(out) as partial:
        frame.to_csv(partial, index=False)
    Console().print(regime_tables(frame))


@app.command()
def chain(
    chains: Annotated[str | None, typer.Option(help="Chains, comma-separated; all by default.")] = None,
    noise: Annotated[float, typer.Option(help="How far pruning moves the logits.")] = 0.5,
    samples: Annotated[int, typer.Option(help="Simulated pairs of texts.")] = 4000,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Picture of the lesson; the numbers go beside it as CSV.")] = Path(
        "chain.png"
    ),
) -> None:
    """A lesson: prediction, bound and simulation of how error accumulates over generated tokens."""
    from sim.chains import CHAINS
    from sim.chains.lesson import chain_lesson, lesson_figure, lesson_table

    frame = chain_lesson(seed, _names(chains) or tuple(CHAINS), noise, samples=samples)
    with atomic_path(out.with_suffix(".csv")) as partial:
        frame.to_csv(partial, index=False)
    with atomic_path(out) as partial:
        lesson_figure(frame).savefig(partial, dpi=150)
    Console().print(lesson_table(frame))


def _progress(disable: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=disable,
    )


def main() -> None:
    """Entry point."""
    run(app)
