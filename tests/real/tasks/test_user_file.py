from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from real.tasks.source import Asked, shipped
from real.tasks.user_file import label_pattern, number_pattern, read_task


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_reads_what_editors_write(tmp_path: Path) -> None:
    """Byte-order mark, Windows line ends, empty lines, a separator that only looks like a line's end."""
    lines = [
        json.dumps({"stop": [".", "\n"], "max_tokens": 5, "chat": False}),
        "",
        json.dumps({"prompt": "capital of\u2028France?", "answer": "Paris"}, ensure_ascii=False),
        "   ",
        json.dumps({"prompt": "two?", "answers": ["2", "two"]}),
    ]
    source = read_task(written(tmp_path / "mine.jsonl", "\ufeff" + "\r\n".join(lines)))
    assert source.name == "mine"
    assert source.questions == (Asked("capital of\u2028France?", ("Paris",)), Asked("two?", ("2", "two")))
    assert (source.stops, source.horizon, source.chat) == ((".", "\n"), 5, False)
    assert source.remarks == ()


def test_tells_what_it_skipped(tmp_path: Path) -> None:
    line = json.dumps({"prompt": "a?", "answer": "a"})
    source = read_task(written(tmp_path / "mine.jsonl", f"{line}\n{line}\n"))
    assert len(source.questions) == 1
    assert source.remarks == ("mine.jsonl: skipped 1 questions asked before (lines 2)",)


def test_options_may_be_named_or_numbered(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a?", "options": ["x", "y"], "answer": 1},
        {"prompt": "b?", "options": ["x", "y"], "answer": "x"},
    ]
    source = read_task(written(tmp_path / "mine.jsonl", "\n".join(map(json.dumps, rows))))
    assert [one.answers for one in source.questions] == [("y",), ("x",)]
    assert source.has_options


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "holds no question"),
        (["{"], "line 1: no JSON"),
        (["3"], "line 1: expected an object"),
        (['{"prompt": "a", "anser": "b"}'], "line 1: unknown key 'anser'"),
        (['{"prompt": " ", "answer": "b"}'], "line 1: the prompt must be a text"),
        (['{"prompt": "a", "answer": ""}'], "line 1: answers hold an empty text"),
        (['{"prompt": "a", "answer": {"b": 1}}'], "line 1: answers must be a text"),
        (
            ['{"prompt": "a", "answer": "b"}', '{"prompt": "a", "answer": "c"}'],
            "line 2: asks the same as line 1",
        ),
        (['{"prompt": "a", "options": ["x", "y"], "answer": 2}'], "line 1: answer 2 is no index"),
        (['{"prompt": "a", "answer": "b", "scorer": "exat"}'], "line 1: unknown scorer 'exat'"),
        (
            ['{"prompt": "a", "answer": "many", "scorer": "number"}'],
            "line 1: scorer 'number' needs a decimal",
        ),
        (['{"max_tokens": 0}', '{"prompt": "a", "answer": "b"}'], "max_tokens must be a whole number"),
        (['{"stop": ""}', '{"prompt": "a", "answer": "b"}'], "stop must be a text"),
    ],
)
def test_bad_lines_cost_one_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=regex.escape(sentence).replace(r"\ ", " ")) as caught:
        read_task(written(tmp_path / "mine.jsonl", "\n".join(lines)))
    assert "\n" not in str(caught.value)


@given(st.decimals(-10_000_000, 10_000_000, places=3), st.sampled_from(["{}", "{:,}", "+{}", "{}0", "${:,}"]))
def test_every_way_to_write_a_number_is_that_number(value: Decimal, form: str) -> None:
    text = form.format(value)
    meant = (
        Decimal(text.replace(",", "").replace("$", "").rstrip())
        if "+-" not in text and "$-" not in text
        else None
    )
    pattern = number_pattern(str(value))
    if meant is not None:
        assert (regex.fullmatch(pattern, text) is not None) == (meant == value)
    assert regex.fullmatch(pattern, f"{value + 1}") is None
    assert regex.fullmatch(pattern, f"{value}1") is None or value == value.to_integral_value() == 0


def test_labels_match_in_any_case() -> None:
    assert regex.fullmatch(label_pattern("Yes"), "yes.")
    assert not regex.fullmatch(label_pattern("Yes"), "yes!x")


def test_shipped_tasks_have_the_same_shape() -> None:
    assert shipped("capitals-answer", 3).questions[0].answers
    choice = shipped("agreement", 2)
    assert choice.has_options
    assert choice.questions[0].answers[0] in choice.questions[0].options
    with pytest.raises(ValueError, match="programs"):
        shipped("functions")
