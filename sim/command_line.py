"""``python -m sim``: sweep, attack, table, curves, regimes, chain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from theory.files import atomic_path, cache_folder
from theory.ranks import is_first
from theory.terminal.console import progress_display, say, show
from theory.terminal.cost import Yes, check_cost
from theory.terminal.options import OutTable, Seed, Version, names, whole
from theory.terminal.run import FAILS, run, with_exit_codes
from theory.terminal.writing import check_table_path, write_table

app = typer.Typer(no_args_is_help=True, add_completion=False)
MOST_WORKERS = 1024
# What one draw, or one entry of a drawn row, costs on one core of a small machine, roughly.
SECONDS_PER_DRAW, SECONDS_PER_ENTRY, BYTES_PER_ENTRY = 1e-4, 1e-7, 200.0
Sizes = Annotated[str | None, typer.Option(help="Vocabulary sizes, comma-separated.")]


@app.callback()
def laboratory(version: Version = False) -> None:
    """Try to break every theorem, and watch error accumulate."""


@app.command()
def sweep(
    draws: Annotated[
        int, typer.Option(parser=whole, metavar="N", help="Number of draws, for example 1e6.")
    ] = 1_000_000,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Processes on this machine.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Summary as JSON; checkpoints in OUT.parts (default: the cache)."),
    ] = None,
    vocabularies: Sizes = None,
    bases: Annotated[str | None, typer.Option(help="Base families, comma-separated.")] = None,
    perturbations: Annotated[str | None, typer.Option(help="Perturbation families, comma-separated.")] = None,
    logits: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A .npy file of real logits as one more base."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Random perturbations against every theorem; exit code 1 if one is violated.

    Started by torchrun or accelerate launch, the ranks share the draws, and the first one reports.
    """
    sizes = _sizes(vocabularies)
    base_names, perturbation_names = names(bases), names(perturbations)
    check_cost(f"a sweep of {draws:,} draws", yes, SECONDS_PER_DRAW * draws / workers)
    check_cost("one row", yes, memory=BYTES_PER_ENTRY * max(sizes or (0,)))
    from sim.logits.draws import Families
    from sim.sweeps.plan import VOCABULARIES
    from sim.sweeps.sweep import planned_draws
    from sim.sweeps.sweep import sweep as run_sweep

    sizes = sizes or VOCABULARIES
    defaults = Families()
    families = Families(
        base_names or defaults.bases,
        perturbation_names or defaults.perturbations,
        str(logits) if logits else None,
    )
    parts = out.with_name(out.name + ".parts") if out else cache_folder() / "sweeps"
    with progress_display() as bars:
        bar = bars.add_task("draws", total=planned_draws(draws, sizes))
        report = run_sweep(
            draws, seed, sizes, families, workers, parts, lambda block: bars.advance(bar, block.draws)
        )
    show(report.table())
    if out and is_first():
        report.save(out)
        say(f"summary written to {out}")
    if report.violations:
        say(f"{len(report.violations)} confirmed violations" + (f"; see {out}" if out else ""))
        raise typer.Exit(FAILS)


@app.command()
def attack(
    theorem: Annotated[
        str, typer.Argument(help="Id or name of a theorem, for example B5 or kl-oscillation; or all.")
    ],
    sizes: Annotated[
        str | None, typer.Option(help="Vocabulary sizes (states, dimensions), comma-separated.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps from each start.")] = 300,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the results as JSON.")] = None,
) -> None:
    """Maximise the tightness of a theorem's bounds; exit code 1 if a ratio exceeds 1."""
    chosen = _sizes(sizes)
    from sim.attacks.search import attack as run_attack
    from sim.attacks.search import attack_all, attack_table
    from sim.sweeps.results import attack_summary, write_json

    silent: dict[str, str] = {}
    with progress_display() as bars:
        bar = bars.add_task("", total=None)
        on_start = lambda text: bars.update(bar, description=text)  # noqa: E731
        if theorem == "all":
            frame, silent = attack_all(chosen, seed, steps, on_start)
        else:
            frame = run_attack(theorem, chosen, seed, steps, on_start)
    show(attack_table(frame, seed), *silent.values())
    if out:
        write_json(attack_summary(frame, silent, seed, steps), out)
        say(f"results written to {out}")
    if (frame["excess"] > 0).any():
        raise typer.Exit(FAILS)


@app.command("table")
def published() -> None:
    """Theorem by theorem: draws, violations, least slack and best attack of the results kept in sim/data."""
    from sim.sweeps.results import ATTACK, SWEEP, printed, read_json, theorem_table

    sweep, attack = read_json(SWEEP), read_json(ATTACK)
    title = f"{sweep['total_draws']:,} draws, seed {sweep['seed']}; attack with seed {attack['seed']}"
    table = theorem_table(sweep, attack)
    show(printed(table, title))
    say(
        f"{int(table['violations'].sum())} violations. python -m sim sweep draws again, "
        "python -m sim attack ID climbs towards one bound."
    )


@app.command()
def curves(
    draws: Annotated[int, typer.Option(parser=whole, metavar="N", help="Noise vectors per setting.")] = 1000,
    seed: Seed = 0,
    out: OutTable = None,
    yes: Yes = False,
) -> None:
    """Predicted means and tails under random noise against simulated ones (E2, E3, F1 to F8)."""
    check_table_path(out)
    _at_least_one("draws", draws)
    check_cost(f"curves of {draws:,} draws", yes, SECONDS_PER_ENTRY * draws * 1e6, 8.0 * 20 * draws)
    from sim.noise.curves import curves_table, predicted_curves

    frame = predicted_curves(seed, draws)
    show(curves_table(frame))
    say("Deviations are of the simulation; python -m theory show F1 prints the law and its proof.")
    if out:
        write_table(frame, out)
        say(f"all numbers written to {out}")


@app.command()
def regimes(
    draws: Annotated[int, typer.Option(parser=whole, metavar="N", help="Directions of the noise.")] = 200,
    vocabulary: Annotated[int, typer.Option(parser=whole, metavar="N", help="Vocabulary size.")] = 512,
    seed: Seed = 0,
    out: OutTable = None,
    yes: Yes = False,
) -> None:
    """Where the softmax amplifies and where it damps: entropy x temperature x noise."""
    check_table_path(out)
    _at_least_one("draws", draws)
    _at_least_one("vocabulary", vocabulary)
    entries = draws * vocabulary
    check_cost(
        f"a map of {entries:,} logits", yes, 100 * SECONDS_PER_ENTRY * entries, BYTES_PER_ENTRY * entries
    )
    from sim.noise.regimes import regime_map, regime_tables

    frame = regime_map(seed, draws, vocabulary)
    show(regime_tables(frame))
    say("Mean (median) of the draws; above 1, in bold, the softmax amplifies, below it damps.")
    if out:
        write_table(frame, out)
        say(f"all numbers written to {out}")


@app.command()
def chain(
    chains: Annotated[str | None, typer.Option(help="Chains, comma-separated; all by default.")] = None,
    noise: Annotated[float, typer.Option(min=0.0, help="How far pruning moves the logits.")] = 0.5,
    samples: Annotated[int, typer.Option(min=1, help="Simulated pairs of texts.")] = 4000,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Picture of the lesson; the numbers go beside it as CSV."),
    ] = None,
    yes: Yes = False,
) -> None:
    """A lesson: prediction, bound and simulation of how error accumulates over generated tokens."""
    chosen = names(chains)
    if not math.isfinite(noise):
        raise ValueError(f"--noise must be a finite number of at least 0, got {noise}")
    check_cost(f"a lesson of {samples:,} pairs of texts", yes, 1e-3 * samples, 1e4 * samples)
    from sim.chains import CHAINS
    from sim.chains.lesson import chain_lesson, lesson_figure, lesson_table

    frame = chain_lesson(seed, chosen or tuple(CHAINS), noise, samples=samples)
    show(lesson_table(frame))
    if out:
        write_table(frame, out.with_suffix(".csv"))
        with atomic_path(out) as partial:
            lesson_figure(frame).savefig(partial, dpi=150)
        say(f"picture written to {out}, numbers to {out.with_suffix('.csv')}")


def _sizes(text: str | None) -> tuple[int, ...] | None:
    chosen = names(text)
    return None if chosen is None else tuple(map(whole, chosen))


def _at_least_one(option: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"--{option} must be at least 1, got {value}")


with_exit_codes(app)


def main() -> None:
    """Entry point."""
    run(app)
