"""Greedy decoding: the prefix of the dense model's text that the perturbed model is certain to repeat (G10).

Until the first differing token both models read the same prefix, so everything is decided on the dense
model's own greedy text. ``theory.sequences.survival.first_divergence`` gives the exact answer from both
argmaxes; here it is certified from the size of the perturbation alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def certified_prefix(margin: Tensor, oscillation: Tensor) -> Tensor:
    """Number of leading steps at which ``margin > oscillation``, so that the token cannot change (G10).

    Parameters
    ----------
    margin, oscillation
        ``(..., n)`` along the dense greedy text, in the same unit (as in ``Drift``). To certify in spite of
        rounding pass the lower end of the margin's enclosure and the upper end of the oscillation's. NaN
        certifies nothing.

    Returns
    -------
    int64 ``(...)``, from 0 to n.
    """
    if margin.shape != oscillation.shape or margin.ndim == 0:
        raise ValueError(
            f"oscillation has shape {tuple(oscillation.shape)}; expected that of margin, "
            f"{tuple(margin.shape)}, with at least one axis"
        )
    return (margin > oscillation).to(torch.int64).cumprod(-1).sum(-1)
