"""Families of synthetic logits and of perturbations, each a small registered function.

``BASES[name](rng, rows, vocabulary)`` returns base logits ``z`` of shape ``(rows, V)``;
``PERTURBATIONS[name](rng, z, scale)`` returns a perturbation ``D`` of the shape of ``z``, ``scale`` having
shape ``(rows, 1)``. Everything is float64 and a function of the generator alone.
"""

from sim.logits.base import BASES, base_from_file
from sim.logits.perturbations import PERTURBATIONS
from sim.logits.witnesses import witness_rows

__all__ = ["BASES", "PERTURBATIONS", "base_from_file", "witness_rows"]
