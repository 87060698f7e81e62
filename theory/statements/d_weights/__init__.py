"""Variances under which weights, habits of the paper, sets of changes, repairs: D1, D2, D3, D4, D5, D6."""

from __future__ import annotations

from theory.statements.d_weights import both_weights, habits, repairs, sets, weights
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *habits.THEOREMS,
    *repairs.THEOREMS,
    *sets.THEOREMS,
    *weights.THEOREMS,
    *both_weights.THEOREMS,
)
