"""``python -m real models``: the models that need no hub."""

from __future__ import annotations

from real.models.registry import DEFAULT, SOURCES
from theory.terminal.console import say, show
from theory.terminal.tables import plain_table


def models() -> None:
    """List the models that load by name; any hub id or local folder loads as well."""
    from real.cache import cache_folder
    from real.models.convert import is_complete

    table = plain_table("name", "layers", "width", "vocabulary", "download", "here", "licence", whole=6)
    for name, source in SOURCES.items():
        facts = [str(source.facts[key]) for key in ("layers", "width", "vocabulary")]
        ready = "yes" if is_complete(cache_folder() / "models" / name) else "no"
        shown = f"{name} (default)" if name == DEFAULT else name
        table.add_row(shown, *facts, source.size, ready, source.licence)
    show(table)
    say("Any hub id or local folder loads as well; next: python -m real anatomy NAME")
