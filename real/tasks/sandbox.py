"""Run a program that a model wrote where it can do no harm, and decide outside whether it is right.

The isolation is bubblewrap's: namespaces of its own for processes, network, IPC and host name; a file system
that holds nothing but the interpreter and system libraries, read-only; no capability; the user nobody. The
limits of the kernel bound time, memory, processes and files, and where libseccomp is installed, a filter
refuses sockets, new processes and the rarely used doors of the kernel. When the time is up or too much is
sent, the whole process namespace dies.

The program is asked for values of calls. They come back as data over a pipe, and the parent judges them: what
is right never enters the sandbox, so a program cannot forge a verdict, only return a value.
"""

from __future__ import annotations

import ast
import builtins
import errno
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

SECONDS = 2  # of processor time
MEGABYTES = 512
_WALL_SECONDS = 10.0  # a busy machine gives a process a fraction of a processor
_ANSWER_BYTES = 1 << 16
_LIMITS = {
    "RLIMIT_CPU": SECONDS,
    "RLIMIT_AS": MEGABYTES << 20,
    "RLIMIT_FSIZE": 0,
    "RLIMIT_NOFILE": 16,
    "RLIMIT_NPROC": 1,
    "RLIMIT_CORE": 0,
    "RLIMIT_MEMLOCK": 0,
    "RLIMIT_MSGQUEUE": 0,
}
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
# sockets; processes; namespaces and mounts; other processes; memory that no limit counts; rare doors
_REFUSED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("sendto", "sendmsg", "sendmmsg", "fork", "vfork", "clone", "clone3"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot"),
    *("fsopen", "fsmount", "move_mount", "open_tree"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "kill", "tkill", "tgkill"),
    *("shmget", "shmat", "msgget", "semget", "mq_open", "memfd_create", "memfd_secret"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "kexec_load", "reboot", "swapon"),
    *("personality", "inotify_init1", "fanotify_init"),
)


class SandboxUnavailableError(OSError):
    """There is nothing on this machine that could hold a program that a model wrote."""


def passes(program: str, check: str) -> bool:
    """Whether the expression ``check`` is True of what ``program`` defines; any error or limit is False.

    Calls of names that are no builtins are made in the sandbox; the rest of ``check`` is evaluated here, on
    the values that came back.

    Raises
    ------
    SandboxUnavailableError
        There is no isolation on this machine.
    """
    require_sandbox()
    calls = _Calls()
    judged = ast.fix_missing_locations(calls.visit(ast.parse(check, mode="eval")))
    values = _call(program, calls.texts)
    if values is None:
        return False
    try:
        return eval(compile(judged, "check", "eval"), dict(zip(calls.names, values, strict=True))) is True
    except Exception:  # a value of an unexpected type, however strange: not what was asked for
        return False


@cache
def require_sandbox() -> None:
    """Make sure that programs can be run in isolation; a short test run shows it."""
    if shutil.which("bwrap") is None:
        reason = "bwrap is not installed"
    elif _call("def twice(x): return 2 * x", ["twice(21)"]) == [42]:
        return
    else:
        found = subprocess.run(_command(None), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        reason = found.stderr.decode("utf-8", "replace").partition("\n")[0]
    raise SandboxUnavailableError(
        f"code that a model writes is run in bubblewrap only, which does not work here ({reason}): "
        "install bubblewrap on Linux, or leave such tasks out"
    )


def _call(program: str, calls: Sequence[str]) -> list[Any] | None:
    """Values of ``calls`` after ``program`` ran in the sandbox; None for errors, limits, strange answers."""
    job = json.dumps({"program": program, "calls": list(calls), "limits": _LIMITS})  # ASCII
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as refused:
        given.write(job.encode())
        given.seek(0)
        refused.write(_filter())
        refused.seek(0)
        running = subprocess.Popen(
            _command(refused.fileno() if _filter() else None),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            pass_fds=(refused.fileno(),),
            start_new_session=True,
        )
        with running:
            try:
                answer = _read(running, time.monotonic() + _WALL_SECONDS)
            finally:
                running.kill()  # no effect once it has ended; all that bubblewrap started dies with it
    return None if answer is None or running.returncode else _decoded(answer)


def _read(running: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """All that is sent until the process ends; None if that is too much or takes too long."""
    assert running.stdout is not None
    answer = b""
    with selectors.DefaultSelector() as ready:
        ready.register(running.stdout, selectors.EVENT_READ)
        while ready.select(max(0.0, deadline - time.monotonic())):
            part = os.read(running.stdout.fileno(), _ANSWER_BYTES)
            answer += part
            if len(answer) > _ANSWER_BYTES:
                return None
            if not part:
                break
    try:
        running.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return answer


def _command(refused: int | None) -> list[str]:
    """The command line of bubblewrap; ``refused`` is the descriptor of the filter of system calls."""
    prefix, interpreter = os.path.realpath(sys.base_prefix), os.path.realpath(sys.executable)
    seen = [f"{prefix}/{part}" for part in ("bin", "lib", "lib64")] if prefix != "/usr" else []
    command = [shutil.which("bwrap") or "bwrap"]
    command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    # Root needs no user namespace (in one, nobody would be root outside): the script gives up its rights.
    if os.getuid() == 0:
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    bound = dict.fromkeys([*_LIBRARIES, *seen, interpreter])
    # Folders on the way to what is bound would be open to root only, were they not made first.
    for folder in sorted({str(parent) for path in bound for parent in Path(path).parents} - {"/"}):
        command += ["--perms", "0755", "--dir", folder]
    for path in bound:
        command += ["--ro-bind-try", path, path]
    command += ["--remount-ro", "/", "--chdir", "/"]
    if refused is not None:
        command += ["--seccomp", str(refused)]
    return [*command, interpreter, "-I", "-S", "-c", _script()]


@cache
def _script() -> str:
    return files("real.tasks").joinpath("sandboxed.py").read_text("utf-8")


@cache
def _filter() -> bytes:
    """The compiled filter of system calls; empty where libseccomp is missing."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError):  # it looks for the library when imported
        return b""
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in _REFUSED:
        with suppress(ValueError, OSError):  # a call that this kernel or machine does not have
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    with tempfile.TemporaryFile() as compiled:
        rules.export_bpf(compiled)
        compiled.seek(0)
        return compiled.read()


def _decoded(answer: bytes) -> list[Any] | None:
    try:
        values = [_plain(value) for value in json.loads(answer)]
    except (ValueError, TypeError, RecursionError):
        return None
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        ((tag, parts),) = value.items()
        kind = {"tuple": tuple, "set": set, "dict": dict}.get(tag)
        if kind is None:
            raise ValueError(f"unknown tag {tag!r}")
        return kind(_plain(parts))
    return value


class _Calls(ast.NodeTransformer):
    """Replaces calls of names that are no builtins by variables, and keeps their text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.names: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not isinstance(node.func, ast.Name) or hasattr(builtins, node.func.id):
            return self.generic_visit(node)
        self.texts.append(ast.unparse(node))
        self.names.append(f"value_{len(self.names)}")
        return ast.Name(self.names[-1], ast.Load())
