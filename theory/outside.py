"""Names, texts and paths from outside are data: how each kind of output is kept from obeying them."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Controls but tab and line end, marks that reorder or hide text, unseen line ends, half letters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#|!~$])")
_FORMULA = ("=", "+", "-", "@", "\t")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def visible(text: str) -> str:
    """For a terminal: what would move, colour, hide or reorder text is shown as an escape.

    >>> visible("red: \\x1b[31m")
    'red: \\\\x1b[31m'
    """
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def markdown(text: str) -> str:
    """For running Markdown text or a table's cell, one line: no markup and no HTML.

    >>> markdown("a|<b>")
    'a\\\\|&lt;b&gt;'
    """
    line = " ".join(visible(text).split())
    return html.escape(_MARKDOWN.sub(r"\\\1", line).replace("\\<", "<").replace("\\>", ">"))


def markdown_code(text: str) -> str:
    """Inline code of Markdown, one line; a vertical bar would end a table's cell, so it is a broken bar."""
    line = " ".join(visible(text).split()).replace("|", "¦")
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def markdown_block(text: str, language: str) -> str:
    """A fenced block of Markdown that nothing inside can end."""
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def yaml_string(text: str) -> str:
    """A quoted string of YAML, one line."""
    return json.dumps(visible(text), ensure_ascii=False)


def script_json(value: Any) -> str:
    """JSON inside ``<script>``: no end of the element, no comment, no line end that JavaScript knows.

    >>> script_json("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def drawn(text: str) -> str:
    """For matplotlib: dollars stand for themselves, and a label that begins with ``_`` is not left out.

    >>> drawn("$x$"), drawn("_hidden")
    ('\\\\$x\\\\$', ' _hidden')
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def drawn_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts are as :func:`drawn` gives them, for a figure; numbers and names stay."""
    return frame.apply(_drawn_column)


def _drawn_column(column: pd.Series[Any]) -> pd.Series[Any]:
    kind: Any = column.dtype
    if hasattr(kind, "categories"):
        return column.cat.rename_categories(_drawn_if_text)
    return column if getattr(kind, "kind", "O") in "biufcmM" else column.map(_drawn_if_text)


def _drawn_if_text(value: Any) -> Any:
    return drawn(value) if isinstance(value, str) else value


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """A table for CSV: formulas of a spreadsheet get an apostrophe before them."""
    safe = frame.set_axis([_cell(name) for name in frame.columns], axis=1)
    for place, kind in enumerate(safe.dtypes):
        if not hasattr(kind, "kind") or kind.kind not in "biufcmM":
            safe.isetitem(place, [_cell(value) for value in safe.iloc[:, place]])
    return safe


def _cell(value: Any) -> Any:
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    line = value.replace("\r", "\\r")  # else a reader may begin a row there
    return f"'{line}" if line.lstrip(" ").startswith(_FORMULA) and len(line) > 1 else line
