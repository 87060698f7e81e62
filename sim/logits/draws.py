"""Make the rows of one unit: logits, perturbed logits and a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sim.logits import BASES, PERTURBATIONS, base_from_file, witness_rows
from sim.logits.base import Base, log_uniform
from theory.names import lookup

TEMPERATURES = (0.1, 10.0)
SCALES = (1e-6, 30.0)
WITNESS = "witness"
ALL_NAMES = (*PERTURBATIONS, WITNESS)


class Draws(NamedTuple):
    """Pairs of logits of shape ``(rows, V)`` at one temperature, and the families they come from."""

    logits: Tensor
    perturbed: Tensor
    temperature: float
    base: str
    perturbation: str


@dataclass(frozen=True)
class Families:
    """Names of the families a sweep draws from; ``logits_file`` adds the base family ``file``.

    The perturbation ``witness`` brings its own base logits, so it is paired with no base.
    """

    bases: tuple[str, ...] = tuple(BASES)
    perturbations: tuple[str, ...] = ALL_NAMES
    logits_file: str | None = None

    def __post_init__(self) -> None:
        for name in self.bases:
            lookup("base family", name, BASES)
        for name in self.perturbations:
            lookup("perturbation family", name, {**PERTURBATIONS, WITNESS: None})

    def pairs(self) -> list[tuple[str, str]]:
        """All (base, perturbation) names in a fixed order."""
        bases: Sequence[str] = (*self.bases, "file") if self.logits_file else self.bases
        pairs = [(b, p) for b in bases for p in self.perturbations if p != WITNESS]
        return pairs + [(WITNESS, WITNESS)] * (WITNESS in self.perturbations)

    def base(self, name: str) -> Base:
        """The function of a base family."""
        if name == "file" and self.logits_file:
            return base_from_file(self.logits_file)
        return BASES[name]


def draw(rng: np.random.Generator, unit: int, rows: int, vocabulary: int, families: Families) -> Draws:
    """The rows of unit number ``unit``; its families follow from the number, everything else from ``rng``.

    Temperature and noise scale (in units of the temperature, per row) are uniform in their logarithm over
    ``TEMPERATURES`` and ``SCALES``.
    """
    pairs = families.pairs()
    base, perturbation = pairs[unit % len(pairs)]
    temperature = float(np.exp(rng.uniform(*np.log(TEMPERATURES))))
    if perturbation == WITNESS:
        z, delta = witness_rows(rng, rows, vocabulary)
        z, change = temperature * z, temperature * delta
    else:
        z = families.base(base)(rng, rows, vocabulary)
        scale = temperature * log_uniform(rng, *SCALES, rows)
        change = PERTURBATIONS[perturbation](rng, z, scale)
    return Draws(torch.from_numpy(z), torch.from_numpy(z + change), temperature, base, perturbation)
