"""A dense and a perturbed softmax Markov chain over the same tokens, solved exactly.

The context of order ``k`` is the last ``k`` tokens, coded in base ``V`` with the oldest token leading. All
sequences start in one context, so step 1 is drawn from that context's row. Everything is float64; leading
axes of the logits are a batch of independent chains. Spectra, contraction and stationary laws of one chain
are in ``theory.sequences.markov``; ``matrices`` makes its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from theory.arrays import Array

MAX_STATES = 4096


@dataclass(frozen=True)
class SoftmaxChain:
    """Two autoregressive models with ``V`` tokens and order ``k``, given by their logits.

    Attributes
    ----------
    logits, perturbed
        Dense and perturbed next-token logits, shape ``(..., V**k, V)``; row = context.
    temperature
        Softmax temperature, positive.
    start
        Index of the context in which every sequence starts.
    """

    logits: Tensor
    perturbed: Tensor
    temperature: float = 1.0
    start: int = 0

    def __post_init__(self) -> None:
        if self.logits.shape != self.perturbed.shape or self.logits.dim() < 2:
            raise ValueError(
                f"logits {tuple(self.logits.shape)} and perturbed {tuple(self.perturbed.shape)}: "
                "required: one shape (..., contexts, V)"
            )
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; required: a positive number")
        contexts, vocabulary = self.logits.shape[-2:]
        if vocabulary < 2 or vocabulary**self.order != contexts:
            raise ValueError(f"{contexts} contexts of {vocabulary} tokens; required: contexts = V**k, V >= 2")
        if contexts > MAX_STATES:
            raise ValueError(f"contexts is {contexts}; required: at most {MAX_STATES} for dense algebra")
        if not 0 <= self.start < contexts:
            raise ValueError(f"start is {self.start}; required: a context between 0 and {contexts - 1}")

    @property
    def vocabulary(self) -> int:
        """Number of tokens ``V``."""
        return self.logits.shape[-1]

    @property
    def order(self) -> int:
        """Number of tokens ``k`` that a context remembers."""
        order, states = 1, self.vocabulary
        while states < self.logits.shape[-2]:
            order, states = order + 1, states * self.vocabulary
        return order

    @cached_property
    def log_p(self) -> Tensor:
        """Logarithms of the dense transition probabilities, shape of ``logits``."""
        return torch.log_softmax(self.logits.double() / self.temperature, dim=-1)

    @cached_property
    def log_q(self) -> Tensor:
        """Logarithms of the perturbed transition probabilities, shape of ``logits``."""
        return torch.log_softmax(self.perturbed.double() / self.temperature, dim=-1)

    @cached_property
    def p(self) -> Tensor:
        """Dense transition probabilities, shape of ``logits``."""
        return self.log_p.exp()

    @cached_property
    def q(self) -> Tensor:
        """Perturbed transition probabilities, shape of ``logits``."""
        return self.log_q.exp()

    @property
    def log_ratio(self) -> Tensor:
        """``log q - log p`` of every transition, shape of ``logits``."""
        return self.log_q - self.log_p

    def successor(self, context: Tensor, token: Tensor) -> Tensor:
        """Context after ``token`` was appended to ``context``."""
        return (context * self.vocabulary + token) % self.logits.shape[-2]

    def initial(self) -> Tensor:
        """All mass on the start context, shape ``(..., contexts)``."""
        mass = torch.zeros(self.logits.shape[:-1], dtype=torch.float64)
        mass[..., self.start] = 1.0
        return mass

    def push(self, mass: Tensor, kernel: Tensor) -> Tensor:
        """One step of ``mass`` (..., contexts) through a (sub-)stochastic ``kernel`` (..., contexts, V)."""
        moved = mass[..., None] * kernel
        lead, (contexts, vocabulary) = kernel.shape[:-2], kernel.shape[-2:]
        by_oldest = moved.reshape(*lead, vocabulary, contexts // vocabulary, vocabulary)
        return by_oldest.sum(dim=-3).flatten(-2)

    def masses(self, kernel: Tensor, steps: int) -> Tensor:
        """Context masses after 0 .. ``steps`` tokens, shape ``(steps + 1, ..., contexts)``."""
        visited = [self.initial()]
        for _ in range(steps):
            visited.append(self.push(visited[-1], kernel))
        return torch.stack(visited)

    def _along_dense(self, per_context: Tensor, steps: int) -> Tensor:
        return (self.masses(self.p, steps - 1) * per_context).sum(dim=-1)

    def _surviving(self, kernel: Tensor, steps: int) -> Tensor:
        return self.masses(kernel, steps)[1:].sum(dim=-1)

    def marginal_tv(self, steps: int) -> Tensor:
        """Exact TV of the two context laws after 1 .. ``steps`` tokens, shape ``(steps, ...)`` (G7)."""
        difference = self.masses(self.q, steps) - self.masses(self.p, steps)
        return difference[1:].abs().sum(dim=-1) / 2

    def step_kl(self, steps: int) -> Tensor:
        """Teacher-forced mean ``KL(p_t||q_t)`` at each step, nats, shape ``(steps, ...)``."""
        return self._along_dense(-(self.p * self.log_ratio).sum(dim=-1), steps)

    def path_kl(self, steps: int) -> Tensor:
        """Exact ``KL(P_n||Q_n)`` of whole sequences, n = 1 .. ``steps``, nats (chain rule, G1)."""
        return self.step_kl(steps).cumsum(dim=0)

    def step_tv(self, steps: int) -> Tensor:
        """Teacher-forced mean total variation at each step, shape ``(steps, ...)``."""
        return self._along_dense((self.p - self.q).abs().sum(dim=-1) / 2, steps)

    def path_bc(self, steps: int) -> Tensor:
        """Exact Bhattacharyya coefficient of whole sequences, n = 1 .. ``steps``."""
        return self._surviving((self.p * self.q).sqrt(), steps)

    def survival(self, steps: int) -> Tensor:
        """``S_n``: the largest causal probability of identical prefixes, n = 1 .. ``steps`` (G2)."""
        return self._surviving(torch.minimum(self.p, self.q), steps)

    def gumbel_kernel(self) -> Tensor:
        """Probability that shared-Gumbel sampling emits token i in both models, shape of ``logits`` (G11).

        It is ``1 / sum_j max(p_j/p_i, q_j/q_i)``; quadratic in ``V``.
        """
        log_p, log_q = self.log_p[..., None, :], self.log_q[..., None, :]
        ratio = torch.maximum(log_p - log_p.mT, log_q - log_q.mT)
        return torch.exp(-torch.logsumexp(ratio, dim=-1))

    def gumbel_survival(self, steps: int) -> Tensor:
        """Exact probability of identical prefixes under shared Gumbel noise, n = 1 .. ``steps``."""
        return self._surviving(self.gumbel_kernel(), steps)

    def independent_survival(self, steps: int) -> Tensor:
        """Probability of identical prefixes when the two models sample independently."""
        return self._surviving(self.p * self.q, steps)

    def first_divergence(self, steps: int) -> Tensor:
        """P(first differing token = n) under the maximal causal coupling, n = 1 .. ``steps``."""
        survival = self.survival(steps)
        return torch.cat([1 - survival[:1], survival[:-1] - survival[1:]])

    def matrices(self) -> tuple[Array, Array, Array]:
        """Start law and both transition matrices between contexts of one chain: what
        ``theory.sequences.markov`` takes.
        """
        contexts = self.logits.shape[-2]
        if self.logits.dim() != 2:
            raise ValueError(
                f"logits have shape {tuple(self.logits.shape)}; required: one chain (contexts, V)"
            )
        source = torch.arange(contexts)[:, None]
        target = self.successor(source, torch.arange(self.vocabulary))
        lifted = []
        for kernel in (self.p, self.q):
            matrix = torch.zeros(contexts, contexts, dtype=torch.float64)
            matrix[source, target] = kernel
            lifted.append(matrix.numpy())
        return self.initial().numpy(), lifted[0], lifted[1]

    def free_running(self, discrepancy: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """The mixture law G8 under the stepwise maximal coupling (residuals drawn independently), order 1.

        Parameters
        ----------
        discrepancy
            ``D(x, y)`` between the dense model in context x and the perturbed one in context y, ``(V, V)``.

        Returns
        -------
        expected, on_agreement, survival
            ``E D(X_t, Y_t)`` at the contexts of step t, the part of it on identical prefixes, and
            ``S_{t-1}``, each of shape ``(steps,)``.
        """
        if self.logits.dim() != 2 or self.order != 1:
            raise ValueError(
                f"logits have shape {tuple(self.logits.shape)}; required: one chain of order 1, (V, V)"
            )
        agreeing = self.initial()
        pairs = torch.zeros(self.vocabulary, self.vocabulary, dtype=torch.float64)
        expected, on_agreement, survival = [], [], []
        for _ in range(steps):
            same = (agreeing * discrepancy.diagonal()).sum()
            on_agreement.append(same)
            expected.append(same + (pairs * discrepancy).sum())
            survival.append(agreeing.sum())
            agreeing, pairs = self._coupled_step(agreeing, pairs)
        return torch.stack(expected), torch.stack(on_agreement), torch.stack(survival)

    def _coupled_step(self, agreeing: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Advance agreeing contexts (V,) and pairs that have ever diverged (V, V)."""
        both = agreeing.diag() + pairs
        shared = torch.minimum(self.p[:, None, :], self.q[None, :, :])
        left, right = self.p[:, None, :] - shared, self.q[None, :, :] - shared
        lost = left.sum(dim=-1)
        scale = torch.where(lost > 0, both / lost.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        diverged = torch.einsum("xy,xyi,xyj->ij", scale, left, right)
        met_again = torch.einsum("xy,xyi->i", pairs, shared).diag()
        return agreeing @ torch.minimum(self.p, self.q), diverged + met_again
