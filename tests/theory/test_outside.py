"""Hostile names through every kind of output: they are shown, and nothing obeys them."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.text import Text
from rich.table import Table

from tests.theory.hostile import HOSTILE
from theory.outside import (
    drawn,
    drawn_frame,
    markdown,
    markdown_block,
    markdown_code,
    script_json,
    spreadsheet,
    visible,
    yaml_string,
)
from theory.terminal.console import remarks, say, show, track
from theory.terminal.run import run
from theory.terminal.writing import write_table

texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec=None)))
_ORDERS = {"Cc", "Cs"}


def _quiet(text: str) -> bool:
    return not any(
        unicodedata.category(letter) in _ORDERS or letter in "\u202e\u2066\u200b\ufeff\u2028\u2029"
        for letter in text.replace("\n", "").replace("\t", "")
    )


@given(texts)
def test_a_figure_shows_names_as_they_are(text: str) -> None:
    shown, math = Text(text=drawn(text))._preprocess_math(drawn(text))  # type: ignore[attr-defined]
    assert not math
    assert shown.removeprefix(" " if visible(text).startswith("_") else "") == visible(text)
    assert not drawn(text).startswith("_")  # matplotlib leaves such labels out of legends


def test_a_table_is_drawn_with_its_texts_as_they_are() -> None:
    names = ["$x$", "_y", "plain"]
    frame = pd.DataFrame({"name": names, "kind": pd.Categorical(names), "value": [1.0, 2.0, 3.0]})
    found = drawn_frame(frame)
    assert found["name"].tolist() == found["kind"].tolist() == [drawn(name) for name in names]
    pd.testing.assert_series_equal(found["value"], frame["value"])
    assert frame["name"].tolist() == names


@given(texts)
def test_a_terminal_gets_no_orders(text: str) -> None:
    assert _quiet(visible(text))
    if _quiet(text) and not any(unicodedata.category(letter) == "Cf" for letter in text):
        assert visible(text).isprintable() or visible(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_tables_and_remarks_show_names_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = text.replace("\n", " ").replace("\t", " ")
    table = Table(line, title=line, caption=line)
    table.add_row(line)
    remarks.file = None
    show(table, line)
    say(line)
    assert list(track([1], line)) == [1]

    def fails() -> None:
        raise ValueError(line)

    with pytest.raises(SystemExit):
        run(fails)
    captured = capsys.readouterr()
    assert _quiet(captured.out)
    assert _quiet(captured.err)
    shown = " ".join(visible(line).split())
    for part in (captured.out, captured.err):
        assert " ".join(part.split()).count(shown) >= 1
    assert " ".join(captured.out.split()).count(shown) == 5


@given(texts)
def test_markdown_is_neither_markup_nor_html(text: str) -> None:
    card = f"# {markdown(text)}\n\n| a | b |\n|---|---|\n| {markdown(text)} | {markdown_code(text)} |\n\nend"
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(card)
    kinds = [token.type for token in tokens]
    assert kinds.count("heading_open") == 1
    assert kinds.count("tr_open") == 2
    assert kinds.count("td_open") == 2
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "code_inline", "text_special", "html_entity"}
    assert "html_block" not in kinds
    (block, end) = MarkdownIt().parse(f"{markdown_block(text, 'json')}\n\nend")[0:3:2] or (None, None)
    assert block is not None
    assert block.type == "fence"
    assert end is not None


@given(texts)
def test_yaml_holds_one_string(text: str) -> None:
    front = yaml.safe_load(f"name: {yaml_string(text)}\ntags: [a]\n")
    assert front == {"name": visible(text), "tags": ["a"]}


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


@given(texts)
def test_json_stays_inside_its_script(text: str) -> None:
    inside = script_json({"name": text})
    assert json.loads(inside) == {"name": text}
    page = _Elements()
    page.feed(f"<script>const x = {inside};</script><p>")
    assert page.found == ["script", "p"]
    assert not re.search(r"[<>&\u2028\u2029]", inside)


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\ud800" not in text])
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({text: [text], "score": [-0.5], "answer": ["-12"], "kind": pd.Categorical([text])})
    write_table(frame, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8", errors="surrogatepass") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows for cell in row]
    assert all(not cell.strip(" ").startswith(("=", "+", "@", "\t", "\r")) for cell in cells)
    assert [cell for cell in cells if cell.startswith("-")] == ["-0.5", "-12"]
    assert len(rows) == 2
    assert rows[1][0].replace("\\r", "\r") in (text, f"'{text}")
    assert rows[1][3] == rows[0][0] == rows[1][0]


def test_numbers_and_ordinary_words_are_written_as_they_are() -> None:
    frame = pd.DataFrame(
        {
            "a": [1.5, np.nan],
            "b": ["-1e-3", "word"],
            "c": [True, False],
            "d": ["-", None],
            "e": ["+5%", "a=b"],
        }
    )
    pd.testing.assert_frame_equal(spreadsheet(frame), frame)
