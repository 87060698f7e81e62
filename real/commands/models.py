"""``python -m real models``: the models that need no hub."""

from __future__ import annotations

from rich.table import Column, Table

from real.models.registry import DEFAULT, SOURCES
from theory.terminal.console import show


def models() -> None:
    """List the models that load by name; any hub id or local folder loads as well."""
    from real.cache import cache_folder
    from real.models.convert import is_complete

    table = Table(Column("name", no_wrap=True), "layers", "width", "vocabulary")
    for header in ("download", "licence", "in cache"):
        table.add_column(header)
    for name, source in SOURCES.items():
        facts = [str(source.facts[key]) for key in ("layers", "width", "vocabulary")]
        ready = "yes" if is_complete(cache_folder() / "models" / name) else "no"
        shown = f"{name} (default)" if name == DEFAULT else name
        table.add_row(shown, *facts, source.size, source.licence, ready)
    show(table)
