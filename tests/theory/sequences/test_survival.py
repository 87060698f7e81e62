"""Sequence identities against full enumeration of small prefix-dependent models."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from theory import (
    coupled_divergence_times,
    first_divergence,
    kl_terms,
    survival_weights,
    survival_weights_given_tv,
    tv_terms,
)

STEPS, TOKENS = 3, 3


class World:
    """Two models over three tokens whose next-token laws depend on the whole prefix, enumerated."""

    def __init__(self, seed: int, drift: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        texts = list(itertools.product(range(TOKENS), repeat=STEPS))
        p_steps, q_steps, tv_steps = (torch.empty(len(texts), STEPS, dtype=torch.float64) for _ in range(3))
        laws: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        for row, text in enumerate(texts):
            for step, token in enumerate(text):
                if text[:step] not in laws:
                    z, d = torch.randn(2, TOKENS, generator=generator, dtype=torch.float64)
                    laws[text[:step]] = torch.softmax(2 * z, -1), torch.softmax(2 * z + drift * d, -1)
                p, q = laws[text[:step]]
                p_steps[row, step], q_steps[row, step] = p[token], q[token]
                tv_steps[row, step] = (p - q).abs().sum() / 2
        self.p_steps, self.q_steps, self.tv_steps = p_steps, q_steps, tv_steps
        self.log_ratio = q_steps.log() - p_steps.log()
        self.probability = p_steps.prod(-1)

    def mean(self, values: Tensor) -> Tensor:
        """Exact expectation over dense texts, ``(STEPS,)``."""
        return self.probability @ values

    def prefix_sums(self, combine) -> list[float]:
        """sum over prefixes of length n of combine(P, Q, product of minima)."""
        totals = []
        for n in range(1, STEPS + 1):
            every = slice(None, None, TOKENS ** (STEPS - n))
            p, q = self.p_steps[every, :n], self.q_steps[every, :n]
            totals.append(combine(p.prod(-1), q.prod(-1), torch.minimum(p, q).prod(-1)).sum().item())
        return totals


worlds = st.builds(World, st.integers(0, 10**4), st.sampled_from((0.0, 0.01, 1.0, 6.0)))


@given(worlds)
def test_means_over_dense_text_are_exact(world: World) -> None:
    survival = world.prefix_sums(lambda p, q, least: least)
    tv = world.prefix_sums(lambda p, q, least: (p - q).abs() / 2)
    kl = world.prefix_sums(lambda p, q, least: p * (p.log() - q.log()))
    weights, smoothed = (
        survival_weights(world.log_ratio),
        survival_weights_given_tv(world.log_ratio, world.tv_steps),
    )
    assert world.mean(weights).tolist() == pytest.approx(survival, rel=1e-12)
    assert world.mean(smoothed).tolist() == pytest.approx(survival, rel=1e-12)
    assert world.mean(tv_terms(world.log_ratio)).tolist() == pytest.approx(tv, rel=1e-9, abs=1e-14)
    assert world.mean(kl_terms(world.log_ratio)).tolist() == pytest.approx(kl, rel=1e-9, abs=1e-14)
    variance = world.mean((smoothed - world.mean(smoothed)) ** 2) - world.mean(
        (weights - world.mean(weights)) ** 2
    )
    assert (variance <= 1e-12).all()


@given(worlds)
def test_divergence_times_have_the_law_of_the_best_coupling(world: World) -> None:
    grid = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    count = len(world.log_ratio)
    times = coupled_divergence_times(
        world.log_ratio.unsqueeze(1).expand(count, 4000, STEPS), grid.expand(count, 4000)
    )
    survival = world.mean(survival_weights(world.log_ratio))
    for step in range(STEPS):
        reached = world.probability @ (times > step).double().mean(-1)
        assert abs(reached - survival[step]) <= 1 / 4000


def test_no_drift_never_diverges() -> None:
    still = torch.zeros(2, 5)
    assert survival_weights(still).eq(1).all()
    assert tv_terms(still).eq(0).all()
    assert kl_terms(still).eq(0).all()
    assert coupled_divergence_times(still, torch.tensor([0.0, 0.999])).tolist() == [5, 5]


@given(worlds)
def test_first_divergence_is_what_greedy_decoding_does(world: World) -> None:
    generator = torch.Generator().manual_seed(int(world.tv_steps.sum() * 1e6))
    n, vocabulary = 6, 4
    dense_table, other_table = (torch.randn(vocabulary, vocabulary, generator=generator) for _ in range(2))
    other_table = dense_table + 0.7 * other_table

    def decode(table: Tensor) -> list[int]:
        text = [0]
        for _ in range(n):
            text.append(int(table[text[-1]].argmax()))
        return text

    dense, other = decode(dense_table), decode(other_table)
    agreed = next((t for t in range(n) if dense[t + 1] != other[t + 1]), n)
    forced = torch.tensor(dense[:-1])
    found = first_divergence(dense_table[forced].argmax(-1), other_table[forced].argmax(-1))
    assert found.item() == agreed


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="log_ratio contains nan"):
        survival_weights(torch.tensor([torch.nan]))
    with pytest.raises(ValueError, match="log_ratio has shape"):
        tv_terms(torch.tensor(0.5))
    with pytest.raises(ValueError, match=r"uniforms has shape \(3,\); expected \(2,\)"):
        coupled_divergence_times(torch.zeros(2, 4), torch.zeros(3))
    with pytest.raises(ValueError, match=r"tv has shape \(2, 3\)"):
        survival_weights_given_tv(torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"perturbed_argmax has shape \(3,\)"):
        first_divergence(torch.zeros(4), torch.zeros(3))
