"""Run a typer application so that bad input costs the user one sentence, not a traceback.

Exit codes of every command: 0 done; 1 done, and something that was asked about fails (a bound is violated, a
figure could not be made); 2 bad input or a failing file, one sentence on stderr; 3 done, and what was asked
is undecided; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from theory.outside import visible

OK, FAILS, BAD_INPUT, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES_OF_EVERY_COMMAND = (
    "Exit codes: 0 done; 1 done, and something that was asked about fails; 2 bad input or a failing file, "
    "said in one sentence; 3 done, and what was asked is undecided; 130 interrupted, finished results kept."
)
_INTERRUPTED = "interrupted: finished results are kept; run the same command again to resume"


def with_exit_codes(app: Any) -> None:
    """End the help of every command of a typer application with what its exit codes mean."""
    app.info.epilog = EXIT_CODES_OF_EVERY_COMMAND
    for command in app.registered_commands:
        command.epilog = EXIT_CODES_OF_EVERY_COMMAND


def run(app: Callable[[], Any]) -> None:
    """Run ``app``; exit 2 with one sentence on bad input or a failing file, 130 on Ctrl-C.

    A reader that closes our standard output early (``| head``) ends the command quietly. Set
    ``SOFTMAX_DRIFT_TRACEBACK=1`` to see where an error came from.
    """
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush to
        sys.exit(OK)
    except (ValueError, OSError) as error:
        if os.environ.get("SOFTMAX_DRIFT_TRACEBACK"):
            traceback.print_exc()
        print(visible(f"error: {error}"), file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr)
        sys.exit(INTERRUPTED)
    except SystemExit as ended:  # typer takes Ctrl-C itself, and says nothing
        if ended.code == INTERRUPTED:
            print(_INTERRUPTED, file=sys.stderr)
        raise
