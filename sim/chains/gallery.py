"""Named chains that each teach one thing about how error accumulates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sim.chains.chain import SoftmaxChain

TOKENS = 4
IMPOSSIBLE = -800.0


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def mixing(noise: float, generator: torch.Generator) -> SoftmaxChain:
    """Every token can follow every token: the chain forgets an error within a few steps."""
    logits = _normal((TOKENS, TOKENS), generator)
    return SoftmaxChain(logits, logits + noise * _normal((TOKENS, TOKENS), generator))


def slow(noise: float, generator: torch.Generator) -> SoftmaxChain:
    """Two topics that are rarely left: an error that changes the topic lasts for hundreds of tokens."""
    topic = torch.arange(TOKENS) * 2 // TOKENS
    logits = _normal((TOKENS, TOKENS), generator) + 6.0 * (topic[:, None] == topic)
    return SoftmaxChain(logits, logits + noise * _normal((TOKENS, TOKENS), generator))


def absorbing(noise: float, generator: torch.Generator) -> SoftmaxChain:
    """The last token means "the answer is wrong" and is never left: exact match, step by step.

    The dense model errs with probability about 0.5 % per token; pruning lowers every other logit by
    ``noise``.
    """
    logits = _normal((TOKENS, TOKENS), generator) / 4
    logits[:, -1] = logits[:, :-1].logsumexp(dim=1) - 5.3
    logits[-1] = IMPOSSIBLE
    logits[-1, -1] = 0.0
    perturbed = logits.clone()
    perturbed[:-1, :-1] -= noise
    return SoftmaxChain(logits, perturbed)


def order_two(noise: float, generator: torch.Generator) -> SoftmaxChain:
    """The next token depends on the last two."""
    shape = (TOKENS**2, TOKENS)
    logits = 2.0 * _normal(shape, generator)
    return SoftmaxChain(logits, logits + noise * _normal(shape, generator))


def swap(noise: float, generator: torch.Generator) -> SoftmaxChain:
    """Two tokens whose logits are exchanged at every step: the worst case at oscillation ``noise`` (W(R))."""
    logits = torch.tensor([[-noise / 2, 0.0]] * 2, dtype=torch.float64)
    return SoftmaxChain(logits, logits.flip(-1))


CHAINS: dict[str, Callable[[float, torch.Generator], SoftmaxChain]] = {
    f.__name__.replace("_", "-"): f for f in (mixing, slow, absorbing, order_two, swap)
}
