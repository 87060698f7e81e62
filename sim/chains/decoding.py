"""Monte-Carlo decoding of two chains at once: how much the shared randomness matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.chains.chain import SoftmaxChain
from theory.arrays import Array
from theory.names import lookup

Tokens = NDArray[np.int64]
Coupling = Callable[[np.random.Generator, Array, Array], tuple[Tokens, Tokens]]


def _inverse_cdf(uniforms: Array, probabilities: Array) -> Tokens:
    cumulative = probabilities.cumsum(axis=1)
    index: Tokens = (uniforms[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    return index


def independent(rng: np.random.Generator, p: Array, q: Array) -> tuple[Tokens, Tokens]:
    """Each model has its own randomness."""
    return _inverse_cdf(rng.random(len(p)), p), _inverse_cdf(rng.random(len(q)), q)


def shared_gumbel(rng: np.random.Generator, p: Array, q: Array) -> tuple[Tokens, Tokens]:
    """Equal seeds: both models take the argmax of log-probability plus the same Gumbel noise (G11)."""
    noise = -np.log(rng.standard_exponential(p.shape))
    with np.errstate(divide="ignore"):
        return (np.log(p) + noise).argmax(axis=1), (np.log(q) + noise).argmax(axis=1)


def shared_uniform(rng: np.random.Generator, p: Array, q: Array) -> tuple[Tokens, Tokens]:
    """One uniform through both inverse distribution functions: the unsafe way to share randomness (G12)."""
    uniforms = rng.random(len(p))
    return _inverse_cdf(uniforms, p), _inverse_cdf(uniforms, q)


def maximal(rng: np.random.Generator, p: Array, q: Array) -> tuple[Tokens, Tokens]:
    """Stepwise maximal coupling, the rule of speculative decoding: keep x with probability min(1, q/p)."""
    x = _inverse_cdf(rng.random(len(p)), p)
    everyone = np.arange(len(p))
    kept = rng.random(len(p)) * p[everyone, x] < q[everyone, x]
    residual = np.maximum(q - p, 0.0)
    return x, np.where(kept, x, _inverse_cdf(rng.random(len(p)), residual))


COUPLINGS: dict[str, Coupling] = {
    f.__name__.replace("_", "-"): f for f in (independent, shared_uniform, shared_gumbel, maximal)
}


@dataclass(frozen=True)
class Decoded:
    """Token sequences of both models, shape ``(samples, steps)``."""

    dense: Tokens
    perturbed: Tokens

    def identical_prefix(self) -> Tokens:
        """Length of the common prefix of each pair, shape ``(samples,)``."""
        lengths: Tokens = np.cumprod(self.dense == self.perturbed, axis=1).sum(axis=1)
        return lengths

    def survival(self) -> Array:
        """Share of pairs still identical after n tokens, n = 1 .. steps."""
        alive: Array = (self.identical_prefix()[:, None] > np.arange(self.dense.shape[1])).mean(axis=0)
        return alive


def decode(chain: SoftmaxChain, coupling: str, samples: int, steps: int, rng: np.random.Generator) -> Decoded:
    """Run both models of one chain freely from its start, their randomness joined by ``coupling``.

    Raises
    ------
    ValueError
        If the coupling is unknown or the chain is a batch.
    """
    draw = lookup("coupling", coupling, COUPLINGS)
    if chain.logits.dim() != 2:
        raise ValueError(f"logits have shape {tuple(chain.logits.shape)}; required: one chain (contexts, V)")
    p, q = chain.p.numpy(), chain.q.numpy()
    contexts, vocabulary = p.shape
    dense = np.empty((samples, steps), dtype=np.int64)
    perturbed = np.empty_like(dense)
    context_p = context_q = np.full(samples, chain.start)
    for step in range(steps):
        x, y = draw(rng, p[context_p], q[context_q])
        dense[:, step], perturbed[:, step] = x, y
        context_p = (context_p * vocabulary + x) % contexts
        context_q = (context_q * vocabulary + y) % contexts
    return Decoded(dense, perturbed)
