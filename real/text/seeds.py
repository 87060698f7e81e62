"""Random numbers from a seed, never from global state."""

from __future__ import annotations

import torch

_END = 1 << 63
_DISTINCT_STREAMS = 1_000_003  # rows of one seed and rows of the next must not share generators


def check_seed(seed: int) -> int:
    """``seed``, if generators take it.

    Raises
    ------
    ValueError
        It is negative or 2^63 or more.
    """
    if not 0 <= seed < _END:
        raise ValueError(f"seed must be between 0 and 2^63 - 1, got {seed}")
    return seed


def generator(seed: int) -> torch.Generator:
    """The random numbers of ``seed``."""
    return torch.Generator().manual_seed(check_seed(seed))


def row_generator(seed: int, row: int) -> torch.Generator:
    """The random numbers of one row among many of one seed."""
    return torch.Generator().manual_seed((check_seed(seed) * _DISTINCT_STREAMS + row) % _END)
