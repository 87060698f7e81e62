"""Random command lines over the commands' own options, and what may come of any of them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import click
import typer
from hypothesis import strategies as st

import paper_figs.command_line
import real.command_line
import sim.command_line
import theory.command_line
from tests.theory.hostile import HOSTILE
from theory.terminal.run import run

SECONDS = 20
"""A command that takes longer is interrupted, as by Ctrl-C."""
EXIT_CODES = {0, 1, 2, 3, 130}

APPS = {
    "theory": theory.command_line.app,
    "sim": sim.command_line.app,
    "real": real.command_line.app,
    "paper_figs": paper_figs.command_line.app,
}


def _commands(app: typer.Typer) -> dict[str, click.Command]:
    """By name; a program of one command has it under no name."""
    whole = typer.main.get_command(app)
    return dict(getattr(whole, "commands", {"": whole}))


COMMANDS = {name: _commands(app) for name, app in APPS.items()}
# What keeps a valid line short: it is given first, so that what is drawn may replace it.
CHEAP = {
    "sim sweep": ["--draws", "50", "--vocabularies", "2,3"],
    "sim attack": ["--steps", "1", "--sizes", "2"],
    "sim regimes": ["--draws", "20"],
    "sim curves": ["--draws", "20"],
    "sim chain": ["--samples", "20"],
    "real forecast": ["--tokens", "2", "--samples", "1"],
    "real record": ["--tokens", "2", "--samples", "1"],
    "real evaluate": ["--tasks", "copy-1", "--limit", "2"],
    "real trace": ["--tokens", "4", "--out", "trace.csv"],
    "real cost": ["--context", "2", "--tokens", "2"],
    "paper_figs ": ["--quick", "--only", "tab03", "--model", "MODEL", "--out", "figures"],
}
NUMBERS = [
    "0",
    "1",
    "-1",
    "2",
    "1e12",
    "1000000000000",
    "nan",
    "inf",
    "0.5",
    "1e-320",
    "9" * 25,
    "٣",
    "1_0",
    "0x10",
]
NAMES = [
    "B5",
    "all",
    "attn:1",
    "mlp:[0]",
    "wanda:50%",
    "block:[9]",
    "int8",
    "dense",
    "cpu",
    "cuda",
    "float16",
    "copy-2",
]
PATHS = [
    "MODEL",
    "missing/folder",
    "EMPTY",
    "GARBAGE",
    "FOLDER",
    "~nouser",
    "/dev/null",
    "out.json",
    "out.parquet",
    "-",
]
VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NAMES),
    st.sampled_from(PATHS),
    st.sampled_from(HOSTILE),
    st.just(""),
)


@st.composite
def lines(draw: Any) -> tuple[str, list[str]]:
    """A program and its arguments; MODEL, EMPTY, GARBAGE and FOLDER stand for paths."""
    program = draw(st.sampled_from(sorted(COMMANDS)))
    name = draw(st.sampled_from(sorted(COMMANDS[program])))
    words = [*([name] if name else []), *CHEAP.get(f"{program} {name}", [])]
    for parameter in COMMANDS[program][name].params:
        if isinstance(parameter, click.Argument):
            count = draw(st.integers(0, 2)) if parameter.nargs == -1 or not parameter.required else 1
            first = ["MODEL"] if program == "real" else []
            words += [
                draw(st.one_of(st.sampled_from(first), VALUES) if first else VALUES) for _ in range(count)
            ]
        elif parameter.opts[0] != "--help" and draw(st.integers(0, 5)) == 0:
            words.append(parameter.opts[0])
            if not getattr(parameter, "is_flag", False):
                words.append(draw(VALUES))
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(VALUES))
    return program, [word for word in words if "\0" not in word]


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Interrupt what takes longer."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)  # again: one raised in a callback is lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(program: str, words: list[str], places: dict[str, Path]) -> tuple[int, str]:
    """Exit code and stderr of one line, run in this process.

    Raises
    ------
    Exception
        Whatever escapes from the command: a traceback for its user.
    """
    given = [str(places.get(word, word)) for word in words]
    arguments, out, err = sys.argv, StringIO(), StringIO()
    sys.argv = [program, *given]
    try:
        with limited(SECONDS), redirect_stdout(out), redirect_stderr(err):
            run(APPS[program])
    except SystemExit as ended:
        code = ended.code
        return (code if isinstance(code, int) else 0 if code is None else 1), err.getvalue()
    finally:
        sys.argv = arguments
    return 0, err.getvalue()
