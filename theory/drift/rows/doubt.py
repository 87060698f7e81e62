"""Which results of the short ways lost digits, so that :mod:`theory.drift.rows.careful` takes them anew."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from theory.drift.rows.careful import GROUPS, Columns
from theory.drift.rows.sums import PairSums

# A result this much smaller than what it is a difference of keeps twelve digits or more; squares of long rows
# are summed with larger errors, so they are held to ten times this.
KEPT = 1e-3
# Spread of logits and of delta for which no product of two probabilities or ratios over- or underflows.
WIDEST_SPREAD = 300.0


class Found(NamedTuple):
    """Columns, each ``(rows,)``, and the mask ``(rows, groups)`` of the groups of columns to take anew."""

    columns: Columns
    doubtful: Tensor


class Doubt:
    """Collects, per row and group of columns, whether every difference taken kept its digits."""

    def __init__(self, sums: PairSums) -> None:
        in_range = torch.maximum(-sums.lowest, sums.most - sums.least) < WIDEST_SPREAD
        self._sound: dict[str, list[Tensor]] = {group: [in_range] for group in GROUPS}

    def check(self, group: str, result: Tensor, scale: Tensor) -> Tensor:
        """Return ``result``, a difference of terms of size ``scale``, each ``(rows,)`` or ``(rows, k)``."""
        kept = result.abs() >= KEPT * scale
        self._sound[group].append(kept if kept.ndim == 1 else kept.all(-1))
        return result

    def require(self, group: str, sound: Tensor) -> None:
        """Doubt the rows, ``(rows,)``, that are not sound for another reason."""
        self._sound[group].append(sound)

    def rows(self) -> Tensor:
        """Mask ``(rows, groups)``: a result is too small, or nan, or the exponents are out of range."""
        return ~torch.stack([torch.stack(sound).all(0) for sound in self._sound.values()], -1)
