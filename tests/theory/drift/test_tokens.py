"""Token log-probabilities and shared-seed flips against independent computations."""

from __future__ import annotations

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from tests.theory import oracle
from tests.theory.instances import instance
from theory import gumbel_flip, measure, token_log_probs


@given(seed=st.integers(0, 10**6))
def test_token_log_probs_to_twelve_digits(seed: int) -> None:
    logits, _, temperature = instance(seed)
    values = logits.double().tolist()
    tokens = torch.arange(len(values))
    found = token_log_probs(logits.expand(len(values), -1), tokens, temperature)
    with mpmath.workdps(1500):
        top = max(values)
        total = mpmath.fsum(mpmath.exp((mpf(v) - top) / temperature) for v in values)
        for value, log_prob in zip(values, found.tolist(), strict=True):
            truth = (mpf(value) - top) / temperature - mpmath.log(total)
            assert abs(log_prob - truth) <= 1e-13 * abs(truth) + 1e-290


def test_token_log_probs_of_many_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 60, 3000, generator=generator)
    tokens = torch.randint(3000, (4, 60), generator=generator)
    expected = torch.log_softmax(logits.double() / 0.7, -1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(token_log_probs(logits, tokens, 0.7), expected, rtol=1e-13, atol=0)
    assert token_log_probs(logits[:0], tokens[:0]).shape == (0, 60)


@settings(max_examples=150)
@given(seed=st.integers(0, 10**6))
def test_gumbel_flip_is_exact_and_bounded(seed: int) -> None:
    logits, perturbed, temperature = instance(seed)
    flip = gumbel_flip(logits, perturbed, temperature).item()
    drift = measure(logits, perturbed, temperature)
    tv, oscillation = drift.tv.item(), drift.oscillation
    slack = 1 + 1e-11
    assert tv <= flip * slack + 1e-290
    assert flip <= min(torch.tanh(oscillation / 4).item(), 2 * tv / (1 + tv)) * slack + 1e-290
    if oscillation < 300:
        truth = oracle.gumbel_flip(logits.double().tolist(), perturbed.double().tolist(), temperature)
        assert abs(flip - truth) <= 1e-11 * truth + mpf(10) ** -70


def test_equal_seeds_of_multinomial_are_the_gumbel_coupling() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, generator=generator)
    perturbed = logits + 0.8 * torch.randn(6, generator=generator)
    p, q = torch.softmax(logits.double(), -1), torch.softmax(perturbed.double(), -1)
    race = torch.empty(200_000, 6, dtype=torch.float64).exponential_(generator=generator)
    flips = ((race / p).argmin(-1) != (race / q).argmin(-1)).double().mean().item()
    exact = gumbel_flip(logits, perturbed).item()
    assert abs(flips - exact) < 5 * (exact * (1 - exact) / 200_000) ** 0.5
    one, two = (torch.Generator().manual_seed(7) for _ in range(2))
    assert [torch.multinomial(p, 1, generator=one) for _ in range(20)] == [
        torch.multinomial(p, 1, generator=two) for _ in range(20)
    ]


def test_bad_input() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="tokens contains 3; expected ids from 0 to 2"):
        token_log_probs(logits, torch.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"tokens has shape \(3,\)"):
        token_log_probs(logits, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="temperature is 0"):
        gumbel_flip(logits, logits, 0.0)
