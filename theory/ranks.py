"""The processes that torchrun or ``accelerate launch`` started, and what they tell each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

Value = TypeVar("Value")
_PATIENCE = timedelta(days=7)  # a rank waits for the slowest one


@dataclass(frozen=True)
class Ranks:
    """This process is the ``index``-th of ``count`` (from 0)."""

    index: int = 0
    count: int = 1

    def gather(self, value: Value) -> list[Value]:
        """What every rank gives, in their order; all of them must ask."""
        if self.count == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, value)
        return found


def ranks() -> Ranks:
    """All ranks of this run; a single one unless a launcher says otherwise."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    from torch import distributed

    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=_PATIENCE)
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def is_first() -> bool:
    """Whether this process is the one that reports."""
    return os.environ.get("RANK", "0") == "0"
