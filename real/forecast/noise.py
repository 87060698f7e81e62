"""What half precision alone does to a text: the same weights, evaluated twice, are two functions (K10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from real.forecast.stepwise import DensePass, evaluation_noise
from real.models.load import LanguageModel
from real.tasks.multiple_choice import OptionItem, decisions
from theory import tv_terms


@dataclass(frozen=True)
class NoiseFloor:
    """The dense weights against themselves: the pass that reads its texts, and the evaluation that drew them.

    Estimates. kl_per_token: in nats. sequence_tv: ``(n,)`` over the number of tokens. options: share of
    decisions that change when every question is read alone.
    """

    kl_per_token: float
    sequence_tv: Tensor
    options: float


def noise_floor(
    lm: LanguageModel, sampled: DensePass, items: Sequence[OptionItem], chosen: Tensor
) -> NoiseFloor | None:
    """Measure it on the dense texts and on the options ``chosen``; None where there is next to no noise.

    Every prompt has as many texts as any other.
    """
    noise = evaluation_noise(sampled)
    if noise is None:
        return None
    samples = sampled.samples
    live = torch.arange(samples.horizon) < (samples.lengths - samples.prompt_lengths).unsqueeze(1)
    again = torch.cat([decisions(lm, [item]) for item in items])
    return NoiseFloor(
        # e^r - 1 - r >= 0 has the mean of -r, and far less variance
        kl_per_token=float(((torch.expm1(noise) - noise) * live).sum() / live.sum()),
        sequence_tv=tv_terms(noise).mean(0),
        options=float((again != chosen).double().mean()),
    )
