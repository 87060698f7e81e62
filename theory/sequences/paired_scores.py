"""Comparing the scores of two models from texts of both: the Le Cam pair (K7)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from theory.sequences.betting import lower_limit
from theory.sequences.confidence import Band, check_level
from theory.sequences.scores import ScoredTexts


@dataclass(frozen=True)
class LeCamPair:
    """change: limits of Δ = E_Q f - E_P f, a scalar :class:`Band`. le_cam: estimate of the Vincze-Le Cam
    divergence LC(P, Q) of the texts, between TV² and TV: counting the right answers of both models has a
    variance larger by about 1/LC.
    """

    change: Band
    le_cam: float


def le_cam_pair(
    dense: ScoredTexts, perturbed: ScoredTexts, level: float = 0.9, *, coupled: bool = False
) -> LeCamPair:
    """Limits of the change of the score from dense *and* perturbed texts, each read by both models (K7 ii).

    Δ = E_M 2 tanh(Λ/2) (f - 1/2) with M = (P + Q)/2 and Λ = log Q/P of the text, whoever wrote it: the values
    lie in [-1, 1] and are small where the models agree. In ``perturbed`` Λ may be +inf. ``coupled`` as in
    :func:`le_cam_rows`.

    Raises
    ------
    ValueError
        If the two have different prompts, only one is listed, coupled texts do not belong together, or level
        is outside (0, 1).

    Examples
    --------
    >>> import torch
    >>> texts = ScoredTexts(torch.zeros(40), torch.ones(40), torch.arange(40))
    >>> float(le_cam_pair(texts, texts).change.mean)
    0.0
    """
    alpha = (1 - check_level(level)) / 2
    rows = le_cam_rows(dense, perturbed, coupled=coupled)
    low, high = lower_limit(rows, alpha)
    lower, upper = (low - 1).clamp(max=1), (1 - high).clamp(min=-1)
    squares = [
        texts.units(torch.tanh(texts.log_weights / 2).square().unsqueeze(1)).mean()
        for texts in (dense, perturbed)
    ]
    change = (rows[:, 0].mean() - 1).clamp(min=lower, max=upper)
    return LeCamPair(Band(change, lower, upper), float(sum(squares) / 2))


def le_cam_rows(dense: ScoredTexts, perturbed: ScoredTexts, *, coupled: bool = False) -> Tensor:
    """Independent rows >= 0 of means 1 + Δ and 1 - Δ, ``(rows, 2)``, for :func:`lower_limit` (K7 ii, K4).

    Drawn prompts: one row each, whatever joins the texts of a prompt. Listed prompts: the texts of both
    models, which must be independent; or, ``coupled``, pairs of a text of each (both ran the same race, say),
    the i-th of both on one prompt.

    Raises
    ------
    ValueError
        If the two have different prompts, only one is listed, or coupled texts do not belong together.
    """
    if len(dense.counts) != len(perturbed.counts) or dense.listed != perturbed.listed:
        raise ValueError(
            f"perturbed has {len(perturbed.counts)} prompts (listed: {perturbed.listed}); expected those of "
            f"dense, {len(dense.counts)} (listed: {dense.listed})"
        )
    if coupled and not torch.equal(dense.prompt, perturbed.prompt):
        raise ValueError("coupled texts are of different prompts; expected the i-th of both to be of one")
    columns = [torch.cat([1 + value, 1 - value], 1) for value in map(_values, (dense, perturbed))]
    parts = [texts.units(column) for texts, column in zip((dense, perturbed), columns, strict=True)]
    if coupled or not dense.listed:
        return (parts[0] + parts[1]) / 2
    total = sum(len(part) for part in parts)  # two strata of one half each: the mean of all is their mean
    return torch.cat([part * (total / (2 * len(part))) for part in parts])


def _values(texts: ScoredTexts) -> Tensor:
    return (2 * torch.tanh(texts.log_weights / 2) * (texts.scores - 0.5)).unsqueeze(1)
