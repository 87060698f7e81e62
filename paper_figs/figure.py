"""What a figure is: data, drawing, an honest caption, and the claims it puts to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.contents import CONTENTS

if TYPE_CHECKING:
    from paper_figs.context import Context, Setup


class Verdict(StrEnum):
    """What our data says about a claim."""

    HOLDS = "holds"
    PARTLY = "holds partly"
    FAILS = "does not hold here"
    UNDECIDED = "undecided here"
    """The confidence limits allow more than one of the three above."""
    UNTESTED = "not tested"
    """The claim's condition never occurred in this run."""
    AS_PROVED = "as proved"
    """A theorem, and no number of this run contradicts it. Not a finding: it could not be otherwise."""
    CONTRADICTED = "contradicted"
    """A number of this run contradicts a theorem: there is an error in the code."""


class Whose(StrEnum):
    """Who claims it. Theorems are checks of the code and are counted apart from what was found."""

    PAPER = "the paper"
    OURS = "ours"
    THEOREM = "theorem"


@dataclass(frozen=True)
class Finding:
    """A verdict and the numbers that led to it."""

    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A statement that data can contradict.

    ``rule`` states in words how ``judge`` turns the figure's data into a finding; the two must say the same.
    ``theorems`` are ids of the catalogue that the claim rests on or repeats.
    """

    text: str
    source: str
    rule: str
    judge: Callable[[pd.DataFrame], Finding]
    whose: Whose = Whose.PAPER
    theorems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a reader sees of a table: the text of every cell."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A figure or table of the paper, or one of ours.

    ``compute`` does all arithmetic and returns a tidy table; ``draw`` only draws that table, so that drawing
    again costs nothing, and is None for a table, whose cells ``table`` puts into words;
    ``caption(frame, setup)`` says what is shown, how it was measured, and what differs
    from the paper. ``takeaway(frame)`` is the one sentence a reader must see first, computed from the data.
    """

    id: str
    title: str
    compute: Callable[[Context], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Canvas] | None
    caption: Callable[[pd.DataFrame, Setup], str]
    claims: tuple[Claim, ...] = ()
    takeaway: Callable[[pd.DataFrame], str] | None = None
    section: str = ""
    table: Callable[[pd.DataFrame], Table] | None = None


def listed(
    name: str,
    compute: Callable[[Context], pd.DataFrame],
    draw: Callable[[pd.DataFrame], Canvas] | None,
    caption: Callable[[pd.DataFrame, Setup], str],
    takeaway: Callable[[pd.DataFrame], str],
    claims: tuple[Claim, ...] = (),
) -> Figure:
    """The figure that the table of contents lists as ``name``; its title and its section stand there."""
    entry = CONTENTS[name]
    return Figure(name, entry.title, compute, draw, caption, claims, takeaway, entry.section)


def listed_table(
    name: str,
    compute: Callable[[Context], pd.DataFrame],
    table: Callable[[pd.DataFrame], Table],
    caption: Callable[[pd.DataFrame, Setup], str],
    takeaway: Callable[[pd.DataFrame], str],
    claims: tuple[Claim, ...] = (),
) -> Figure:
    """The same for a table."""
    return replace(listed(name, compute, None, caption, takeaway, claims), table=table)
