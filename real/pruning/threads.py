"""One thread, for what must not depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch computes with one thread, so that sums are added in one order on every machine.

    A mask that is decided layer by layer, each on what the pruned layers before it give, is chaotic: other
    last bits of one sum move a few weights, and those move many more. The same seed then gave SparseGPT
    another model, with another score, for another number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
