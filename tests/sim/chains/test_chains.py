"""Chains against brute force over all sequences, theory.sequences.markov, and Monte-Carlo runs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.chains import CHAINS, COUPLINGS, SoftmaxChain, decode, sequence_tv, sequence_tv_bracket
from theory.drift.tokens import gumbel_flip
from theory.sequences import markov

NAMES = sorted(CHAINS)


def chain_of(name: str, noise: float = 0.7, seed: int = 0) -> SoftmaxChain:
    return CHAINS[name](noise, torch.Generator().manual_seed(seed))


def random_chain(seed: int, vocabulary: int, order: int, temperature: float = 1.0) -> SoftmaxChain:
    generator = torch.Generator().manual_seed(seed)
    shape = (vocabulary**order, vocabulary)
    logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    perturbed = logits + torch.randn(shape, generator=generator, dtype=torch.float64)
    return SoftmaxChain(logits, perturbed, temperature, start=seed % vocabulary**order)


def all_sequences(chain: SoftmaxChain, steps: int) -> list[tuple[float, float, float, int]]:
    """(P, Q, product of minima, last context) of every sequence, by plain loops."""
    p, q, rows = chain.p.tolist(), chain.q.tolist(), []
    for tokens in itertools.product(range(chain.vocabulary), repeat=steps):
        dense = perturbed = both = 1.0
        context = chain.start
        for token in tokens:
            dense, perturbed = dense * p[context][token], perturbed * q[context][token]
            both *= min(p[context][token], q[context][token])
            context = (context * chain.vocabulary + token) % len(p)
        rows.append((dense, perturbed, both, context))
    return rows


@given(st.integers(0, 2**31), st.sampled_from([(2, 1), (3, 1), (2, 2), (2, 3)]), st.integers(1, 5))
def test_exact_quantities_match_enumeration(seed: int, shape: tuple[int, int], steps: int) -> None:
    chain = random_chain(seed, *shape, temperature=0.5 + seed % 3)
    dense, perturbed, both, last = map(np.array, zip(*all_sequences(chain, steps), strict=True))
    close = {"rtol": 1e-11, "atol": 1e-14}
    np.testing.assert_allclose(chain.survival(steps)[-1], both.sum(), **close)
    np.testing.assert_allclose(chain.path_bc(steps)[-1], np.sqrt(dense * perturbed).sum(), **close)
    np.testing.assert_allclose(chain.path_kl(steps)[-1], (dense * np.log(dense / perturbed)).sum(), **close)
    marginal = np.bincount(last, dense - perturbed, minlength=len(chain.p))
    np.testing.assert_allclose(chain.marginal_tv(steps)[-1], np.abs(marginal).sum() / 2, **close)
    truth = np.abs(dense - perturbed).sum() / 2
    np.testing.assert_allclose(sequence_tv(chain, steps)[-1], truth, **close)
    lower, upper = sequence_tv_bracket(chain, steps)
    assert lower[-1] <= truth + 1e-12
    assert truth <= upper[-1] + 1e-12
    assert upper[-1] - lower[-1] < 0.01  # a quarter of the grid spacing


@given(st.integers(0, 2**31), st.integers(2, 5))
def test_order_one_agrees_with_theory_markov(seed: int, vocabulary: int) -> None:
    chain = random_chain(seed, vocabulary, 1)
    start, dense, perturbed = chain.matrices()
    np.testing.assert_allclose(chain.survival(9), markov.survival(start, dense, perturbed, 9)[1:], rtol=1e-12)
    np.testing.assert_allclose(
        chain.marginal_tv(9), markov.marginal_tv(start, dense, perturbed, 9)[1:], rtol=1e-9, atol=1e-15
    )


def test_contexts_of_order_two_are_a_chain_of_order_one() -> None:
    chain = random_chain(3, 3, 2)
    start, dense, perturbed = chain.matrices()
    np.testing.assert_allclose(chain.survival(9), markov.survival(start, dense, perturbed, 9)[1:], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_survival_orders_as_the_couplings_do(name: str) -> None:
    chain = chain_of(name)
    maximal, gumbel = chain.survival(30), chain.gumbel_survival(30)
    assert (gumbel <= maximal + 1e-12).all()
    assert (chain.independent_survival(30) <= gumbel + 1e-12).all()
    assert (1 - chain.path_bc(30) <= 1 - maximal + 1e-12).all()
    lower, _ = sequence_tv_bracket(chain, 30)
    assert (lower <= 1 - maximal + 1e-12).all()
    torch.testing.assert_close(chain.first_divergence(30).cumsum(0), 1 - maximal)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coupling", sorted(COUPLINGS))
def test_monte_carlo_meets_the_exact_survival(name: str, coupling: str) -> None:
    chain, steps, samples = chain_of(name), 6, 20_000
    exact = {
        "maximal": chain.survival,
        "shared-gumbel": chain.gumbel_survival,
        "independent": chain.independent_survival,
    }
    decoded = decode(chain, coupling, samples, steps, np.random.default_rng(5))
    for tokens, kernel in ((decoded.dense, chain.p), (decoded.perturbed, chain.q)):
        share = np.bincount(tokens[:, 0], minlength=chain.vocabulary) / samples
        np.testing.assert_allclose(share, kernel[chain.start], atol=5 * 0.5 / samples**0.5)
    if coupling in exact:
        np.testing.assert_allclose(decoded.survival(), exact[coupling](steps), atol=5 * 0.5 / samples**0.5)


def test_gumbel_kernel_sums_to_the_agreement_of_theory() -> None:
    chain = random_chain(1, 5, 1)
    flip = gumbel_flip(chain.logits, chain.perturbed, 1.0)
    torch.testing.assert_close(1 - chain.gumbel_kernel().sum(-1), flip)


@pytest.mark.parametrize("name", ["mixing", "slow"])
def test_free_running_is_the_mixture_law(name: str) -> None:
    """E D(X_t, Y_t) of simulated maximally coupled pairs against the exact G8 recursion."""
    chain, steps, samples = chain_of(name), 8, 40_000
    discrepancy = (chain.p[:, None, :] - chain.q[None, :, :]).abs().sum(-1) / 2
    expected, on_agreement, survival = chain.free_running(discrepancy, steps)
    decoded = decode(chain, "maximal", samples, steps, np.random.default_rng(2))
    x = np.concatenate([np.full((samples, 1), chain.start), decoded.dense[:, :-1]], axis=1)
    y = np.concatenate([np.full((samples, 1), chain.start), decoded.perturbed[:, :-1]], axis=1)
    simulated = discrepancy.numpy()[x, y].mean(axis=0)
    np.testing.assert_allclose(simulated, expected, atol=5 / samples**0.5)
    torch.testing.assert_close(survival, torch.cat([torch.ones(1).double(), chain.survival(steps - 1)]))
    assert (on_agreement <= expected + 1e-12).all()


def test_a_chain_against_itself_never_drifts() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chain = SoftmaxChain(logits, logits.clone())
    for quantity in (chain.marginal_tv(20), chain.path_kl(20), sequence_tv(chain, 5)):
        assert (quantity == 0).all()
    torch.testing.assert_close(chain.survival(20), torch.ones(20, dtype=torch.float64))


def test_a_batch_is_its_chains_one_by_one() -> None:
    logits, perturbed = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    batch = SoftmaxChain(logits, perturbed)
    for k in range(3):
        single = SoftmaxChain(logits[k], perturbed[k])
        torch.testing.assert_close(batch.survival(7)[:, k], single.survival(7))
        torch.testing.assert_close(batch.path_kl(7)[:, k], single.path_kl(7))


def test_absorbing_chain_loses_exact_match_geometrically() -> None:
    """The answer survives by a constant factor per token, while one token alone barely changes."""
    chain = chain_of("absorbing", noise=2.0)
    right = chain.masses(chain.q, 100)[1:, :-1].sum(-1)
    ratio = right[1:] / right[:-1]
    assert float(ratio.max() - ratio.min()) < 0.02
    assert right[0] > 0.95
    assert right[-1] < 0.1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((torch.zeros(4, 3), torch.zeros(4, 3)), "contexts"),
        ((torch.zeros(3, 3), torch.zeros(3, 4)), "shape"),
        ((torch.zeros(3, 3), torch.zeros(3, 3), -1.0), "temperature"),
        ((torch.zeros(3, 3), torch.zeros(3, 3), 1.0, 7), "start"),
    ],
)
def test_bad_input_is_named(arguments: tuple[object, ...], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        SoftmaxChain(*arguments)  # type: ignore[arg-type]


def test_unknown_coupling_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="shared-gumbel"):
        decode(chain_of("mixing"), "shared-gumble", 10, 2, np.random.default_rng(0))
