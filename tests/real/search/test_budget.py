"""Budgets: read as they are written, measured again when a task changes, wrong ones in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from real.search.budget import BudgetError, check_kinds, parse_budget


@pytest.mark.parametrize("text", ["kl<=0.2", "tv(64)<=0.5", "score(my.jsonl)>=0.95"])
def test_budgets_read_as_they_are_written(text: str) -> None:
    assert str(parse_budget(text)) == text
    assert parse_budget(text.replace("=", "= ")) == parse_budget(text)


@pytest.mark.parametrize(
    "text",
    ["", "kl", "kl>=0.2", "kl(3)<=1", "tv<=0.5", "tv(x)<=0.5", "tv(0)<=0.5", "tv(8)<=1.5", "score>=0.9",
     "score(a)<=0.9", "score(a)>=1.1", "kl<=0", "kl<=1.2.3", "kl<=nan"],
)  # fmt: skip
def test_wrong_budgets_cost_one_sentence(text: str) -> None:
    with pytest.raises(BudgetError, match=r"use 'kl<=0.2', 'tv\(64\)<=0.5'") as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


def test_a_changed_task_file_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    budget = parse_budget(f"score({path})>=0.5")
    path.write_text("one")
    before = budget.content
    path.write_text("two")
    assert budget.content != before
    assert parse_budget("kl<=0.1").content == parse_budget("kl<=0.2").content


@pytest.mark.parametrize(
    ("kinds", "saving", "count", "sentence"),
    [
        (["int4"], "parameters", None, "int4 saves no parameters here: use --minimise bytes"),
        (["wanda:50%"], "time", None, "wanda:50% saves no time here: use --minimise bytes"),
        (["wanda:50%"], "bytes", 3, "--drop counts attn, mlp and block, not wanda:50%"),
        (["atn"], "bytes", None, "unknown part 'atn'"),
        (["attn:4"], "bytes", None, "among 'attn:4': use attn, mlp, block, int8"),
        (["int4@[1]"], "bytes", None, r"among 'int4@[1]': use attn"),
        (["int4+int8"], "bytes", None, "among 'int4+int8': use attn"),
    ],
)
def test_kinds_that_cannot_be(kinds: list[str], saving: str, count: int | None, sentence: str) -> None:
    assert check_kinds(["attn", "int8", "wanda:2:4"], "bytes") == ["attn", "int8", "wanda:2:4"]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_kinds(kinds, saving, count)
