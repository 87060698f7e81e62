"""Chosen positions of a batch of tokens, and the values measured there."""

from __future__ import annotations

import torch
from torch import LongTensor, Tensor


def chosen_positions(tokens: Tensor, positions: Tensor | None) -> Tensor:
    """Boolean ``(B * T,)``."""
    if positions is None:
        return torch.ones(tokens.numel(), dtype=torch.bool)
    if positions.shape != tokens.shape or positions.dtype != torch.bool:
        raise ValueError(
            f"positions must be boolean of the tokens' shape {tuple(tokens.shape)}, "
            f"got {positions.dtype} {tuple(positions.shape)}"
        )
    return positions.reshape(-1).cpu()


def following_tokens(tokens: Tensor) -> LongTensor:
    """The token after each position, flattened; the last position has none: token 0, cut off later."""
    shifted = torch.zeros_like(tokens)
    shifted[:, :-1] = tokens[:, 1:]
    return shifted.reshape(-1)  # type: ignore[return-value]


def spread(values: Tensor, chosen: Tensor, tokens: Tensor, empty: float) -> Tensor:
    """Put values of the chosen positions back into ``(B, T)``."""
    full = torch.full((tokens.numel(),), empty, dtype=values.dtype)
    full[chosen] = values
    return full.reshape(tokens.shape)
