"""What runs inside the sandbox: run a program, then send back the values of calls as data.

Executed as a script of its own by :mod:`real.tasks.sandbox`, from its source text, with the standard library
only. Nothing here is a guard against the program (it may change all of it): the sandbox around this process
keeps it in, and the parent, which alone knows what is right, judges the values.
"""

import json
import os
import resource
import sys
import types
from typing import Any

_NOBODY = 65534


def _encoded(value: Any) -> Any:
    """Plain data as JSON; tuples, sets and dictionaries are tagged. Anything else is a TypeError."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encoded(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_encoded(part) for part in value]}
    if isinstance(value, set | frozenset):
        return {"set": [_encoded(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[_encoded(key), _encoded(part)] for key, part in value.items()]}
    raise TypeError(f"{type(value).__name__} is no plain data")


def _restrict(limits: dict[str, int]) -> None:
    """Give up the rights of root, if they are there, and take on limits that no process can raise again."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for name, value in limits.items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, value))


def main() -> None:
    job = json.loads(sys.stdin.read())
    answers = os.dup(1)
    os.dup2(2, 1)  # what the program prints goes where errors go: nowhere
    _restrict(job["limits"])
    module = types.ModuleType("program")
    sys.modules["program"] = module
    space = module.__dict__
    exec(compile(job["program"], "program", "exec"), space)
    values = [_encoded(eval(call, space)) for call in job["calls"]]
    os.write(answers, json.dumps(values).encode())


main()
