"""Bounds by variances: C0, C1, C2, C3, C4, C5, C6, C6x, C7, C7x, C8."""

from __future__ import annotations

from theory.statements.c_variance import js_hellinger, mixed, two_atoms, variance
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *js_hellinger.THEOREMS,
    *mixed.THEOREMS,
    *two_atoms.THEOREMS,
    *variance.THEOREMS,
)
