"""``python -m paper_figs``: choose figures, a model and a profile; make them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from paper_figs.contents import CONTENTS
from theory.names import lookup
from theory.terminal.console import say
from theory.terminal.options import Device, Seed, Version
from theory.terminal.run import FAILS, with_exit_codes
from theory.terminal.writing import check_outputs

app = typer.Typer(add_completion=False)


def spread(words: Sequence[str]) -> list[str]:
    """Let ``--only`` and ``--skip`` take several ids: ``--only a b`` means ``--only a --only b``."""
    spread_words: list[str] = []
    option = None
    for word in words:
        if word.startswith("-"):
            option = word if word in ("--only", "--skip") else None
            spread_words += [] if option else [word]
        else:
            spread_words += [option, word] if option else [word]
    return spread_words


class _ListCommand(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def choose(only: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Ids of the figures to make, in the order of the contents.

    Raises
    ------
    UnknownNameError
        If an id does not exist; the message lists the nearest ones.
    ValueError
        If none is left.
    """
    for name in (*only, *skip):
        lookup("figure", name, CONTENTS)
    chosen = [name for name in CONTENTS if (not only or name in only) and name not in skip]
    if not chosen:
        raise ValueError("--skip leaves nothing of what --only names: nothing is made")
    return chosen


def show_list() -> None:
    """Print every id with its title and the module that makes it."""
    widths = max(map(len, CONTENTS)), max(len(entry.title) for entry in CONTENTS.values())
    for name, entry in CONTENTS.items():
        typer.echo(f"{name:<{widths[0]}}  {entry.title:<{widths[1]}}  paper_figs.gallery.{entry.module}")


@app.command(cls=_ListCommand)
def main(
    list_: Annotated[bool, typer.Option("--list", help="Name every figure and table, and stop.")] = False,
    only: Annotated[list[str], typer.Option(help="Make these and no others: --only fig04 fig12.")] = [],  # noqa: B006
    skip: Annotated[list[str], typer.Option(help="Make all but these.")] = [],  # noqa: B006
    quick: Annotated[bool, typer.Option("--quick", help="Few prompts and tokens: minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Many prompts and tokens: for a GPU.")] = False,
    model: Annotated[str, typer.Option(help="Registry name, hub id or local folder.")] = "smollm2-135m",
    encoder: Annotated[str, typer.Option(help="Retrieval encoder, named like --model.")] = "minilm-l6",
    out: Annotated[Path, typer.Option(help="Folder for pictures, CSV and JSON.")] = Path("figures"),
    seed: Seed = 0,
    device: Device = "cpu",
    force: Annotated[
        bool, typer.Option("--force/--resume", help="Compute again / use kept results.")
    ] = False,
    version: Version = False,
) -> None:
    """Make the figures and tables of the paper, and ours, from measurements on a real pruned model."""
    if list_:
        show_list()
        return
    if quick and full:
        raise ValueError("--quick and --full exclude each other")
    chosen = choose(only, skip)
    check_outputs(out / "index.html")
    from paper_figs.catalogue import FIGURES
    from paper_figs.context import Context, Setup
    from paper_figs.explorer import write_explorer
    from paper_figs.profiles import PROFILES
    from paper_figs.report import write_report
    from paper_figs.runner import make, progress_bars
    from theory.files import cache_folder

    profile = PROFILES["quick" if quick else "full" if full else "default"]
    folder = cache_folder() / "results"
    with progress_bars() as bars:
        setup = Setup(model, encoder, seed, device, profile)
        failed = make([FIGURES[name] for name in chosen], Context(setup, folder, force, bars), out)
    if len(failed) < len(chosen):
        write_report(out)
    write_explorer(out)
    say(f"{sum(os.times()[:4]):.0f} seconds of processor time; what took it is in {out / 'summary.json'}")
    say(f"open {out / 'index.html'} for the report, {out / 'explorer.html'} to explore")
    if failed:
        print(f"{len(failed)} of {len(chosen)} figures failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(FAILS)


with_exit_codes(app)
