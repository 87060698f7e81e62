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


@dataclass(frozen=True)
class Finding:
    """A verdict and the numbers that led to it."""

    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A statement that data can contradict.

    ``rule`` states in words how ``judge`` turns the figure's data into a finding; the two must say the same.
    """

    text: str
    source: str
    rule: str
    judge: Callable[[pd.DataFrame], Finding]


@dataclass(frozen=True)
class Figure:
    """A figure or table of the paper, or one of ours.

    ``compute`` does all arithmetic and returns a tidy table; ``draw`` only draws that table, so that drawing
    again costs nothing; ``caption(frame, setup)`` says what is shown, how it was measured, and what differs
    from the paper.
    """

    id: str
    title: str
    compute: Callable[[Context], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Canvas]
    caption: Callable[[pd.DataFrame, Setup], str]
    claims: tuple[Claim, ...] = ()


def graded(share: float, holds: float = 0.9, partly: float = 0.5) -> Verdict:
    """The verdict for a claim about many cases that is true in a ``share`` of them."""
    if share >= holds:
        return Verdict.HOLDS
    return Verdict.PARTLY if share >= partly else Verdict.FAILS
