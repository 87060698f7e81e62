"""Builders of the two-atom laws that serve as witnesses: delta = R on the upper atom, 0 on the lower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

Pair = tuple[list[Any], list[Any]]


def two_atoms(log_odds: Any, R: Any) -> Pair:
    """p(upper)/p(lower) = exp(log_odds), delta = (R, 0)."""
    return [mpf(log_odds), mpf(0)], [mpf(R), mpf(0)]


def swap(R: Any) -> Pair:
    """The swap pair W(R): q is p with its two atoms exchanged."""
    return two_atoms(-R / 2, R)


def reversed_pair(build: Callable[[Any], Pair]) -> Callable[[Any], Pair]:
    """The same law with dense and perturbed exchanged."""

    def build_reversed(R: Any) -> Pair:
        logits, perturbation = build(R)
        perturbed = [x + d for x, d in zip(logits, perturbation, strict=True)]
        return perturbed, [-d for d in perturbation]

    return build_reversed


def upper_mass(mass: Callable[[Any], Any]) -> Callable[[Any], Pair]:
    """Two atoms with p(upper) = mass(R)."""

    def build(R: Any) -> Pair:
        up = mass(R)
        return two_atoms(mpmath.log(up) - mpmath.log(1 - up), R)

    return build


worst_for_kl = upper_mass(lambda R: 1 / R - 1 / mpmath.expm1(R))
"""The two atoms of largest KL(p||q) at oscillation R (B5)."""

VANISHING = mpf(10) ** -30
"""Mass of the vanishing atom in witnesses that only approach their bound."""
