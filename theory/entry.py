"""Run a typer application so that bad input costs the user one sentence, not a traceback."""

from __future__ import annotations

import sys

import typer

BAD_INPUT = 2
INTERRUPTED = 130


def run(app: typer.Typer) -> None:
    """Run ``app``; exit 2 with one sentence on bad input or a failing file, 130 on Ctrl-C."""
    try:
        app()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("interrupted: finished results are kept; run the same command again to resume", file=sys.stderr)
        sys.exit(INTERRUPTED)
