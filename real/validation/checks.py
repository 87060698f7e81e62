"""How often verdicts are right, and from how many prompts on: samples of a pool of questions whose losses are
known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from real.scores.verdict import ALPHA, EPSILON
from theory.sequences.betting import log_e_value

COUNTS = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384)
REPLICATES = 100
WANTED = 0.8
"""Share of right verdicts from which a number of prompts is enough."""
SAFE, FAILS, UNDECIDED = 1, -1, 0

Rows = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""From indices of questions ``(m, R)``, R samples of m, to nonnegative rows ``(m, R)`` of means at most
1 + change and 1 - change; None where a method can never say "fails"."""


@dataclass(frozen=True)
class Power:
    """Of one method. prompts: least number with which 80 % of samples give the right verdict; None: more than
    any tried. right: that share at the most prompts tried. wrong: largest share of wrong verdicts at any."""

    prompts: int | None
    right: float
    wrong: float


def verdicts(plus: Tensor, minus: Tensor | None, epsilon: float = EPSILON, alpha: float = ALPHA) -> Tensor:
    """SAFE, FAILS or UNDECIDED of every column of rows ``(m, R)`` (K4), int64 ``(R,)``."""
    needed = -torch.log(torch.tensor(alpha))
    safe = log_e_value(plus, 1 - epsilon, alpha) >= needed
    fails = torch.zeros_like(safe)
    if minus is not None:
        fails = log_e_value(minus, 1 + epsilon, alpha) >= needed
    return torch.where(safe, SAFE, torch.where(fails, FAILS, UNDECIDED))


def power(rows: Rows, questions: int, loss: float, *, epsilon: float = EPSILON, seed: int = 0) -> Power:
    """Draw prompts with replacement from ``questions`` whose mean loss is ``loss``, and count right verdicts.

    Raises
    ------
    ValueError
        There is no question.
    """
    if questions < 1:
        raise ValueError("questions must be at least 1, got 0")
    truth = SAFE if loss <= epsilon else FAILS
    generator = torch.Generator().manual_seed(seed)
    right, wrong = 0.0, 0.0
    for count in COUNTS:
        drawn = torch.randint(questions, (count, REPLICATES), generator=generator)
        found = verdicts(*rows(drawn), epsilon)
        right = float((found == truth).double().mean())
        wrong = max(wrong, float((found == -truth).double().mean()))
        if right >= WANTED:
            return Power(count, right, wrong)
    return Power(None, right, wrong)


def known(plus: Tensor, minus: Tensor) -> Rows:
    """Rows of each question ``(questions,)``, whichever method made them."""
    return lambda drawn: (plus[drawn], minus[drawn])


def ceiling(tv: Tensor) -> Rows:
    """The total variation of each question's answers ``(questions,)``: no score changes by more (J1)."""
    return lambda drawn: ((1 - tv[drawn]).clamp(min=0), None)


def counted(before: Tensor, after: Tensor, seed: int = 0) -> Rows:
    """Let both models answer every drawn question once, by chance, and count.

    before, after: their probabilities of a right answer, ``(questions,)``.
    """
    generator = torch.Generator().manual_seed(seed)

    def rows(drawn: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.bernoulli(before[drawn].clamp(0, 1), generator=generator)
        second = torch.bernoulli(after[drawn].clamp(0, 1), generator=generator)
        return 1 + second - first, 1 + first - second

    return rows
