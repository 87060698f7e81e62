"""Apply a weight method (magnitude, Wanda, SparseGPT, rounding) to every matrix inside the layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from real.pruning.magnitude import magnitude_mask
from real.pruning.quantise import round_to_nearest
from real.pruning.sparsegpt import DAMPING, Hessian, inverse_factor, solve
from real.pruning.spec import Quantise, Sparsify, SpecError
from real.pruning.wanda import InputNorms, wanda_mask
from real.structure.anatomy import Anatomy
from real.structure.matrices import Matrix, experts_one_by_one
from real.structure.walk import InputStatistics, Walk
from real.structure.weights import Weights, weights
from theory.terminal.console import say, track

Keep = Callable[[Tensor], None]


@torch.no_grad()
def quantise(anatomy: Anatomy, step: Quantise, keep: Keep) -> dict[str, Any]:
    """Round every matrix; ``keep`` sees each parameter before it changes. Returns facts for the record."""
    found = _weights(anatomy, step)
    for matrix in track(list(found), str(step)):
        keep(matrix.parameter)
        matrix.view.copy_(round_to_nearest(matrix.view, step.bits))
    return _left(found)


@torch.no_grad()
def sparsify(anatomy: Anatomy, step: Sparsify, tokens: Tensor | None, keep: Keep) -> dict[str, Any]:
    """Zero weights of every matrix; ``tokens`` (N, T) calibrate Wanda and SparseGPT.

    Returns facts for the record: sparsity of these matrices as measured afterwards, what was left as it is,
    matrices that no calibration token reached, and for SparseGPT the largest damping that a Hessian needed.
    """
    found = _weights(anatomy, step)
    matrices = list(found)
    _check_pattern(matrices, step)
    facts: dict[str, Any] = {}
    if step.method == "magnitude":
        for matrix in track(matrices, str(step)):
            keep(matrix.parameter)
            matrix.view.masked_fill_(magnitude_mask(matrix.view, step.pattern), 0)
    else:
        assert tokens is not None
        facts = _calibrated(anatomy, found, step, tokens, keep)
    zeros = sum(int((matrix.view == 0).sum()) for matrix in matrices)
    total = sum(matrix.view.numel() for matrix in matrices)
    return facts | _left(found) | {"sparsity": zeros / total if total else 0.0}


def _weights(anatomy: Anatomy, step: Quantise | Sparsify) -> Weights:
    """Of the layers that the step is about."""
    count = len(anatomy.need_layers())
    if beyond := [layer for layer in step.layers or () if layer >= count]:
        raise SpecError(f"spec {str(step)!r}: no layer {beyond[0]}; the model has layers 0 to {count - 1}")
    return weights(anatomy, step.layers)


def _left(found: Weights) -> dict[str, Any]:
    """Weights inside the layers that were not touched: routers, convolutions, what multiplies nothing."""
    if not found.left:
        return {}
    pruned = sum(matrix.view.numel() for matrix in found)
    left = sum(found.left.values())
    return {"left": found.left, "left_share": left / (left + pruned)}


def _check_pattern(matrices: list[Matrix], step: Sparsify) -> None:
    """Fail before any weight has changed, not in the middle."""
    group = getattr(step.pattern, "m", 1)
    odd = [matrix for matrix in matrices if matrix.view.shape[1] % group]
    if odd:
        raise ValueError(
            f"spec {str(step)!r}: {odd[0].name} has {odd[0].view.shape[1]} inputs, not a multiple of {group}"
        )


def _calibrated(
    anatomy: Anatomy, found: Weights, step: Sparsify, tokens: Tensor, keep: Keep
) -> dict[str, Any]:
    unseen: list[str] = []
    dampings: dict[str, float] = {}
    with experts_one_by_one(anatomy.model):
        walk = Walk(anatomy, tokens)
        for layer in track(walk.layers(), str(step), total=len(anatomy.layers)):
            if not any(found.matrices[layer.index :]):
                break
            if not (matrices := list(found.matrices[layer.index])):
                continue
            for matrix in matrices:
                keep(matrix.parameter)
            if step.method == "wanda":
                _wanda(walk.observe(layer, matrices, InputNorms), matrices, step, unseen)
            else:
                _sparsegpt(walk.observe(layer, matrices, Hessian), matrices, step, unseen, dampings)
    return _report(unseen, dampings, step)


def _wanda(
    statistics: InputStatistics[InputNorms], matrices: list[Matrix], step: Sparsify, unseen: list[str]
) -> None:
    for matrix in matrices:
        statistic = statistics.get(matrix)
        if statistic is None:
            _by_magnitude(matrix, step, unseen)
        else:
            matrix.view.masked_fill_(wanda_mask(matrix.view, statistic.norms, step.pattern), 0)


def _sparsegpt(
    statistics: InputStatistics[Hessian],
    matrices: list[Matrix],
    step: Sparsify,
    unseen: list[str],
    dampings: dict[str, float],
) -> None:
    factored: dict[int, tuple[Tensor, tuple[Tensor, float]]] = {}  # by input: some matrices share theirs
    for matrix in matrices:
        statistic = statistics.get(matrix)
        if statistic is None:
            _by_magnitude(matrix, step, unseen)
            continue
        if id(statistic) not in factored:
            hessian = statistic.matrix
            factored[id(statistic)] = hessian, inverse_factor(hessian)
        solved = solve(matrix.view, *factored[id(statistic)], step.pattern)
        matrix.view.copy_(solved.weight)
        if solved.damping != DAMPING:
            dampings[matrix.name] = solved.damping


def _by_magnitude(matrix: Matrix, step: Sparsify, unseen: list[str]) -> None:
    """An expert that no calibration token chose has no statistics; its own weights are all there is."""
    unseen.append(matrix.name)
    matrix.view.masked_fill_(magnitude_mask(matrix.view, step.pattern), 0)


def _report(unseen: list[str], dampings: dict[str, float], step: Sparsify) -> dict[str, Any]:
    """Say what calibration could not do; it is in the record as well."""
    facts: dict[str, Any] = {}
    if unseen:
        say(f"{step}: no calibration token reached {len(unseen)} matrices, cut by magnitude: {unseen[0]} …")
        facts["unseen"] = unseen
    if dampings:
        worst = max(dampings, key=dampings.__getitem__)
        least = f"{dampings[worst]:g} x mean diagonal"
        say(f"{step}: {worst} needs more damping for a positive definite Hessian: {least}")
        facts["damping"] = dampings
    return facts
