"""Variances under which weights, what habits of the paper cost, and sets of changes: D1, D2, D3, D4, D5."""

from __future__ import annotations

from theory.statements.d_weights import habits, sets, weights
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*habits.THEOREMS, *sets.THEOREMS, *weights.THEOREMS)
