"""The figures and tables by id, in the order in which they are made and shown."""

from __future__ import annotations

from paper_figs.figure import Figure

FIGURES: dict[str, Figure] = {}
