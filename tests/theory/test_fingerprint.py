"""A result is recomputed when the arithmetic may have changed, not when a comment did."""

from __future__ import annotations

import ast

import pytest

from theory.fingerprint import _source, _strip_docstrings, fingerprint

CODE = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'


def meaning(code: str) -> str:
    return ast.dump(_strip_docstrings(ast.parse(code)))


def test_comments_and_docstrings_do_not_matter():
    assert meaning(CODE) == meaning("def f(x):\n    return x + 1\n")


@pytest.mark.parametrize("changed", ["def f(x):\n    return x + 2\n", "def f(x, y):\n    return x + 1\n"])
def test_code_matters(changed):
    assert meaning(CODE) != meaning(changed)


def test_a_change_in_a_lower_package_reaches_every_module_that_imports_it(monkeypatch):
    fingerprint.cache_clear()
    before = fingerprint("paper_figs.context"), fingerprint("paper_figs.profiles")
    monkeypatch.setattr(
        "theory.fingerprint._source",
        lambda path: (
            _source(path)[0] + ("changed" if path.parent.name == "theory" else ""),
            _source(path)[1],
        ),
    )
    fingerprint.cache_clear()
    after = fingerprint("paper_figs.context"), fingerprint("paper_figs.profiles")
    fingerprint.cache_clear()
    assert before[0] != after[0]
    assert before[1] == after[1]
