"""Temperature, gauge, heads: when the softmax amplifies: E1, E2, E2x, E3, E3x, E4, E4x, E5, E5x, E6, E7."""

from __future__ import annotations

from theory.statements.e_temperature import amplification, extremes, gauge, head, two_tokens
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *amplification.THEOREMS,
    *extremes.THEOREMS,
    *gauge.THEOREMS,
    *head.THEOREMS,
    *two_tokens.THEOREMS,
)
