"""How far numbers of chaotic specs are spread over calibration texts, in tables and in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_HEADER = "3 calibrations"


def columns(shown: bool) -> list[str]:
    """The header of one more column, if any row of the table has something to say."""
    return [_HEADER] if shown else []


def cells(shown: bool, values: Sequence[float], digits: int) -> list[str]:
    """The least and the most of ``values``, for a row under :func:`columns`; a dash if there are none."""
    if not shown:
        return []
    return [f"{min(values):.{digits}f}–{max(values):.{digits}f}" if values else "–"]


def remarks(specs: Iterable[str], what: str) -> list[str]:
    """Why these specs were made three times, in a sentence; nothing if there are none."""
    names = ", ".join(dict.fromkeys(specs))
    if not names:
        return []
    return [
        f"{_HEADER}: masks of {names} are found layer by layer, and another calibration text gives another "
        f"model; from the least to the most {what} over three such texts. All other numbers are of the first."
    ]
