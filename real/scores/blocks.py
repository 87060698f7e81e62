"""Work on questions, block by block: what is done is kept, and every block is done by one of the ranks.

Blocks are fixed by the task alone. So a run that is interrupted and started again, or spread over the ranks
of torchrun, computes the same batches, and its numbers are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.models.load import LanguageModel
from theory.fingerprint import fingerprint
from theory.ranks import ranks
from theory.terminal.console import track

BLOCK = 32  # questions
_LIBRARIES = ("torch", "transformers", "tokenizers")

Part = dict[str, tuple[Tensor, ...]]
"""What one block says, by name; of several blocks the tensors are joined."""


def identity(lm: LanguageModel, made_by: str, *settings: Any) -> str:
    """Name of all that a model's numbers depend on beside the questions: content, code, libraries, device."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return content_key([lm.content, settings, lm.device.type, libraries, fingerprint(made_by)])


def in_blocks(
    facts: Sequence[Any],
    make: Callable[[int], Any],
    description: str,
    folder: Path | None = None,
) -> tuple[list[Any], float]:
    """``make(index)``, a JSON value, for every block, and the seconds that all of them took when made.

    facts: of each block, all that its value depends on. folder: where values are kept (default: the cache).
    """
    folder, world = folder or cache_folder() / "scores", ranks()
    mine: dict[int, dict[str, Any]] = {}
    for index in track(range(world.index, len(facts), world.count), description):
        place = folder / f"{content_key(facts[index])[:24]}.json"
        record = read_record(place)
        if record is None:
            started = perf_counter()
            value = make(index)
            record = {"value": value, "seconds": perf_counter() - started}
            write_record(place, record)
        mine[index] = record
    whole: dict[int, dict[str, Any]] = {}
    for some in world.gather(mine):
        whole |= some
    return [whole[index]["value"] for index in range(len(facts))], sum(
        float(one["seconds"]) for one in whole.values()
    )


def ranges(start: int, end: int, size: int = BLOCK) -> list[tuple[int, int]]:
    """Questions ``start`` to ``end``, cut at multiples of ``size``."""
    cuts = [start, *range((start // size + 1) * size, end, size), end]
    return list(pairwise(cuts))


def as_json(part: Part) -> dict[str, list[list[float]]]:
    """Tensors as lists; every bit of a double survives."""
    return {name: [tensor.tolist() for tensor in tensors] for name, tensors in part.items()}


def from_json(found: dict[str, list[list[float]]]) -> Part:
    """The tensors that :func:`as_json` wrote: int64 or float64."""
    return {
        name: tuple(torch.from_numpy(np.asarray(values)) for values in tensors)
        for name, tensors in found.items()
    }
