from __future__ import annotations

import pytest

from real.tasks import task
from real.tasks.functions import request, solved
from tests.real.conftest import byte_tokenizer
from tests.real.tasks.test_sandbox import needs_sandbox

ITEMS = task("functions").items
DOUBLE = next(item for item in ITEMS if item["signature"] == "double(x)")


@needs_sandbox
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


@needs_sandbox
@pytest.mark.parametrize(
    "answer", ["    return x\n", "", "I cannot.", "```python\ndef double(y): return 2 * x"]
)
def test_wrong_answers(answer: str) -> None:
    assert not solved(DOUBLE, answer)


def test_a_request_is_a_chat_turn_or_the_beginning_of_the_function() -> None:
    template = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}>"
    text, stops = request(byte_tokenizer(template), DOUBLE)
    assert text.startswith("[Write a Python function `double(x)`. Return twice x.")
    assert "\n```" in stops
    plain, stops = request(byte_tokenizer(), DOUBLE)
    assert plain == 'def double(x):\n    """Return twice x."""\n'
    assert "\ndef " in stops
