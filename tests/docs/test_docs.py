"""The quick start says what Python says; tutorials run from top to bottom; pages name what exists."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from paper_figs.catalogue import FIGURES
from theory import catalogue

DOCS = Path(__file__).parents[2] / "docs"
SLOW = {"is_it_safe"}  # loads a model and prunes it
TUTORIALS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])
    for path in sorted((DOCS / "tutorials").glob("*.py"))
]


def test_quick_start_is_true() -> None:
    found = doctest.testfile(str(DOCS / "quickstart.txt"), module_relative=False)
    assert found.attempted > 8
    assert found.failed == 0
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    assert '--8<-- "docs/quickstart.txt"' in page  # what is tested is what is shown


def test_every_column_of_a_table_has_a_name() -> None:
    for page in DOCS.glob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        for header, rule in pairwise(lines):
            if re.fullmatch(r"\|[-:| ]+\|", rule):
                assert all(cell.strip() for cell in header.strip("|").split("|")), f"{page.name}: {header}"


def test_every_documented_name_exists() -> None:
    for page in (DOCS / "api").glob("*.md"):
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            module, _, attribute = name.rpartition(".")
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                assert hasattr(importlib.import_module(module), attribute), name


def test_generated_pages_have_every_theorem_and_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    pages = importlib.import_module("docs_pages")
    theorems = pages.theorem_pages()["theorems.md"]
    for theorem in catalogue:
        assert f"{{ #{theorem.id} }}" in theorems
    figures = pages.figures_page()
    for name in FIGURES:
        assert f"## {name}: " in figures


def test_specs_and_commands_of_the_quick_start_parse() -> None:
    from real.command_line import app
    from real.pruning.spec import parse_spec

    text = (DOCS / "index.md").read_text(encoding="utf-8")
    table = text[text.index("| spec |") :]
    for cell in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE):
        for spec in re.findall(r"`([^`]+)`", cell):
            parse_spec(spec)
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    for command in re.findall(r"python -m real ([a-z]+)", text):
        assert command in known


@pytest.mark.parametrize("path", TUTORIALS)
def test_tutorials_run(path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr
