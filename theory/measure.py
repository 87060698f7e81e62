"""Measure the drift between two sets of logits in one streamed pass of float64 arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from theory.drift import Drift
from theory.rows import Arena, Pair, row_chunks
from theory.rows_careful import GROUPS, Columns
from theory.rows_fast import fast_columns, fast_sums
from theory.rows_small import LARGEST_STEP, small_columns, small_sums
from theory.validation import check_options, check_pair, check_size

# Columns, and the mask of :meth:`theory.rows_fast.Doubt.rows`, from sums over the vocabulary and its size.
Finish = Callable[[Columns, int], tuple[Columns, Tensor]]


def measure(
    logits: Tensor, perturbed: Tensor, temperature: float = 1.0, options: Tensor | None = None
) -> Drift:
    """Every quantity and statistic of the drift from softmax(logits/T) to softmax(perturbed/T).

    Parameters
    ----------
    logits, perturbed
        Dense and perturbed logits, ``(..., V)``, of any floating dtype; taken as exact real numbers.
    temperature
        T > 0.
    options
        Distinct token ids ``(k,)``. If given, everything is about the two distributions renormalised on them.

    Returns
    -------
    Drift
        Float64 columns of shape ``(...)``. Against itself a model has exactly zero drift.

    Raises
    ------
    ValueError
        If the logits differ in shape, dtype or device, are not finite, or V = 0; if T is not positive and
        finite; if ``options`` is empty, repeats an id, or leaves the vocabulary.
    """
    check_pair("logits", logits, "perturbed", perturbed)
    temperature = check_size(temperature, logits, perturbed)
    ids = None if options is None else check_options(options, logits.shape[-1]).to(logits.device)
    lead, vocabulary = logits.shape[:-1], logits.shape[-1]
    z, z_perturbed = (t.detach().reshape(-1, vocabulary) for t in (logits, perturbed))
    masses = [
        torch.cat([_option_mass(side[rows], temperature, ids) for rows in row_chunks(side)])
        for side in (z, z_perturbed)
    ]
    if ids is not None:
        z, z_perturbed = z[:, ids], z_perturbed[:, ids]
    columns = _columns(z, z_perturbed, temperature)
    columns |= {
        "option_mass": masses[0],
        "option_mass_perturbed": masses[1],
        "temperature": torch.full_like(masses[0], temperature),
        "vocabulary": torch.full_like(masses[0], z.shape[-1]),
    }
    names = [field.name for field in dataclasses.fields(Drift)]
    return Drift(**{name: columns[name].reshape(lead) for name in names})


def _columns(z: Tensor, z_perturbed: Tensor, temperature: float) -> Columns:
    """The measured columns of ``(rows, V)`` logits, each row by the cheapest way that keeps its digits."""
    arena = Arena()
    ways: dict[Finish, list[tuple[slice, Columns]]] = {fast_columns: [], small_columns: []}
    for rows in row_chunks(z):
        arena.rewind()
        pair = Pair(z[rows], z_perturbed[rows], temperature, arena)
        x = pair.centred_delta()
        extremes = x.amin(-1), x.amax(-1)
        if x.numel() and max(-extremes[0].min().item(), extremes[1].max().item()) <= LARGEST_STEP:
            ways[small_columns].append((rows, small_sums(pair, x)))
        else:
            ways[fast_columns].append((rows, fast_sums(pair, x, extremes)))
    places = torch.arange(z.shape[0], device=z.device)
    parts = [_finished(finish, parts, places, z.shape[-1]) for finish, parts in ways.items() if parts]
    order = torch.cat([at for at, _ in parts]).argsort()
    columns = {name: torch.cat([part[name] for _, part in parts])[order] for name in parts[0][1]}
    for group, doubtful in zip(GROUPS.values(), columns.pop("doubtful").unbind(-1), strict=True):
        places = doubtful.nonzero().squeeze(-1)
        for rows in row_chunks(z[: len(places)]) if len(places) else ():
            arena.rewind()
            at = places[rows]
            for name, values in group(Pair(z[at], z_perturbed[at], temperature, arena)).items():
                columns[name][at] = values
    return columns


def _finished(
    finish: Finish, chunks: list[tuple[slice, Columns]], places: Tensor, vocabulary: int
) -> tuple[Tensor, Columns]:
    """The rows of these chunks and their columns, with the mask of what is doubtful as one more."""
    sums = {name: torch.cat([part[name] for _, part in chunks]) for name in chunks[0][1]}
    columns, doubtful = finish(sums, vocabulary)
    return torch.cat([places[rows] for rows, _ in chunks]), columns | {"doubtful": doubtful}


def _option_mass(z: Tensor, temperature: float, ids: Tensor | None) -> Tensor:
    if ids is None:
        return torch.ones(z.shape[0], dtype=torch.float64, device=z.device)
    weights = torch.exp((z.double() - z.double().amax(-1, keepdim=True)) / temperature)
    return weights[:, ids].sum(-1) / weights.sum(-1)
