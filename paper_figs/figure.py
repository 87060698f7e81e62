"""What a figure is: data, drawing, an honest caption, and the claims it puts to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure as Canvas

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
class Figure:
    """A figure or table of the paper, or one of ours.

    ``compute`` does all arithmetic and returns a tidy table; ``draw`` only draws that table, so that drawing
    again costs nothing; ``caption(frame, setup)`` says what is shown, how it was measured, and what differs
    from the paper. ``takeaway(frame)`` is the one sentence a reader must see first, computed from the data;
    ``section`` is the paper's section, or the subject of a figure of ours, under which claims are grouped.
    """

    id: str
    title: str
    compute: Callable[[Context], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Canvas]
    caption: Callable[[pd.DataFrame, Setup], str]
    claims: tuple[Claim, ...] = ()
    takeaway: Callable[[pd.DataFrame], str] | None = None
    section: str = ""
