"""Run a generated program where it can do no harm, and say whether a check on it is true.

The program runs in a process of its own with limits on time and memory that may open no further file or
socket (so there is no network and nothing to write), and whose audit hook refuses processes and changes to
files. Only ``PRELOADED`` modules can be imported.
"""

from __future__ import annotations

import subprocess
import sys

SECONDS = 2
MEGABYTES = 512
PRELOADED = "collections, datetime, functools, heapq, itertools, math, operator, re, statistics, string"
_GUARD = f"""
import sys, resource, {PRELOADED}
source, check = sys.stdin.read().split("\\0")
for limit, value in (
    (resource.RLIMIT_CPU, {SECONDS}),
    (resource.RLIMIT_AS, {MEGABYTES} << 20),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 3),
):
    resource.setrlimit(limit, (value, value))
kinds = ("os.", "shutil.", "subprocess.", "socket.", "ctypes.", "open", "signal.")
def refuse(event, arguments, kinds=kinds):
    if event.startswith(kinds):
        raise PermissionError(event)
sys.addaudithook(refuse)
space = {{"__name__": "program"}}
exec(compile(source, "program", "exec"), space)
held = eval(check, space) is True
sys.stdout.write("held" if held else "")
"""


def passes(program: str, check: str) -> bool:
    """Whether the expression ``check`` is True after ``program`` ran; any error or limit is False."""
    try:
        found = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _GUARD],
            input=f"{program}\0{check}",
            capture_output=True,
            text=True,
            timeout=5 * SECONDS,  # of wall time on a busy machine; the limit itself is of processor time
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return found.returncode == 0 and found.stdout.endswith("held")
