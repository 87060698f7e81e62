"""Say before the work begins when it takes hours; ask when it takes days, or more memory than there is."""

from __future__ import annotations

from typing import Annotated

import typer

from theory.terminal.console import say

HOUR, DAY = 3_600.0, 86_400.0

Yes = Annotated[
    bool, typer.Option("--yes", help="Start even what takes days, or more memory than there seems to be.")
]


def check_cost(what: str, yes: bool, seconds: float = 0.0, memory: float = 0.0) -> None:
    """Refuse a run that would take more than a day or more bytes than are free, unless ``--yes`` was given.

    What takes more than two hours is started, and says so. ``seconds`` and ``memory`` are rough: they tell
    minutes from days, not one minute from two.

    Raises
    ------
    ValueError
        One sentence with the estimate.
    """
    if seconds > DAY and not yes:
        raise ValueError(f"{what} would take about {seconds / DAY:,.0f} days; give --yes to start it")
    if memory and not yes:
        import psutil

        free = psutil.virtual_memory().available
        if memory > free:
            raise ValueError(
                f"{what} would need about {memory / 2**30:,.0f} GiB of memory and {free / 2**30:,.0f} are "
                "free; give --yes to start it"
            )
    if seconds > DAY:
        say(f"{what}: about {seconds / DAY:,.0f} days")
    elif seconds > 2 * HOUR:
        say(f"{what}: about {seconds / HOUR:.0f} hours")
