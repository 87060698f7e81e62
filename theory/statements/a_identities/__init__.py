"""What is exactly true of p, q and their logits: A1, A2, A3, A4, A5, A5x, A6, A7."""

from __future__ import annotations

from theory.statements.a_identities import cosine, divergences
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*cosine.THEOREMS, *divergences.THEOREMS)
