from __future__ import annotations

from pathlib import Path

import pytest

from real.tasks import task
from real.tasks.functions import request, solved
from real.tasks.sandbox import passes
from tests.real.conftest import byte_tokenizer

ITEMS = task("functions").items
DOUBLE = next(item for item in ITEMS if item["signature"] == "double(x)")


@pytest.mark.parametrize(
    "answer",
    [
        "    return 2 * x\n",
        "def double(x):\n    return x + x\n",
        "```python\ndef double(x):\n    return 2 * x",
        "Here it is:\n```python\nimport math\ndef double(x):\n    return math.floor(2 * x)",
    ],
)
def test_right_answers_in_every_form(answer: str) -> None:
    assert solved(DOUBLE, answer)


@pytest.mark.parametrize(
    "answer", ["    return x\n", "", "I cannot.", "```python\ndef double(y): return 2 * x"]
)
def test_wrong_answers(answer: str) -> None:
    assert not solved(DOUBLE, answer)


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "x = ' ' * (1 << 31)",
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "open('/etc/hostname').read()",
        "import sys; sys.exit(0)",
        "1 / 0",
        "not python",
    ],
)
def test_what_a_program_may_not_do(program: str) -> None:
    assert not passes(program, "True")


def test_a_program_changes_no_file(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("text")
    for call in (f"os.remove({str(kept)!r})", f"open({str(kept)!r}, 'w')", f"os.truncate({str(kept)!r}, 0)"):
        assert not passes(f"import os\n{call}", "True")
    assert kept.read_text() == "text"


def test_a_check_must_be_true_itself() -> None:
    assert passes("", "1 < 2")
    assert not passes("print('held')", "1 > 2")
    assert not passes("", "1")


def test_a_request_is_a_chat_turn_or_the_beginning_of_the_function() -> None:
    template = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}>"
    text, stops = request(byte_tokenizer(template), DOUBLE)
    assert text.startswith("[Write a Python function `double(x)`. Return twice x.")
    assert "\n```" in stops
    plain, stops = request(byte_tokenizer(), DOUBLE)
    assert plain == 'def double(x):\n    """Return twice x."""\n'
    assert "\ndef " in stops
