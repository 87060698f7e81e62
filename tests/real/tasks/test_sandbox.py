"""Hostile programs: nothing outside the sandbox changes, nothing outlives it, no verdict is forged."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from real.models.load import LanguageModel
from real.tasks import sandbox
from real.tasks.evaluate import evaluate
from real.tasks.sandbox import SandboxUnavailableError, passes, require_sandbox


def _works() -> bool:
    try:
        require_sandbox()
    except SandboxUnavailableError:
        return False
    return True


needs_sandbox = pytest.mark.skipif(not _works(), reason="no working bubblewrap on this machine")
WORLD = Path(__file__).resolve().parents[3]  # a folder that this process may read, and perhaps write


@needs_sandbox
@pytest.mark.parametrize(
    "module",
    [
        *("bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
        *("functools", "hashlib", "heapq", "io", "itertools", "json", "math", "operator", "os", "random"),
        *("re", "statistics", "string", "sys", "time", "typing"),
    ],
)
def test_correct_programs_import_the_standard_library(module: str) -> None:
    assert passes(f"import {module}\nfrom {module} import *\ndef two(): return 2", "two() == 2")


@needs_sandbox
def test_correct_programs_of_many_forms() -> None:
    assert passes(
        "from dataclasses import dataclass\n@dataclass\nclass A: x: int = 3\nf = lambda: A().x", "f() == 3"
    )
    assert passes("import sys\nprint('words', file=sys.stderr)\nprint('more')\ndef f(): return 1", "f() == 1")
    assert passes("if __name__ == '__main__': raise SystemExit\ndef f(): return 1", "f() == 1")
    assert passes("def f(): return 'ä\\ud800\\x00\\n'", "f() == 'ä\\ud800\\x00\\n'")


@needs_sandbox
@pytest.mark.parametrize(
    "value",
    [
        "(1, 2)",
        "[1, (2.5, None)]",
        "{1, 2}",
        "{(1, 2): 'a', None: [True]}",
        "10 ** 40",
        "'é'",
        "-0.0",
        "()",
        "{}",
    ],
)
def test_values_come_back_as_they_are(value: str) -> None:
    assert passes(f"def f(): return {value}", f"f() == {value} and type(f()) is type({value})")


@needs_sandbox
@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "1 / 0",
        "not python",
        "def f(): return object()",
        "def f(): return lambda: 1",
        "def f():\n    x = []\n    x.append(x)\n    return x",
        "def f(): return float('nan')",
        "import ctypes; ctypes.string_at(0)",
        "def f(): return '1' * 100_000",
        "f = 1",
        "x = ' ' * (1 << 31)\ndef f(): return 1",
        "x = []\nwhile True: x.append(' ' * (1 << 20))",
        "import os\nwhile True: os.write(1, b'x' * 65536)\n",
        "import os\nfor n in range(3, 16):\n    try:\n        while True: os.write(n, b'x' * 65536)\n"
        "    except OSError: pass",
    ],
)
def test_what_is_no_answer(program: str) -> None:
    assert not passes(program, "f() == 1")


_EVERYWHERE = (
    "import os\nfor n in range(16):\n    try: os.write(n, b'DATA')\n    except OSError: pass\nos._exit(0)"
)


@needs_sandbox
@pytest.mark.parametrize(
    "forgery",
    [
        "print('held')\nprint('True')\nprint('[true]')",
        _EVERYWHERE.replace("DATA", "[true]"),
        _EVERYWHERE.replace("DATA", "held"),
        "class Same(int):\n    def __eq__(self, other): return True\ndef secret(): return Same(1)",
        "class Same:\n    def __eq__(self, other): return True\ndef secret(): return Same()",
        "import builtins, json\nbuiltins.eval = lambda *_: True\njson.dumps = lambda *_: '[true]'",
        "import json, sys\njson.dumps = lambda values: '{\"verdict\": true}'\ndef secret(): return 1",
        "import sys\nframe = sys._getframe()\nwhile frame.f_back: frame = frame.f_back\n"
        "frame.f_globals['_encoded'] = lambda value: True\ndef secret(): return 1",
        "import gc\na, b = '7391420', '8571139'\nkinds = (dict, list, tuple, str)\n"
        "found = [x for x in gc.get_objects() if type(x) in kinds "
        "and a + b in str(x)]\ndef secret(): return int(a + b) if found else 0",
        "import os\nos.lseek(0, 0, 0)\nread = os.read(0, 1 << 20).decode()\n"
        "def secret(): return int('7391420' + '8571139') if '7391420' + '8571139' in read else 0",
        "def secret(): return [[{'tuple': {'dict': 3}}]]",
        "import os\ntry:\n    os.write(3, b'[' * 60000)\nfinally: os._exit(0)",
        "import os\nos.write(3, b'[' + b'9' * 60000 + b']')\nos._exit(0)",
        "import os\nos.write(3, b'[{\"set\": [[]]}]')\nos._exit(0)",
        'import os\nos.write(3, b\'[{"__import__": ["os"]}]\')\nos._exit(0)',
        "import os\nos.write(3, b'[73914208571139, 73914208571139]')\nos._exit(0)",
    ],
)
def test_no_forged_verdict(forgery: str) -> None:
    """What is right is a number too long to stand in an address by chance; only the parent knows it."""
    assert not passes(forgery, "secret() == 73914208571139")


_TRIED = "def tried():\n    try:\n        {body}\n    except BaseException:\n        return 'refused'\n"


@needs_sandbox
@pytest.mark.parametrize(
    "body",
    [
        f"open({str(WORLD / 'pyproject.toml')!r}).read()",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "open('/proc/1/cmdline').read()",
        "__import__('os').listdir('/home')",
        "__import__('os').listdir('/proc')",
        "__import__('os').listdir('/dev')",
        f"open({str(WORLD / 'made by a program')!r}, 'w')",
        "open('/tmp/made', 'w')",
        "open('made', 'w')",
        "__import__('os').mkdir('/made')",
        "__import__('os').remove(__import__('os').__file__)",
        "__import__('os').truncate(__import__('os').__file__, 0)",
        "__import__('os').rename('/usr', '/user')",
        "__import__('os').symlink('/', '/usr/link')",
        "__import__('os').fork()",
        "__import__('subprocess').run(['/bin/true'])",
        "__import__('subprocess').run([__import__('sys').executable, '-c', ''])",
        "__import__('threading').Thread(target=print).start()",
        "__import__('socket').create_connection(('127.0.0.1', PORT), 1)",
        "__import__('os').setuid(0)",
        "__import__('os').setgroups([0])",
        "__import__('os').chroot('/')",
        "__import__('resource').setrlimit(__import__('resource').RLIMIT_NPROC, (100, 100))",
        "__import__('os').kill(1, 9); assert __import__('os').getpid() == 0",
    ],
)
def test_what_a_program_may_not_do(body: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = body.replace("PORT", str(server.getsockname()[1]))
        assert passes(_TRIED.format(body=text), "tried() == 'refused'")


@needs_sandbox
def test_a_program_is_nobody_without_rights() -> None:
    assert passes("import os\ndef who(): return [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]",
                  "who()[:3] == [65534] * 3 and 0 not in who()[3]")  # fmt: skip
    probe = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    assert passes(probe + "def mount(): return libc.mount(b'none', b'/', b'tmpfs', 0, None)", "mount() == -1")
    assert passes(probe + "def unshare(): return libc.unshare(0x10000000)", "unshare() == -1")
    assert passes(
        probe + "def environment(): return dict(os.environ)", "set(environment()) <= {'PWD', 'LC_CTYPE'}"
    )


@needs_sandbox
@pytest.mark.parametrize(
    "program",
    [
        "import time\ntime.sleep(60)",
        "import os, time\nfor n in range(16):\n    try: os.close(n)\n    except OSError: pass\n"
        "time.sleep(60)",
        "import signal, time\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError: pass\ntime.sleep(60)",
    ],
)
def test_time_is_up(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_WALL_SECONDS", 1.5)
    assert not passes(program, "f() == 1")


@needs_sandbox
@pytest.mark.parametrize("filtered", [True, False])
def test_no_process_outlives_its_program(filtered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no filter of system calls refuses to fork, and with room for many processes."""
    if not filtered:
        monkeypatch.setattr(sandbox, "_filter", bytes)
        monkeypatch.setitem(sandbox._LIMITS, "RLIMIT_NPROC", 200)
    monkeypatch.setattr(sandbox, "_WALL_SECONDS", 1.5)
    mark = "outlives-its-sandbox"
    program = (
        f"import os, sys, time\nmark = {mark!r}\n"
        "for _ in range(6):\n    try: pid = os.fork()\n    except OSError: break\n    os.setsid()\n"
        "    if not pid: os.execv(sys.executable, ['python', '-c', 'import time; time.sleep(60)', mark])\n"
        "time.sleep(60)"
    )
    assert not passes(program, "f() == 1")
    time.sleep(0.2)
    assert not _left(mark)


def _left(mark: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            found.append(process.read_bytes().decode("utf-8", "replace"))
    return [line for line in found if mark in line]


@needs_sandbox
def test_the_limit_of_processes_holds_without_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_filter", bytes)
    assert passes(_TRIED.format(body="__import__('os').fork()"), "tried() == 'refused'")


@needs_sandbox
def test_no_program_writes_outside(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("text")
    kept.chmod(0o666)
    tmp_path.chmod(0o777)
    for call in (f"os.remove({str(kept)!r})", f"open({str(kept)!r}, 'w')", f"os.truncate({str(kept)!r}, 0)"):
        assert not passes(f"import os\n{call}\ndef f(): return 1", "f() == 1")
    assert kept.read_text() == "text"
    assert list(tmp_path.iterdir()) == [kept]


def test_without_bubblewrap_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, shutil.which("false")):
        require_sandbox.cache_clear()
        monkeypatch.setattr(sandbox.shutil, "which", lambda _, found=found: found)
        with pytest.raises(SandboxUnavailableError, match="bubblewrap only, which does not work here"):
            passes("def f(): return 1", "f() == 1")
    monkeypatch.undo()
    require_sandbox.cache_clear()


def test_no_program_is_executed_unless_asked_for(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = Mock(side_effect=AssertionError("executed"))
    monkeypatch.setattr(sandbox, "_call", executed)
    with pytest.raises(ValueError, match="allow_code=True, on the command line --allow-code"):
        list(evaluate(tiny_lm, [], ["functions"]))
    executed.assert_not_called()


@needs_sandbox
def test_programs_are_judged_when_asked_for(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    (items,) = evaluate(tiny_lm, [], ["functions"], limit=2, folder=tmp_path, allow_code=True)
    assert items.correct.tolist() == [0, 0]
