"""How far a score moves: K0, K1, K1x, K2, K3, K4, K4x, K5, K6, K6x, K7, K8, K9, K10, K11, K12."""

from __future__ import annotations

from theory.statements.k_scores import decoding, estimates, overlap, prompts, resolved
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *prompts.THEOREMS,
    *resolved.THEOREMS,
    *overlap.THEOREMS,
    *estimates.THEOREMS,
    *decoding.THEOREMS,
)
