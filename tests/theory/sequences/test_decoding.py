"""Greedy certificates, speculative drafting and privacy curves against brute force and high precision."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize_scalar

from theory import measure
from theory.drift.privacy import hockey_stick
from theory.sequences.drafting import acceptance, draft_temperature, tokens_per_call
from theory.sequences.greedy import certified_prefix

pairs = st.integers(1, 7).flatmap(
    lambda k: st.tuples(
        hnp.arrays(np.float64, k, elements=st.floats(-8, 8)),
        hnp.arrays(np.float64, k, elements=st.floats(-3, 3)),
        st.sampled_from([1e-9, 1e-3, 1.0]),
    )
)


@given(pairs, st.integers(1, 8), st.integers(0, 2**32))
def test_a_certified_prefix_is_repeated_by_greedy_decoding(pair, steps, seed):
    """Toy models whose logits depend on the whole prefix; each model decodes on its own."""
    z, move, scale = pair

    def logits(prefix, perturbed):
        rng = np.random.default_rng([seed, len(prefix), *prefix])
        dense = z + rng.normal(size=len(z))
        return dense + perturbed * scale * move * rng.normal(size=len(z))

    texts = {False: [], True: []}
    margin, oscillation = [], []
    for _ in range(steps):
        prefix = tuple(texts[False])
        drift = measure(torch.tensor(logits(prefix, False)), torch.tensor(logits(prefix, True)))
        margin.append(drift.margin)
        oscillation.append(drift.oscillation)
        for perturbed, text in texts.items():
            text.append(int(np.argmax(logits(tuple(text), perturbed))))
    certified = int(certified_prefix(torch.stack(margin), torch.stack(oscillation)))
    assert texts[False][:certified] == texts[True][:certified]


def test_ties_and_nan_certify_nothing():
    nan = math.nan
    margin = torch.tensor([[2.0, 1.0, 2.0], [2.0, 2.0, nan], [0.0, 5.0, 5.0], [math.inf] * 3])
    oscillation = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [9.0] * 3])
    assert certified_prefix(margin, oscillation).tolist() == [1, 2, 0, 3]
    with pytest.raises(ValueError, match="oscillation has shape"):
        certified_prefix(margin, oscillation[0])


@given(pairs, st.floats(0.2, 5.0))
def test_acceptance_is_the_shared_mass(pair, temperature):
    z, move, scale = (torch.as_tensor(x) for x in pair)
    p, q = (torch.softmax(v / temperature, -1) for v in (z, z + scale * move))
    found = acceptance(z, z + scale * move, [temperature])
    assert float(found) == pytest.approx(float(torch.minimum(p, q).sum()), abs=1e-14)


def test_speculative_blocks_by_simulation():
    """Draft from q, accept with min(1, p/q), stop at the first rejection: a two-state chain."""
    rng = np.random.default_rng(3)
    dense, draft = rng.dirichlet(np.ones(2), size=2), rng.dirichlet(np.ones(2), size=2)
    survival, mass = [], np.array([1.0, 0.0])
    for _ in range(4):
        mass = mass @ np.minimum(dense, draft)
        survival.append(mass.sum())
    expected = tokens_per_call(torch.tensor(survival))
    runs, total = 40_000, 0
    for _ in range(runs):
        state = 0
        for _ in range(4):
            token = int(rng.random() >= draft[state, 0])
            if rng.random() >= dense[state, token] / draft[state, token]:
                break
            total, state = total + 1, token
    assert 1 + total / runs == pytest.approx(float(expected[-1]), abs=5 * 2 / math.sqrt(runs))
    rate = torch.full((6,), 0.7, dtype=torch.float64)
    assert tokens_per_call(rate.cumprod(-1))[-1].item() == pytest.approx((1 - 0.7**7) / 0.3)


@given(hnp.arrays(np.float64, (2, 5), elements=st.floats(-6, 6)), st.floats(0.3, 3.0))
def test_the_draft_temperature_minimises_kl(logits, temperature):
    z, draft = torch.tensor(logits)
    p = torch.softmax(z / temperature, -1)
    found = float(draft_temperature(z, draft, temperature))

    def kl(inverse):
        return float((p * (p.log() - torch.log_softmax(inverse * draft, -1))).sum())

    if math.isinf(found):
        slope = float((draft.mean() - (p * draft).sum()).detach())
        assert slope >= -1e-12
        return
    best = minimize_scalar(kl, bounds=(0.0, 4 / found), method="bounded", options={"xatol": 1e-9})
    assert kl(1 / found) <= best.fun + 1e-9


def test_a_draft_that_is_the_model_at_another_temperature_is_found():
    z = torch.randn(3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert draft_temperature(z, 1.7 * z, 0.5).tolist() == pytest.approx([0.85] * 3, rel=1e-9)
    assert math.isinf(draft_temperature(z[0], torch.zeros(50, dtype=torch.float64)))
    assert math.isinf(draft_temperature(z[0], -z[0]))


@given(pairs, st.floats(0.0, 2.0))
@example((np.array([0.0, 0.0]), np.array([1.0, 0.0]), 1e-9), 0.0)
def test_the_privacy_curve_keeps_its_digits(pair, epsilon):
    z, move, scale = pair
    perturbed = z + scale * move
    found = float(hockey_stick(torch.tensor(z), torch.tensor(perturbed), [epsilon]))
    with mpmath.workdps(60):
        p, q = ([mpmath.exp(mpmath.mpf(x)) for x in row] for row in (z, perturbed))
        p, q = ([x / mpmath.fsum(row) for x in row] for row in (p, q))
        truth = mpmath.fsum(
            max(b - mpmath.exp(epsilon) * a, mpmath.mpf(0)) for a, b in zip(p, q, strict=True)
        )
    assert found == pytest.approx(float(truth), rel=1e-9, abs=1e-16)


def test_the_curve_starts_at_total_variation_and_ends_below_the_oscillation():
    generator = torch.Generator().manual_seed(2)
    z, move = torch.randn(2, 4, 30, dtype=torch.float64, generator=generator)
    drift = measure(z, z + move)
    curve = hockey_stick(z, z + move, [0.0, float(drift.rho_plus.max())])
    assert curve[..., 0].tolist() == pytest.approx(drift.tv.tolist(), rel=1e-12)
    assert float(curve[..., 1].max()) == pytest.approx(0.0, abs=1e-15)
