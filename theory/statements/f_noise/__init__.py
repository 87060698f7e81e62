"""Random changes of logits: F1, F2, F3, F4, F5, F5x, F6, F7, F8, F8x, F9."""

from __future__ import annotations

from theory.statements.f_noise import curves, length, noise, other_noise, self_averaging, tails
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *curves.THEOREMS,
    *noise.THEOREMS,
    *other_noise.THEOREMS,
    *self_averaging.THEOREMS,
    *tails.THEOREMS,
    *length.THEOREMS,
)
