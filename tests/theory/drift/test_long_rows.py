"""``measure`` on long rows, its ways of computing a row against each other, and rows far apart."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import torch
from torch import Tensor

from tests.theory import long_oracle, oracle
from tests.theory.adversarial import DTYPES
from tests.theory.columns import TOLERANCE, agrees, whole_pair
from theory import measure
from theory.drift.rows.careful import careful_rows
from theory.drift.rows.fast import fast_columns, fast_sums
from theory.drift.rows.rows import first_largest
from theory.drift.rows.stable import dot, dots


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 3e-3, 0.01, 0.03, 0.3, 3.0])
def test_both_ways_of_computing_a_row_agree(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(8, 3000, generator=generator, dtype=torch.float64)
    perturbed = logits + scale * torch.randn(8, 3000, generator=generator, dtype=torch.float64)
    pair = whole_pair(logits, perturbed)
    fast, doubts = fast_columns(fast_sums(pair, pair.centred_delta(), torch.empty_like(logits)), 3000)
    doubtful = doubts.any(-1)
    careful = careful_rows(whole_pair(logits, perturbed))
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
    drift, careful = measure(logits, perturbed), careful_rows(whole_pair(logits, perturbed))
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


def realistic(seed: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits as models write them: an offset, a few peaks, many equal values, a change common to all."""
    generator = torch.Generator().manual_seed(seed)
    kinds = ((2.0, 0.0, 8.0), (3.0, -5.0, 20.0), (2.0, 12.0, 3.0), (1.0, -12.0, 30.0), (1.5, 0.0, 35.0))
    spread, offset, peak = kinds[seed % 5]
    logits = spread * torch.randn(size, generator=generator) + offset
    logits[:5] += peak * torch.rand(5, generator=generator)
    step = (0.003, 0.02, 0.06, 0.3)[seed % 4] * torch.randn(size, generator=generator)
    step[:5] += 0.3 * torch.randn(5, generator=generator)
    logits = logits.to(dtype)
    return logits, (logits.float() + step + 0.5).to(dtype)


def test_the_oracle_of_long_rows_agrees_with_mpmath() -> None:
    for seed in range(4):
        logits, perturbed = realistic(seed, 400, torch.bfloat16)
        truth = oracle.drift_columns(logits.double().tolist(), perturbed.double().tolist())
        for name, value in long_oracle.drift_columns(logits, perturbed).items():
            assert value == pytest.approx(float(truth[name]), rel=1e-15), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [49_152, 151_936, 262_144])
def test_long_rows_of_half_precision(size: int, dtype: torch.dtype) -> None:
    for seed in (16, 3, 9):
        logits, perturbed = realistic(seed, size, dtype)
        drift = measure(logits, perturbed)
        for name, value in long_oracle.drift_columns(logits, perturbed).items():
            assert getattr(drift, name).item() == pytest.approx(float(value), rel=TOLERANCE, abs=0), (
                name,
                seed,
            )


@pytest.mark.parametrize("size", [8192, 8193, 65_536, 262_144, 262_147])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7, 2.9e-5])
def test_long_sums_of_equal_terms(size: int, value: float) -> None:
    """Each addition rounds the same way: the worst case of a running sum."""
    exact = float(Fraction(value) ** 2 * size)
    row = torch.full((1, size), value, dtype=torch.float64)
    assert dot(row, row).item() == pytest.approx(exact, rel=1.5e-13, abs=0)
    assert dots(row.expand(1, 3, size), row).flatten().tolist() == pytest.approx(
        [exact] * 3, rel=1.5e-13, abs=0
    )


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
