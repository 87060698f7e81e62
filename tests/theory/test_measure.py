"""``measure`` against mpmath, brute force, torch.distributions and the symmetries of the softmax."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from torch import Tensor, distributions

from tests.theory import oracle
from tests.theory.adversarial import DTYPES, pairs
from tests.theory.instances import instance
from theory import Drift, measure
from theory.rows import Pair, first_largest
from theory.rows_careful import careful_rows
from theory.rows_fast import fast_rows

TOLERANCE = 1e-12
SMALLEST = 1e-285  # below it, atoms and their squares are subnormal or zero
CANCELLING = ("cosdist_z", "cosdist_z_centred", "orthogonal_sq")  # exactly parallel vectors: noise of 1e-32
QUANTITIES = ("kl", "kl_reverse", "js", "tv", "hellinger_sq", "chi2", "chi2_reverse", "cosdist_p")
SPREADS = ("oscillation", "rho_plus", "rho_minus", "low_p", "high_p", "low_r", "high_r")
VARIANCES = ("var_p", "var_q", "var_r", "var_w", "var_g", "var_u")
INVARIANT = (*QUANTITIES, *SPREADS, *VARIANCES, "p_max", "entropy", "entropy_perturbed", "gini_p", "gini_r")


def error(name: str, found: float, truth: mpf) -> float:
    """Relative error; 0 where both are beyond what float64 can hold."""
    if mpmath.isnan(truth) or mpmath.isinf(truth):
        return 0.0 if str(found) == str(float(truth)) else math.inf
    if found == math.inf and truth > mpf("1.7e308"):
        return 0.0
    if abs(truth) < SMALLEST and abs(found) < 10 * SMALLEST:
        return 0.0
    if truth == 0:
        return 0.0 if found == 0 or (name in CANCELLING and abs(found) < 1e-31) else math.inf
    return float(abs(mpf(found) / truth - 1))


def agrees(logits: Tensor, perturbed: Tensor, temperature: float) -> None:
    drift = measure(logits, perturbed, temperature)
    truth = oracle.drift_columns(logits.double().tolist(), perturbed.double().tolist(), temperature)
    for name, value in truth.items():
        found = getattr(drift, name).item()
        assert error(name, found, value) <= allowed(name, truth, logits, perturbed), (name, found, value)


def allowed(name: str, truth: dict[str, mpf], logits: Tensor, perturbed: Tensor) -> float:
    """1e-12, but for two columns that are small when a vector is nearly orthogonal or parallel to another."""
    value = truth[name]
    if not mpmath.isfinite(value) or value == 0:
        return TOLERANCE
    if name == "parallel":  # an inner product: its error is relative to the lengths
        return TOLERANCE * float(mpmath.hypot(mpmath.sqrt(truth["orthogonal_sq"]), value) / abs(value))
    if name == "cosdist_z_centred":  # rounding the mean turns the logits by up to one unit
        step = (perturbed.double() - logits.double()).std(correction=0) / logits.double().std(correction=0)
        return TOLERANCE + 1e-15 * step.item() / math.sqrt(float(value))
    return TOLERANCE


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


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 3e-3, 0.01, 0.03, 0.3, 3.0])
def test_both_ways_of_computing_a_row_agree(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(8, 3000, generator=generator, dtype=torch.float64)
    perturbed = logits + scale * torch.randn(8, 3000, generator=generator, dtype=torch.float64)
    fast, doubts = fast_rows(Pair(logits, perturbed, 1.0))
    doubtful = doubts.any(-1)
    careful = careful_rows(Pair(logits, perturbed, 1.0))
    assert set(fast) == set(careful)
    if scale >= 0.03:
        assert not doubtful.any(), "the fast way must serve ordinary drift"
    if scale <= 1e-6:
        assert doubtful.all()
    for name, values in careful.items():
        sound = ~doubtful
        torch.testing.assert_close(
            fast[name][sound], values[sound], rtol=TOLERANCE, atol=1e-15 * (name == "parallel")
        )


@pytest.mark.parametrize("seed", range(4))
def test_long_rows_whose_mass_moves_away(seed: int) -> None:
    """Mass far from where delta is centred: variances there are small differences of large squares."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(64, 1, generator=generator)

    logits = uniform(0.1, 6) * torch.randn(64, 3000, generator=generator)
    logits[:, :1] += uniform(-40, 40).clamp(min=0)
    perturbed = logits + 10 ** uniform(-5, 1.5) * torch.randn(64, 3000, generator=generator)
    perturbed[:, 1:2] += uniform(-60, 60).clamp(min=0)
    drift, careful = measure(logits, perturbed), careful_rows(Pair(logits, perturbed, 1.0))
    for name, values in careful.items():
        torch.testing.assert_close(
            getattr(drift, name), values, rtol=TOLERANCE, atol=1e-15 * (name == "parallel"), msg=name
        )


@pytest.mark.parametrize("width", [1, 2, 256, 300, 1024])
def test_first_largest(width: int) -> None:
    values = torch.randint(0, 5, (40, width), generator=torch.Generator().manual_seed(0)).double()
    assert first_largest(values).squeeze(-1).tolist() == [row.index(max(row)) for row in values.tolist()]


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 0.3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_rows_agree_with_mpmath(scale: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = (2 * torch.randn(700, generator=generator, dtype=torch.float64)).to(dtype)
    step = scale * torch.randn(700, generator=generator, dtype=torch.float64)
    agrees(logits, (logits.double() + step).to(dtype), 0.9)


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
        ((torch.zeros(2), torch.tensor([1.0, -math.inf])), "perturbed contains -inf; expected finite"),
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


def test_js_of_a_wide_swap_in_a_long_row_keeps_its_digits() -> None:
    """js is then eighty times smaller than the Jeffreys sums it comes from, each of 262,144 terms."""
    z = torch.zeros(1, 262_144, dtype=torch.float64)
    z[0, 0], z[0, 1] = 14.0, -13.9
    swapped = z.clone()
    swapped[0, 0], swapped[0, 1] = z[0, 1], z[0, 0]
    with mpmath.workdps(50):
        total = mpmath.e**14 + mpmath.exp(mpmath.mpf(float(z[0, 1]))) + 262_142
        a, b = mpmath.e**14 / total, mpmath.exp(mpmath.mpf(float(z[0, 1]))) / total
        exact = float(a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b)))
    assert measure(z, swapped).js.item() == pytest.approx(exact, rel=1e-12, abs=0)
