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


def le_cam_pair(dense: ScoredTexts, perturbed: ScoredTexts, level: float = 0.9) -> LeCamPair:
    """Limits of the change of the score from dense *and* perturbed texts, each read by both models (K7 ii).

    Δ = E_M 2 tanh(Λ/2) (f - 1/2) with M = (P + Q)/2 and Λ = log Q/P of the text, whoever wrote it: the values
    lie in [-1, 1] and are small where the models agree. In ``perturbed`` Λ may be +inf.

    Raises
    ------
    ValueError
        If the two have different prompts, only one is listed, or level is outside (0, 1).

    Examples
    --------
    >>> import torch
    >>> texts = ScoredTexts(torch.zeros(40), torch.ones(40), torch.arange(40))
    >>> float(le_cam_pair(texts, texts).change.mean)
    0.0
    """
    if len(dense.counts) != len(perturbed.counts) or dense.listed != perturbed.listed:
        raise ValueError(
            f"perturbed has {len(perturbed.counts)} prompts (listed: {perturbed.listed}); expected those of "
            f"dense, {len(dense.counts)} (listed: {dense.listed})"
        )
    alpha = (1 - check_level(level)) / 2
    columns = [torch.cat([1 + value, 1 - value, value], 1) for value in map(_values, (dense, perturbed))]
    parts = [texts.units(column) for texts, column in zip((dense, perturbed), columns, strict=True)]
    if dense.listed:  # two strata of one half each: the plain mean of all rows must be their mean
        total = sum(len(part) for part in parts)
        rows = torch.cat([part * (total / (2 * len(part))) for part in parts])
    else:
        rows = (parts[0] + parts[1]) / 2
    low, high = lower_limit(rows[:, :2], alpha)
    lower, upper = (low - 1).clamp(max=1), (1 - high).clamp(min=-1)
    squares = [
        texts.units(torch.tanh(texts.log_weights / 2).square().unsqueeze(1)).mean()
        for texts in (dense, perturbed)
    ]
    change = rows[:, 2].mean().clamp(min=lower, max=upper)
    return LeCamPair(Band(change, lower, upper), float(sum(squares) / 2))


def _values(texts: ScoredTexts) -> Tensor:
    return (2 * torch.tanh(texts.log_weights / 2) * (texts.scores - 0.5)).unsqueeze(1)
