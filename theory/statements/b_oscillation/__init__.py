"""Bounds by the oscillation of the change of logits: B1, B2, B3, B4, B5, B6, B6x, B7, B8, B9, B10."""

from __future__ import annotations

from theory.statements.b_oscillation import divergence_families, oscillation, refinements
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*divergence_families.THEOREMS, *oscillation.THEOREMS, *refinements.THEOREMS)
