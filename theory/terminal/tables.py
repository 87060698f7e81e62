"""The one look of tables: no boxes, so that 80 columns hold the most, and nothing is ever cut."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def plain_table(*columns: str, title: str | None = None, caption: str | None = None, whole: int = 1) -> Table:
    """A table whose cells wrap where they must; the first ``whole`` columns, names, are never broken."""
    table = Table(
        title=title, caption=caption, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False,
        title_justify="left", caption_justify="left",
    )  # fmt: skip
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place < whole, overflow="fold")
    return table
