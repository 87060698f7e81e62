"""Dense and perturbed logits as a caller gives them, checked and laid out as rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from theory.validation import check_alike, check_logits, check_size

Columns = dict[str, Tensor]


class LogitRows(NamedTuple):
    """Checked logits ``(rows, V)`` of the dense and the perturbed model, T, and the leading shape.

    ``suppressed`` says whether some are -inf, at the same places in both: tokens of probability zero.
    """

    z: Tensor
    z_perturbed: Tensor
    temperature: float
    lead: torch.Size
    suppressed: bool

    def of(self, tokens: Tensor) -> LogitRows:
        """The same rows of some tokens."""
        return self._replace(z=self.z[:, tokens], z_perturbed=self.z_perturbed[:, tokens])

    def on_supports(self, act: Callable[[LogitRows], Columns]) -> Columns:
        """What ``act`` returns for all rows, each with the tokens of its support only."""
        if not self.suppressed:
            return act(self)
        masks, group = torch.unique(torch.isneginf(self.z), dim=0, return_inverse=True)
        places = [(group == number).nonzero().squeeze(-1) for number in range(len(masks))]
        alike = zip(places, masks, strict=True)
        parts = [act(self.rows(at).of((~mask).nonzero().squeeze(-1))) for at, mask in alike]
        order = torch.cat(places).argsort()
        return {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}

    def rows(self, places: Tensor) -> LogitRows:
        """Some of the rows."""
        return self._replace(z=self.z[places], z_perturbed=self.z_perturbed[places], suppressed=False)


def logit_rows(logits: Tensor, perturbed: Tensor, temperature: float) -> LogitRows:
    """Rows of two sets of logits ``(..., V)``.

    Raises
    ------
    ValueError
        If the logits differ in shape, dtype or device, or V = 0; if they are not finite, but for -inf at the
        same places in both; if T is not positive and finite.
    """
    check_alike("logits", logits, "perturbed", perturbed)
    suppressed = [check_logits(name, side) for name, side in (("logits", logits), ("perturbed", perturbed))]
    if any(suppressed) and not torch.isneginf(logits).equal(torch.isneginf(perturbed)):
        raise ValueError("perturbed is -inf at other places than logits; expected the same suppressed tokens")
    temperature = check_size(temperature, logits, perturbed)
    z, z_perturbed = (side.detach().reshape(-1, logits.shape[-1]) for side in (logits, perturbed))
    return LogitRows(z, z_perturbed, temperature, logits.shape[:-1], any(suppressed))
