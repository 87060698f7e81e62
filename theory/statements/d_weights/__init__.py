"""Variances under which weights, and what habits of the paper cost: D1, D2, D3, D4."""

from __future__ import annotations

from theory.statements.d_weights import habits, weights
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*habits.THEOREMS, *weights.THEOREMS)
