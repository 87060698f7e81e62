"""Which code made a number: a digest that changes when arithmetic may have, not when a comment did."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("theory", "sim", "real", "paper_figs")


def _strip_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


@cache
def _source(path: Path) -> tuple[str, frozenset[str]]:
    """The meaning of a source file (no comments, no docstrings) and the names of the modules it imports."""
    tree = _strip_docstrings(ast.parse(path.read_text(encoding="utf-8")))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:  # then any public name may be used
                imported |= {alias.name, *_public(alias.name).values()}
        elif isinstance(node, ast.ImportFrom) and node.module:
            public = _public(node.module)
            imported |= {node.module}
            imported |= {public.get(alias.name, f"{node.module}.{alias.name}") for alias in node.names}
    return ast.dump(tree), frozenset(imported)


@cache
def _public(package: str) -> dict[str, str]:
    """The module that each public name of a package comes from: what its stub lists is imported late."""
    stub = ROOT.joinpath(*package.split("."), "__init__.pyi")
    if not stub.exists():
        return {}
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: f"{package}.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _file(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)


def _sources(module: str, seen: dict[Path, str]) -> dict[Path, str]:
    """The project's files that importing ``module`` loads, with their meaning."""
    parent = module.rpartition(".")[0]
    if parent:
        _sources(parent, seen)
    path = _file(module)
    if path is None or path in seen:
        return seen
    seen[path], imported = _source(path)
    for name in imported:
        if name.partition(".")[0] in PACKAGES:
            _sources(name, seen)
    return seen


@cache
def fingerprint(module: str) -> str:
    """Digest of everything in the project that a number computed in ``module`` may depend on."""
    sources = _sources(module, {})
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + sources[path].encode() + b"\0")
    return digest.hexdigest()
