"""Speculative decoding with the perturbed model as the draft: how often its tokens are accepted (G6, J4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from theory.drift.measure import measure
from theory.validation import check_pair, check_size


def acceptance(logits: Tensor, draft: Tensor, temperatures: Sequence[float]) -> Tensor:
    """Chance ``1 - TV`` that a drafted token is accepted, at each temperature (G6).

    Float64 ``(..., len(temperatures))`` of logits ``(..., V)``. It tends to 1 as T grows and to "same
    argmax" as T falls, but not monotonically (J4).
    """
    return torch.stack([1 - measure(logits, draft, float(T)).tv for T in temperatures], dim=-1)


def tokens_per_call(survival: Tensor) -> Tensor:
    """Expected tokens from one call of the large model that checks a block of k drafted tokens (G6).

    Parameters
    ----------
    survival
        ``S_1 .. S_n``, ``(..., n)``: k drafted tokens are all accepted exactly as often as k coupled tokens
        agree (G2). For independent steps with one acceptance rate ``S_k = a^k``.

    Returns
    -------
    ``1 + S_1 + .. + S_k`` for k = 0 .. n, float64 ``(..., n + 1)``; the large model always adds one token.
    """
    accepted = survival.double().cumsum(-1)
    return torch.cat([torch.ones_like(accepted[..., :1]), 1 + accepted], dim=-1)


def draft_temperature(logits: Tensor, draft: Tensor, temperature: float = 1.0) -> Tensor:
    """Draft temperature that minimises KL(p||q), p = softmax(logits/temperature); float64 ``(...)`` (J4).

    With q proportional to ``e^(b z')`` the divergence is convex in b and stationary where ``E_q z' = E_p
    z'``. That root is unique; it is bracketed by doubling or halving and bisected to the last bit. Infinite
    where b would not be positive: the draft's logits are no larger on average under p than under the uniform
    law.
    """
    check_pair("logits", logits, "draft", draft)
    temperature = check_size(temperature, logits)
    p = torch.softmax(logits.detach().double() / temperature, -1)
    z = draft.detach().double()
    z = z - z.amax(-1, keepdim=True)
    goal = (p * z).sum(-1)

    def too_flat(inverse: Tensor) -> Tensor:
        return (torch.softmax(inverse.unsqueeze(-1) * z, -1) * z).sum(-1) < goal

    helps, high = too_flat(torch.zeros_like(goal)), torch.ones_like(goal)
    while bool((grow := helps & too_flat(high) & (high < 1e300)).any()):
        high = torch.where(grow, 2 * high, high)
    while bool((fall := helps & ~too_flat(high / 2) & (high > 1e-300)).any()):
        high = torch.where(fall, high / 2, high)
    low = high / 2
    for _ in range(54):  # the bits of a float64 between a number and its double
        middle = (low + high) / 2
        below = too_flat(middle)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return torch.where(helps, 1 / high, torch.inf)
