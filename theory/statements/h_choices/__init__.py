"""Choosing instead of writing: options and retrieval: H1, H1x, H2, H3, H4, H5, H5x, H6, H6x."""

from __future__ import annotations

from theory.statements.h_choices import options, retrieval, scores
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*options.THEOREMS, *retrieval.THEOREMS, *scores.THEOREMS)
