"""Measure the drift between two sets of logits in one streamed pass of float64 arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from theory.drift.record import Drift
from theory.drift.rows.apart import apart, apart_columns, apart_sums
from theory.drift.rows.buffers import Arena
from theory.drift.rows.careful import GROUPS, Columns
from theory.drift.rows.doubt import Found
from theory.drift.rows.fast import fast_columns, fast_sums
from theory.drift.rows.logits import LogitRows, logit_rows
from theory.drift.rows.rows import Pair, pairs, row_chunks
from theory.drift.rows.small import LARGEST_STEP, small_columns, small_sums
from theory.drift.rows.sums import ApartSums, FastSums, PairSums, SmallSums
from theory.validation import check_options

Sums = TypeVar("Sums", bound=PairSums)
Chunks = Sequence[tuple[Tensor, PairSums]]


def measure(
    logits: Tensor, perturbed: Tensor, temperature: float = 1.0, options: Tensor | None = None
) -> Drift:
    """Every quantity and statistic of the drift from softmax(logits/T) to softmax(perturbed/T).

    Parameters
    ----------
    logits, perturbed
        Dense and perturbed logits, ``(..., V)``, of any floating dtype; taken as exact real numbers. Tokens
        that are -inf in both have probability zero: everything is about the others, their common support.
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
        If the logits differ in shape, dtype or device, or V = 0; if they are not finite, but for -inf at the
        same places in both; if T is not positive and finite; if ``options`` is empty, repeats an id, leaves
        the vocabulary, or holds no token that can be drawn.
    """
    rows = logit_rows(logits, perturbed, temperature)
    ids = None if options is None else check_options(options, logits.shape[-1]).to(logits.device)
    masses = [_option_mass(side, rows.temperature, ids) for side in (rows.z, rows.z_perturbed)]
    if ids is not None:
        rows = rows.of(ids)
        if rows.suppressed and bool(torch.isneginf(rows.z).all(-1).any()):
            raise ValueError("options holds no token that can be drawn in some row; expected one")
    columns = rows.on_supports(_columns) | {
        "option_mass": masses[0],
        "option_mass_perturbed": masses[1],
        "temperature": torch.full_like(masses[0], rows.temperature),
    }
    names = [field.name for field in dataclasses.fields(Drift)]
    return Drift(**{name: columns[name].reshape(rows.lead) for name in names})


def _columns(rows: LogitRows) -> Columns:
    """The measured columns, each row by the cheapest way that keeps its digits."""
    arena, places = Arena(), torch.arange(len(rows.z), device=rows.z.device)
    chunks = [
        (places[chunk], _sums(pair))
        for chunk, pair in pairs(rows.z, rows.z_perturbed, rows.temperature, arena)
    ]
    vocabulary = rows.z.shape[-1]
    parts = [  # few operations on many rows: single rows are dear to finish
        *_finished(chunks, FastSums, fast_columns, vocabulary),
        *_finished(chunks, ApartSums, apart_columns, vocabulary),
        *_finished(chunks, SmallSums, small_columns, vocabulary),
    ]
    order = torch.cat([at for at, _ in parts]).argsort()
    names = parts[0][1].columns
    columns = {name: torch.cat([found.columns[name] for _, found in parts])[order] for name in names}
    doubtful = torch.cat([found.doubtful for _, found in parts])[order]
    for group, doubted in zip(GROUPS.values(), doubtful.unbind(-1), strict=True):
        _take_anew(columns, group, places[doubted], rows, arena)
    return columns | {"vocabulary": torch.full_like(columns["kl"], vocabulary)}


def _sums(pair: Pair) -> PairSums:
    """What a chunk's columns follow from, on the cheapest way that serves all of its rows."""
    centred = pair.centred_delta()
    x = centred.x
    if x.numel() and max(-centred.least.min().item(), centred.most.max().item()) <= LARGEST_STEP:
        return small_sums(pair, x)
    growth = pair.arena.like(x)
    sums = fast_sums(pair, centred, growth)
    return apart_sums(pair, x, growth, sums) if bool(apart(sums).any()) else sums


def _finished(
    chunks: Chunks, kind: type[Sums], finish: Callable[[Sums, int], Found], vocabulary: int
) -> Iterator[tuple[Tensor, Found]]:
    """Places ``(rows,)`` and columns of all rows whose sums are of one kind; nothing where there are none."""
    mine = [(at, sums) for at, sums in chunks if type(sums) is kind]
    if mine:
        yield torch.cat([at for at, _ in mine]), finish(kind.cat([sums for _, sums in mine]), vocabulary)


def _take_anew(
    columns: Columns, group: Callable[[Pair], Columns], places: Tensor, rows: LogitRows, arena: Arena
) -> None:
    """Overwrite the columns of a group at some rows by the careful way."""
    if not len(places):
        return
    for some in row_chunks(rows.z[: len(places)]):
        at = places[some]
        for _, pair in pairs(rows.z[at], rows.z_perturbed[at], rows.temperature, arena):
            for name, values in group(pair).items():
                columns[name][at] = values


def _option_mass(z: Tensor, temperature: float, ids: Tensor | None) -> Tensor:
    if ids is None:
        return torch.ones(z.shape[0], dtype=torch.float64, device=z.device)
    parts = []
    for rows in row_chunks(z):
        y = z[rows].double()
        weights = torch.exp((y - y.amax(-1, keepdim=True)) / temperature)
        parts.append(weights[:, ids].sum(-1) / weights.sum(-1))
    return torch.cat(parts)
