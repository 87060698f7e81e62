"""Dense and perturbed logits as a caller gives them, checked and laid out as rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from theory.validation import check_pair, check_size


class LogitRows(NamedTuple):
    """Checked logits ``(rows, V)`` of the dense and the perturbed model, T, and the leading shape."""

    z: Tensor
    z_perturbed: Tensor
    temperature: float
    lead: torch.Size


def logit_rows(logits: Tensor, perturbed: Tensor, temperature: float) -> LogitRows:
    """Rows of two sets of logits ``(..., V)``.

    Raises
    ------
    ValueError
        If the logits differ in shape, dtype or device, are not finite, or V = 0; if T is not positive and
        finite.
    """
    check_pair("logits", logits, "perturbed", perturbed)
    temperature = check_size(temperature, logits, perturbed)
    z, z_perturbed = (side.detach().reshape(-1, logits.shape[-1]) for side in (logits, perturbed))
    return LogitRows(z, z_perturbed, temperature, logits.shape[:-1])
