"""Which draws a sweep makes: how many per vocabulary size, cut into units that never depend on who runs them.

A unit is a fixed number of rows of one vocabulary size. Its random numbers come from ``SeedSequence(seed,
spawn_key=(V, unit))`` alone, so any process may run any unit. Consecutive units walk through all pairs
(base family, perturbation family). A block is a run of units large enough to be worth a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VOCABULARIES = (2, 3, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)

ROWS_PER_UNIT = 4096
ENTRIES_PER_UNIT = 2**19
BLOCK_COST = 2**24
"""A block holds about this many logits, small vocabularies counted as ``FLAT_COST`` each: some seconds."""

# Time per draw is nearly flat up to this vocabulary and linear above it (measured; it only shapes the
# allotment).
FLAT_COST = 64
LEAST_SHARE = 100
LEAST_DRAWS = 10_000


@dataclass(frozen=True)
class Block:
    """Units ``first <= u < last`` of one vocabulary size, which gets ``rows`` draws in total."""

    vocabulary: int
    first: int
    last: int
    rows: int

    @property
    def name(self) -> str:
        """File name of the block's checkpoint."""
        return f"v{self.vocabulary}-u{self.first}.npz"

    def units(self) -> list[tuple[int, int]]:
        """(unit, rows) pairs."""
        size = unit_rows(self.vocabulary)
        return [(unit, min(size, self.rows - unit * size)) for unit in range(self.first, self.last)]

    @property
    def draws(self) -> int:
        """Number of draws in the block."""
        return sum(rows for _, rows in self.units())


def unit_rows(vocabulary: int) -> int:
    """Rows of one unit: many for small vocabularies, few for large ones, so that memory stays bounded."""
    return max(1, min(ROWS_PER_UNIT, ENTRIES_PER_UNIT // vocabulary))


def allot(draws: int, vocabularies: Sequence[int] = VOCABULARIES) -> dict[int, int]:
    """Draws per vocabulary size so that each size costs about the same time.

    No size gets fewer than ``LEAST_DRAWS`` draws, or than a hundredth of the total if that is less. The
    total is at least ``draws``.

    Raises
    ------
    ValueError
        If ``draws`` is below the number of sizes, or a vocabulary size is below 2 or repeated.
    """
    if draws < len(vocabularies) or not vocabularies:
        raise ValueError(
            f"draws is {draws}; required: at least one for each of {len(vocabularies)} vocabularies"
        )
    if min(vocabularies) < 2 or len(set(vocabularies)) != len(vocabularies):
        raise ValueError(
            f"vocabularies are {', '.join(map(str, vocabularies))}; required: distinct, at least 2"
        )
    rates = {size: 1 / (FLAT_COST + size) for size in vocabularies}
    least = max(1, min(LEAST_DRAWS, draws // LEAST_SHARE))
    floored: set[int] = set()
    while True:
        left = draws - least * len(floored)
        rate = sum(rates[size] for size in vocabularies if size not in floored)
        short = {s for s in vocabularies if s not in floored and left * rates[s] / rate < least}
        if not short:
            break
        floored |= short
    return {
        size: least if size in floored else int(np.ceil(left * rates[size] / rate)) for size in vocabularies
    }


def blocks(allotment: dict[int, int]) -> list[Block]:
    """All blocks of an allotment, the most expensive vocabulary first so that workers finish together."""
    cut = []
    for vocabulary, rows in sorted(allotment.items(), reverse=True):
        units = -(-rows // unit_rows(vocabulary))
        step = max(1, BLOCK_COST // ((FLAT_COST + vocabulary) * unit_rows(vocabulary)))
        for first in range(0, units, step):
            cut.append(Block(vocabulary, first, min(first + step, units), rows))
    return cut


def unit_generator(seed: int, vocabulary: int, unit: int) -> np.random.Generator:
    """The counter-based generator of one unit."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence(entropy=seed, spawn_key=(vocabulary, unit)))
    )
