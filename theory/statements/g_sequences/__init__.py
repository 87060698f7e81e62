"""Generated text: couplings, survival, divergence:
G1, G2, G3, G3x, G4, G5, G6, G7, G8, G9, G10, G11, G12, G13, G14, G14x.
"""

from __future__ import annotations

from theory.statements.g_sequences import (
    coupling,
    decoding,
    divergence,
    free_running,
    markov,
    shared_seed,
    survival,
)
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *coupling.THEOREMS,
    *decoding.THEOREMS,
    *divergence.THEOREMS,
    *free_running.THEOREMS,
    *markov.THEOREMS,
    *shared_seed.THEOREMS,
    *survival.THEOREMS,
)
