"""What pruning buys: time, size and key-value cache, dense beside pruned on the machine at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from real.models.load import LanguageModel
from real.models.save import written
from real.pruning.apply import Applied, pruned
from real.pruning.calibration import Calibration
from real.structure.part import Part
from real.structure.probe import floating_tensors, probe_tokens

_REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """Of one spec.

    write, read: tokens per second, one by one with a cache after ``context`` tokens, and ``context`` tokens
    at once. write_ratio, read_ratio: over the dense model's, timed just before and just after. parameters:
    numbers that are still computed with, those of a repair included. saved_bytes: size of the weights once
    saved; only removed blocks make it smaller. cache: bytes of keys and values per token. cache_unused: of
    these, what dropped attention fills and nobody reads: an engine that leaves it out saves it.
    """

    spec: str
    context: int
    write: float
    read: float
    write_ratio: float
    read_ratio: float
    parameters: int
    saved_bytes: int
    cache: int
    cache_unused: int


def costs(
    lm: LanguageModel,
    specs: Sequence[str],
    context: int = 64,
    tokens: int = 24,
    calibration: Calibration = None,
) -> Iterator[Cost]:
    """Measure each spec; times are the least of a few runs, in memory, where dropped products are left out.

    Raises
    ------
    ValueError
        ``context`` and ``tokens`` are below 1 or exceed the model's context together.
    """
    if min(context, tokens) < 1 or context + tokens > lm.context_length:
        raise ValueError(
            f"context {context} and tokens {tokens} must be positive and fit {lm.context_length}"
        )
    prompt = probe_tokens(lm.model, context)
    before = _times(lm, prompt, tokens)
    layers = cache_bytes(lm, prompt)
    for spec in specs:
        with pruned(lm, spec, calibration) as done:
            during = _times(lm, prompt, tokens)
            parts = list(done.parts)
        after = _times(lm, prompt, tokens)
        dense = [(one + other) / 2 for one, other in zip(before, after, strict=True)]
        gone = {part.layer for part in parts if part.kind == "block"}
        silent = {part.layer for part in parts if part.kind == "attn"}
        yield Cost(
            spec=spec,
            context=context,
            write=tokens / during[0],
            read=context / during[1],
            write_ratio=dense[0] / during[0],
            read_ratio=dense[1] / during[1],
            parameters=_numbers(lm.model) - _dropped(lm, parts) + _brought(done),
            saved_bytes=_saved_bytes(lm, gone) + _beside(done),
            cache=sum(size for layer, size in layers.items() if layer not in gone),
            cache_unused=sum(size for layer, size in layers.items() if layer in silent),
        )
        before = after


def cache_bytes(lm: LanguageModel, prompt: Tensor) -> dict[int, int]:
    """Bytes of keys and values per token of each layer, after ``prompt`` ``(1, T)``; {} without a cache."""
    with torch.no_grad():
        cache: Any = getattr(lm.model(input_ids=prompt, use_cache=True), "past_key_values", None)
    found: dict[int, int] = {}
    for index, layer in enumerate(getattr(cache, "layers", ())):
        kept = [getattr(layer, name, None) for name in ("keys", "values")]
        sizes = [t.numel() * t.element_size() // t.shape[-2] for t in floating_tensors(kept) if t.numel()]
        found[index] = sum(sizes)
    return found


def _times(lm: LanguageModel, prompt: Tensor, tokens: int) -> tuple[float, float]:
    """Seconds to write ``tokens`` after ``prompt``, the prompt's own left out, and to read the prompt."""

    @torch.no_grad()
    def read() -> object:
        return lm.model(input_ids=prompt)

    reading = least(read)
    whole = least(lambda: written(lm.model, prompt, tokens + 1))
    return max(whole - reading, 1e-9), reading


def least(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    found = []
    for _ in range(_REPEATS):
        _wait()
        start = perf_counter()
        run()
        _wait()
        found.append(perf_counter() - start)
    return min(found)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _numbers(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _dropped(lm: LanguageModel, parts: Sequence[Part]) -> int:
    modules: set[nn.Module] = set()
    for part in parts:
        layer = lm.anatomy.layers[part.layer]
        modules |= {layer.module} if part.kind == "block" else set(lm.anatomy.sublayer(*_key(part)).modules)
    return sum(p.numel() for p in {p for module in modules for p in module.parameters()})


def _key(part: Part) -> Any:
    return part.kind, part.layer


def _brought(done: Applied) -> int:
    """Numbers that a repair computes with; maps that are folded into weights are none."""
    return sum(b.numel() for one in done.repaired.substitutes if not one.adds for b in one.buffers())


def _saved_bytes(lm: LanguageModel, gone: set[int]) -> int:
    removed = {p for layer in lm.anatomy.layers if layer.index in gone for p in layer.module.parameters()}
    return sum(p.numel() * p.element_size() for p in lm.model.parameters() if p not in removed)


def _beside(done: Applied) -> int:
    kept = [one for one in done.repaired.substitutes if not one.adds]
    return sum(b.numel() * b.element_size() for one in kept for b in one.buffers())
