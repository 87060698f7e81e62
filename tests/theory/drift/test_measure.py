"""``measure`` against mpmath, brute force, torch.distributions and the symmetries of the softmax."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions

from tests.theory.adversarial import DTYPES, pairs
from tests.theory.columns import SMALLEST, agrees
from tests.theory.instances import instance
from theory import Drift, measure

QUANTITIES = ("kl", "kl_reverse", "js", "tv", "hellinger_sq", "chi2", "chi2_reverse", "cosdist_p")
SPREADS = ("oscillation", "rho_plus", "rho_minus", "low_p", "high_p", "low_r", "high_r")
VARIANCES = ("var_p", "var_q", "var_r", "var_w", "var_g", "var_u")
INVARIANT = (*QUANTITIES, *SPREADS, *VARIANCES, "p_max", "entropy", "entropy_perturbed", "gini_p", "gini_r")


@settings(max_examples=400)
@given(seed=st.integers(0, 10**6))
@example(seed=319)
def test_every_column_is_exact_to_twelve_digits(seed: int) -> None:
    agrees(*instance(seed))


@given(pair=pairs(DTYPES), temperature=st.sampled_from((0.1, 1.0, 7.0)))
@example(pair=(torch.tensor([0.0, -24.875, 0.0]), torch.tensor([-18176.0, 1960.0, 4224.0])), temperature=0.1)
@example(  # log-ratio of order one between logits thousands apart
    pair=(
        torch.tensor([0.0, -690.0], dtype=torch.float64),
        torch.tensor([2.5e-11, -6.1e-10], dtype=torch.float64),
    ),
    temperature=0.1,
)
@example(  # q far below p: chi2(p||q) near 1e99
    pair=(
        torch.tensor([1320.6, -595.4], dtype=torch.float64),
        torch.tensor([-1.27, 21.57], dtype=torch.float64),
    ),
    temperature=0.1,
)
@example(  # a shift of 1 hides in float32 logits of 1e-9: the difference needs more than 53 bits
    pair=(torch.tensor([1e-9, 0.0, 0.0]), torch.tensor([1.0, 1.0, 1.0])), temperature=1.0
)
def test_every_column_on_shrinkable_pairs(pair: tuple[Tensor, Tensor], temperature: float) -> None:
    agrees(*pair, temperature)


@settings(max_examples=100)
@given(seed=st.integers(0, 10**6))
def test_a_model_against_itself_has_not_drifted(seed: int) -> None:
    logits, _, temperature = instance(seed)
    drift = measure(logits, logits.clone(), temperature)
    for name in (
        *QUANTITIES,
        *SPREADS,
        *VARIANCES,
        "cosdist_z",
        "cosdist_z_centred",
        "orthogonal_sq",
        "parallel",
    ):
        assert getattr(drift, name).item() == 0.0, name
    assert drift.top1_agree.item()


@given(seed=st.integers(0, 10**6), shift=st.sampled_from((1.0, -64.0, 4096.0)))
def test_a_shift_common_to_all_logits_is_no_drift(seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-(2**20), 2**20, (6,), generator=generator).double() / 2**10
    drift = measure(logits, logits + shift)
    assert all(getattr(drift, name).item() == 0.0 for name in (*QUANTITIES, *SPREADS, *VARIANCES))


def test_one_entry_has_no_freedom() -> None:
    drift = measure(torch.tensor([[2.0], [-1.0]]), torch.tensor([[5.0], [3.0]]))
    for name in (*QUANTITIES, *SPREADS, *VARIANCES, "cosdist_z_centred", "entropy", "orthogonal_sq"):
        assert getattr(drift, name).tolist() == [0.0, 0.0], name
    assert drift.margin.tolist() == [math.inf, math.inf]
    assert drift.cosdist_z.tolist() == [0.0, 2.0]  # -1 and 3 point in opposite directions


@given(seed=st.integers(0, 10**6))
def test_symmetries(seed: int) -> None:
    logits, perturbed, temperature = instance(seed)
    logits, perturbed = logits.double(), perturbed.double()
    drift = measure(logits, perturbed, temperature)
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
    permuted = measure(logits[order], perturbed[order], temperature)
    scaled = measure(4 * logits, 4 * perturbed, 4 * temperature)
    swapped = measure(perturbed, logits, temperature)
    for name in INVARIANT:
        value = getattr(drift, name)
        assert getattr(scaled, name).equal(value), name  # powers of two scale exactly
        torch.testing.assert_close(getattr(permuted, name), value, rtol=2e-12, atol=SMALLEST)
    for name, twin in (
        ("kl", "kl_reverse"),
        ("rho_plus", "rho_minus"),
        ("var_p", "var_q"),
        ("chi2", "chi2_reverse"),
    ):
        torch.testing.assert_close(getattr(swapped, name), getattr(drift, twin), rtol=2e-12, atol=SMALLEST)
    for name in ("js", "tv", "hellinger_sq", "cosdist_p", "oscillation"):
        torch.testing.assert_close(getattr(swapped, name), getattr(drift, name), rtol=2e-12, atol=SMALLEST)


def test_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(5, 4, 30, generator=generator, dtype=torch.float64)
    perturbed = logits + torch.randn(5, 4, 30, generator=generator, dtype=torch.float64)
    drift = measure(logits, perturbed, 0.8)
    p, q = (distributions.Categorical(logits=side / 0.8) for side in (logits, perturbed))
    torch.testing.assert_close(drift.kl, distributions.kl_divergence(p, q), rtol=1e-12, atol=0)
    torch.testing.assert_close(drift.kl_reverse, distributions.kl_divergence(q, p), rtol=1e-12, atol=0)
    torch.testing.assert_close(drift.entropy, p.entropy(), rtol=1e-12, atol=0)
    cosine = torch.nn.functional.cosine_similarity(p.probs, q.probs, dim=-1)
    torch.testing.assert_close(drift.cosdist_p, 1 - cosine, rtol=1e-12, atol=1e-15)
    assert drift.shape == (5, 4)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(300, 700, generator=generator)  # several chunks, the last one short
    perturbed = logits + torch.randn(300, 1, generator=generator).abs().pow(4) * torch.randn(
        300, 700, generator=generator
    )
    together = measure(logits, perturbed)
    for row in (0, 92, 93, 299):
        alone = measure(logits[row], perturbed[row])
        for name in alone.columns:
            torch.testing.assert_close(
                getattr(alone, name), getattr(together, name)[row], rtol=1e-12, atol=0, equal_nan=True
            )


def test_options_renormalise_on_a_subset() -> None:
    generator = torch.Generator().manual_seed(4)
    logits, perturbed = torch.randn(2, 7, 50, generator=generator)
    options = torch.tensor([3, 48, 0, 11])
    drift, subset = (
        measure(logits, perturbed, 0.5, options),
        measure(logits[:, options], perturbed[:, options], 0.5),
    )
    for name in set(drift.columns) - {"option_mass", "option_mass_perturbed"}:
        assert getattr(drift, name).equal(getattr(subset, name)), name
    mass = torch.softmax(logits.double() / 0.5, -1)[:, options].sum(-1)
    torch.testing.assert_close(drift.option_mass, mass, rtol=1e-13, atol=0)
    assert subset.option_mass.eq(1).all()
    assert drift.vocabulary.eq(4).all()


def test_ties_take_the_first_token() -> None:
    drift = measure(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1.0, 2.0, 0.0]]))
    assert drift.top1_agree.tolist() == [False]
    assert drift.margin.tolist() == [0.0]


def test_table_operations() -> None:
    logits, perturbed = torch.randn(2, 2, 3, 9, generator=torch.Generator().manual_seed(5))
    drift = measure(logits, perturbed)
    assert drift.columns[0] == "kl"
    assert drift[1].kl.equal(drift.kl[1])
    assert drift[..., :2].shape == (2, 2)
    assert drift.reshape(6).shape == (6,)
    assert Drift.cat([drift[:1], drift[1:]]).kl.equal(drift.kl)
    assert drift.to("cpu").tv.equal(drift.tv)
    frame = drift.frame()
    assert list(frame.columns[:3]) == ["i0", "i1", "kl"]
    assert frame.loc[4, ["i0", "i1"]].tolist() == [1, 1]
    assert frame.loc[4, "kl"] == drift.kl[1, 1].item()
    assert len(measure(logits[0, 0], perturbed[0, 0]).frame()) == 1
    assert measure(logits[:0], perturbed[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="at least one table"):
        Drift.cat([])


GOOD = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([1.0, math.nan]), torch.zeros(2)), "logits contains nan; expected finite"),
        ((torch.zeros(2), torch.tensor([1.0, -math.inf])), "perturbed is -inf at other places than logits"),
        ((GOOD, torch.zeros(2, 4)), r"perturbed has shape \(2, 4\); expected that of logits, \(2, 3\)"),
        ((GOOD, GOOD.double()), "perturbed has dtype torch.float64; expected that of logits"),
        ((GOOD.long(), GOOD.long()), "logits has dtype torch.int64; expected a floating-point dtype"),
        (
            (torch.zeros(2, 0), torch.zeros(2, 0)),
            r"logits has shape \(2, 0\); expected \(..., V\) with V >= 1",
        ),
        ((torch.tensor(1.0), torch.tensor(1.0)), r"logits has shape \(\); expected"),
        ((GOOD.double() + 1e200, GOOD.double()), "logits contains 1e[+]200; expected at most 1e[+]150"),
        ((GOOD, GOOD, 0.0), "temperature is 0.0; expected a positive finite number"),
        ((GOOD, GOOD, -1.0), "temperature is -1.0; expected a positive"),
        ((GOOD, GOOD, math.nan), "temperature is nan; expected a positive"),
        ((GOOD, GOOD, math.inf), "temperature is inf; expected a positive"),
        ((GOOD + 1, GOOD, 1e-200), "temperature is 1e-200; expected at least"),
        ((GOOD, GOOD, 1.0, torch.tensor([], dtype=torch.long)), "options is empty; expected at least one"),
        ((GOOD, GOOD, 1.0, torch.tensor([0, 3])), "options contains 3; expected ids from 0 to 2"),
        ((GOOD, GOOD, 1.0, torch.tensor([-1, 1])), "options contains -1; expected ids from 0 to 2"),
        ((GOOD, GOOD, 1.0, torch.tensor([1, 0, 1])), "options contains 1 twice; expected distinct"),
        ((GOOD, GOOD, 1.0, torch.tensor([[0]])), "expected a 1-D tensor of integer token ids"),
        ((GOOD, [1.0]), "perturbed is a list; expected a torch tensor"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(*arguments)  # type: ignore[arg-type]
