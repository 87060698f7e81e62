"""Measure the drift between two sets of logits in one streamed pass of float64 arithmetic."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from theory.drift import Drift
from theory.rows import Arena, Pair, row_chunks
from theory.rows_careful import Columns, careful_rows
from theory.rows_fast import fast_rows
from theory.validation import check_options, check_pair, check_size


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
    arena = Arena()
    blocks = [_block(z[rows], z_perturbed[rows], temperature, ids, arena) for rows in row_chunks(z)]
    names = [field.name for field in dataclasses.fields(Drift)]
    return Drift(**{name: torch.cat([block[name] for block in blocks]).reshape(lead) for name in names})


def _block(z: Tensor, z_perturbed: Tensor, temperature: float, ids: Tensor | None, arena: Arena) -> Columns:
    masses = [_option_mass(t, temperature, ids) for t in (z, z_perturbed)]
    if ids is not None:
        z, z_perturbed = z[:, ids], z_perturbed[:, ids]
    columns = _measured(z, z_perturbed, temperature, arena)
    like = columns["kl"]
    return columns | {
        "option_mass": masses[0],
        "option_mass_perturbed": masses[1],
        "temperature": torch.full_like(like, temperature),
        "vocabulary": torch.full_like(like, z.shape[-1]),
    }


def _measured(z: Tensor, z_perturbed: Tensor, temperature: float, arena: Arena) -> Columns:
    """The fast columns, with careful ones in the rows where fast arithmetic may have lost digits."""
    arena.rewind()
    columns, doubtful = fast_rows(Pair(z, z_perturbed, temperature, arena))
    if bool(doubtful.any()):
        arena.rewind()
        careful = careful_rows(Pair(z[doubtful], z_perturbed[doubtful], temperature, arena))
        for name, values in careful.items():
            columns[name][doubtful] = values
    return columns


def _option_mass(z: Tensor, temperature: float, ids: Tensor | None) -> Tensor:
    if ids is None:
        return torch.ones(z.shape[0], dtype=torch.float64, device=z.device)
    weights = torch.exp((z.double() - z.double().amax(-1, keepdim=True)) / temperature)
    return weights[:, ids].sum(-1) / weights.sum(-1)
