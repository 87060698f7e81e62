"""What a candidate saves: numbers to compute with, bytes to keep, or the time that a token spends in it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch import nn

from real.models.load import LanguageModel
from real.models.save import written
from real.pruning.spec import NofM, Quantise, Sparsify
from real.search.candidates import Candidate
from real.structure.anatomy import Anatomy
from real.structure.part import Part
from real.structure.probe import hooks, probe_tokens
from real.structure.weights import weights

_REPEATS = 3
_TOKENS = 8


def parameters(anatomy: Anatomy, part: Part) -> int:
    """Numbers in the modules of a part that nothing else needs once it is gone."""
    modules: Sequence[nn.Module]
    if part.kind == "block":
        modules = (anatomy.layers[part.layer].module,)
    else:
        modules = anatomy.sublayer(part.kind, part.layer).modules
    return sum(p.numel() for p in {p for module in modules for p in module.parameters()})


def nonzero(anatomy: Anatomy, candidate: Candidate) -> int:
    """Numbers that need not be computed with: of a dropped part all, of a sparse layer the zeros."""
    if isinstance(candidate, Part):
        return parameters(anatomy, candidate)
    return round(_zeros(candidate.step) * _weights(anatomy, candidate))


def packed(anatomy: Anatomy, candidate: Candidate, own: int) -> float:
    """Bytes that a format which packs codes and zeros saves, where a number has ``own`` bytes.

    A rounded weight is as long as its bits; scales are left out. A sparse one keeps what is not zero and one
    bit per weight that says where.
    """
    if isinstance(candidate, Part):
        return own * parameters(anatomy, candidate)
    step = candidate.step
    kept = step.bits / 8 if isinstance(step, Quantise) else (1 - _zeros(step)) * own + 1 / 8
    return max(0.0, own - kept) * _weights(anatomy, candidate)


def _zeros(step: Sparsify | Quantise) -> float:
    if isinstance(step, Quantise):
        return 0.0
    pattern = step.pattern
    return pattern.n / pattern.m if isinstance(pattern, NofM) else pattern.percent / 100


def _weights(anatomy: Anatomy, candidate: Candidate) -> int:
    return sum(matrix.view.numel() for matrix in weights(anatomy, {candidate.layer}))


def seconds(lm: LanguageModel, parts: Sequence[Part]) -> dict[Part, float]:
    """Time of one token in each part while the model writes with a cache: the least of a few runs."""
    found = dict.fromkeys(parts, float("inf"))
    for _ in range(_REPEATS):
        spent: dict[Part, float] = dict.fromkeys(parts, 0.0)
        with hooks(handle for part in parts for handle in _clock(lm.anatomy, part, spent)):
            written(lm.model, probe_tokens(lm.model), _TOKENS)
        found = {part: min(found[part], spent[part] / _TOKENS) for part in parts}
    return found


def _clock(anatomy: Anatomy, part: Part, spent: dict[Part, float]) -> list[Any]:
    if part.kind == "block":
        modules: Sequence[nn.Module] = (anatomy.layers[part.layer].module,)
    else:
        modules = anatomy.sublayer(part.kind, part.layer).modules
    entered = [0.0]

    def start(*_: Any) -> None:
        _wait()
        entered[0] = perf_counter()

    def stop(*_: Any) -> None:
        _wait()
        spent[part] += perf_counter() - entered[0]

    return [h for m in modules for h in (m.register_forward_pre_hook(start), m.register_forward_hook(stop))]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
