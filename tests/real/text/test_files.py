"""Prompt files as people have them: marks, line ends, separators, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.text.files import read_lines, read_prompts

WANTED = ["Tell me a joke", "Another"]
NOT_LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["{0}\n{1}\n", "\n\n{0}\n\n  {1}", "---\n{0}\n---\n{1}\n", "{0}\n---\n{1}"])
def test_marks_and_line_ends_are_no_text(form: str, end: str, encoding: str, tmp_path: Path) -> None:
    text = form.format(*WANTED).replace("\n", end)
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "p.txt").write_bytes(mark + text.encode(encoding))
    assert read_prompts(tmp_path / "p.txt") == WANTED


@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1)
)
def test_a_line_ends_only_at_a_line_end(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "p.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    assert read_lines(path) == lines


@pytest.mark.parametrize("letter", NOT_LINE_ENDS)
def test_separators_of_unicode_split_no_prompt(letter: str, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"one{letter}two\nthree\n")
    assert read_prompts(tmp_path / "p.txt") == [f"one{letter}two", "three"]


@pytest.mark.parametrize("name", ["p.jsonl", "p.txt"])
@pytest.mark.parametrize("key", ["prompt", "text"])
def test_json_lines_are_read_as_json(name: str, key: str, tmp_path: Path) -> None:
    rows = [{key: "Name three\nrivers.", "id": 1}, {key: "What is 2 + 2?"}]
    (tmp_path / name).write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert read_prompts(tmp_path / name) == ["Name three\nrivers.", "What is 2 + 2?"]


def test_a_json_list(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps([*WANTED]))
    assert read_prompts(tmp_path / "p.json") == WANTED


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("p.txt", b'{"messages": []}\n', "'prompt' or 'text'"),
        ("p.jsonl", b"Tell me a joke\n", "not JSON"),
        ("p.txt", b"caf\xe9\n", "is not UTF-8 text"),
        ("p.txt", b"\xff\xfeo", "is not UTF-8 text"),
        ("p.txt", b"\xef\xbb\xbf\n  \n", "is empty"),
        ("p.json", b"[]", "is empty"),
    ],
)
def test_what_holds_no_prompts_is_one_sentence(name: str, data: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=sentence) as error:
        read_prompts(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize("line", ["{curly} braces", "[1, 2] is a list, is it?", '"quoted"', "17"])
def test_text_that_looks_like_json_is_text(line: str, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"{line}\nAnother\n")
    assert read_prompts(tmp_path / "p.txt") == [line, "Another"]
