"""Measure the drift between two sets of logits in one streamed pass of float64 arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from theory.drift.record import Drift
from theory.drift.rows.apart import apart, apart_columns, apart_sums
from theory.drift.rows.careful import GROUPS, Columns
from theory.drift.rows.fast import fast_columns, fast_sums
from theory.drift.rows.rows import Arena, pairs, row_chunks
from theory.drift.rows.small import LARGEST_STEP, small_columns, small_sums
from theory.validation import check_options, check_pair, check_size

# Columns, and the mask of :meth:`theory.drift.rows.fast.Doubt.rows`, from sums over the vocabulary and its
# size.
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
    masses = [_option_mass(side, temperature, ids) for side in (z, z_perturbed)]
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
    ways: dict[Finish, list[tuple[slice, Columns]]] = {fast_columns: [], apart_columns: [], small_columns: []}
    for rows, pair in pairs(z, z_perturbed, temperature, arena):
        x, least, most = centred = pair.centred_delta()
        if x.numel() and max(-least.min().item(), most.max().item()) <= LARGEST_STEP:
            ways[small_columns].append((rows, small_sums(pair, x)))
        else:
            growth = arena.like(x)
            sums = fast_sums(pair, centred, growth)
            if bool(apart(sums).any()):
                ways[apart_columns].append((rows, apart_sums(pair, x, growth, sums)))
            else:
                ways[fast_columns].append((rows, sums))
    places = torch.arange(z.shape[0], device=z.device)
    parts = [_finished(finish, parts, places, z.shape[-1]) for finish, parts in ways.items() if parts]
    order = torch.cat([at for at, _ in parts]).argsort()
    columns = {name: torch.cat([part[name] for _, part in parts])[order] for name in parts[0][1]}
    for group, doubtful in zip(GROUPS.values(), columns.pop("doubtful").unbind(-1), strict=True):
        places = doubtful.nonzero().squeeze(-1)
        for rows in row_chunks(z[: len(places)]) if len(places) else ():
            at = places[rows]
            for _, pair in pairs(z[at], z_perturbed[at], temperature, arena):
                for name, values in group(pair).items():
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
    parts = []
    for rows in row_chunks(z):
        y = z[rows].double()
        weights = torch.exp((y - y.amax(-1, keepdim=True)) / temperature)
        parts.append(weights[:, ids].sum(-1) / weights.sum(-1))
    return torch.cat(parts)
