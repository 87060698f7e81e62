"""Limits by betting: their exact error, summed over every possible sample, stays below the nominal one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from theory.sequences.betting import betting_band, log_e_value, lower_limit, signed_band, stakes
from theory.sequences.confidence import hoeffding_band

LAWS = 40
alphas = st.sampled_from([0.01, 0.05, 0.2])
heavy = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.floats(0, 2)), min_size=1, max_size=12
).map(lambda values: torch.tensor(values, dtype=torch.float64).unsqueeze(1))


def every_sample(laws: np.ndarray, values: np.ndarray) -> tuple[Tensor, Tensor]:
    """All samples of m independent draws, row i from ``laws[i]`` over ``values[i]``: values ``(m, N)``, their
    probabilities ``(N,)``.
    """
    rows, size = laws.shape
    index = np.array(list(itertools.product(range(size), repeat=rows)))
    mass = np.prod([laws[i][index[:, i]] for i in range(rows)], axis=0)
    return torch.tensor(np.stack([values[i][index[:, i]] for i in range(rows)])), torch.tensor(mass)


def random_law(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three values with their probabilities: log-ratios of any size, some values exactly 0."""
    law = rng.dirichlet(np.ones(3))
    values = np.exp(rng.choice([0.3, 1.5, 4.0]) * rng.normal(size=3)) * (rng.random(3) < 0.8)
    return law, values


@pytest.mark.parametrize("rows", [1, 3, 5])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_exact_error_for_drawn_prompts(rows: int, alpha: float) -> None:
    rng, largest = np.random.default_rng(rows), 0.0
    rare = (np.array([1 - 0.6 * alpha, 0.6 * alpha]), np.array([0.0, 1.0]))
    for law, values in [rare, *(random_law(rng) for _ in range(LAWS))]:
        sample, mass = every_sample(np.tile(law, (rows, 1)), np.tile(values, (rows, 1)))
        largest = max(largest, float(mass[lower_limit(sample, alpha) > law @ values].sum()))
    assert 0 < largest <= alpha


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_exact_error_and_e_values_for_listed_prompts(alpha: float) -> None:
    """Texts of different means: the limit is for the average mean, and the wealth there has mean <= 1."""
    rng, largest = np.random.default_rng(0), 0.0
    for _ in range(LAWS):
        laws, values = (np.stack(z) for z in zip(*[random_law(rng) for _ in range(5)], strict=True))
        mean = float((laws * values).sum(1).mean())
        sample, mass = every_sample(laws, values)
        if mean > 0:
            largest = max(largest, float(mass[lower_limit(sample, alpha) > mean].sum()))
            assert float(mass @ log_e_value(sample, mean, alpha).exp()) <= 1 + 1e-12
            assert float(mass @ log_e_value(sample, 1.3 * mean, alpha).exp()) <= 1
    assert 0 < largest <= alpha


def test_exact_error_without_replacement() -> None:
    rng = np.random.default_rng(1)
    for _ in range(LAWS):
        values = np.exp(rng.choice([0.5, 2.0, 4.0]) * rng.normal(size=8)) * (rng.random(8) < 0.8)
        sample = torch.tensor(np.array(list(itertools.combinations(values, 4)))).T
        assert float((lower_limit(sample, 0.2) > values.mean()).double().mean()) <= 0.2


def test_exact_error_of_stopping_at_will() -> None:
    """With the stakes fixed by the design, the limits along the way are hardly ever wrong anywhere."""
    rng, largest = np.random.default_rng(2), 0.0
    for _ in range(LAWS):
        law, values = random_law(rng)
        sample, mass = every_sample(np.tile(law, (6, 1)), np.tile(values, (6, 1)))
        looks = [lower_limit(sample[:m], 0.2, design=6) > law @ values for m in range(1, 7)]
        largest = max(largest, float(mass[torch.stack(looks).any(0)].sum()))
    assert 0 < largest <= 0.2


@given(heavy, alphas)
def test_the_limit_is_where_the_e_value_is_one_over_alpha(values: Tensor, alpha: float) -> None:
    limit = float(lower_limit(values, alpha))
    assert 0 <= limit <= float(values.mean()) * (1 + 1e-9)
    if limit > 1e-290:
        assert float(log_e_value(values, limit, alpha)) == pytest.approx(math.log(1 / alpha), abs=1e-8)
    if not bool((values > 0).any()):
        assert limit == 0


def product_of_stakes(values: list[float], mean: float, alpha: float) -> float:
    fractions, weights = stakes(len(values), alpha)
    return sum(
        float(w) * math.prod(1 - float(c) + float(c) * x / mean for x in values)
        for c, w in zip(fractions, weights, strict=True)
    )


@given(st.lists(st.floats(0, 8), min_size=1, max_size=9), st.floats(0.01, 5), alphas)
def test_the_e_value_is_the_average_product(values: list[float], mean: float, alpha: float) -> None:
    column = torch.tensor(values, dtype=torch.float64).unsqueeze(1)
    found = float(log_e_value(column, mean, alpha).exp())
    assert found == pytest.approx(product_of_stakes(values, mean, alpha), rel=1e-11)


@given(heavy, st.floats(1e-3, 1e3))
def test_scaling_and_capping(values: Tensor, factor: float) -> None:
    """The limit scales with the values; a cap can only lower it; infinity is the largest cap."""
    values = values.clamp(max=1e290)
    limit = lower_limit(values, 0.05)
    torch.testing.assert_close(lower_limit(factor * values, 0.05), factor * limit, rtol=1e-9, atol=1e-290)
    assert float(lower_limit(values.clamp(max=2.0), 0.05)) <= float(limit) * (1 + 1e-10)
    infinite = torch.where(values > 2, torch.inf, values)
    assert float(limit) <= float(lower_limit(infinite, 0.05)) * (1 + 1e-10)
    assert math.isfinite(float(lower_limit(infinite, 0.05)))


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 10**6))
def test_columns_do_not_see_each_other(rows: int, columns: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    values = torch.exp(4 * torch.randn(rows, columns, generator=g, dtype=torch.float64))
    values = values * (torch.rand(rows, columns, generator=g) < 0.7)
    alone = torch.cat([lower_limit(column.unsqueeze(1), 0.1) for column in values.T])
    torch.testing.assert_close(lower_limit(values, 0.1), alone, rtol=1e-10, atol=0)


@given(st.integers(1, 5000), alphas)
def test_stakes_are_a_mixture(rows: int, alpha: float) -> None:
    fractions, weights = stakes(rows, alpha)
    assert float(weights.sum()) == pytest.approx(1)
    assert bool((weights > 0).all())
    assert bool((fractions.diff() > 0).all())
    assert float(fractions[0]) > 0
    assert float(fractions[-1]) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_band_holds_the_mean_and_turns_over_with_the_values(values: list[float]) -> None:
    column = torch.tensor(values, dtype=torch.float64).unsqueeze(1)
    band, turned = betting_band(column), betting_band(1 - column)
    assert bool((band.lower <= band.mean).all())
    assert bool((band.mean <= band.upper).all())
    torch.testing.assert_close(band.lower, 1 - turned.upper)
    signed = signed_band(2 * column - 1)
    torch.testing.assert_close(signed.lower, 2 * band.lower - 1)
    torch.testing.assert_close(signed.upper, 2 * band.upper - 1)


@pytest.mark.parametrize(("clusters", "mean"), [(12, 0.03), (24, 0.1), (24, 0.5), (60, 0.9)])
def test_coverage_on_the_hardest_values(clusters: int, mean: float) -> None:
    draws = torch.rand(clusters, 4000, generator=torch.Generator().manual_seed(clusters))
    band = betting_band((draws < mean).double(), level=0.9)
    missed = ((band.lower > mean) | (band.upper < mean)).double().mean()
    assert float(missed) <= 0.1 + 0.02  # four standard errors of 4,000 trials


@given(clusters=st.integers(1, 300))
def test_all_zero_gives_close_to_the_exact_binomial_limit(clusters: int) -> None:
    upper = float(betting_band(torch.zeros(clusters, 1)).upper)
    exact = 1 - 0.025 ** (1 / clusters)  # Clopper and Pearson
    assert exact <= upper <= 1 - (0.4 * 0.025) ** (1 / clusters) + 1e-11  # the price of the other stakes


def test_narrower_than_hoeffding_where_values_hardly_vary() -> None:
    values = torch.rand(24, 5, generator=torch.Generator().manual_seed(0)) * 0.2
    bet, hoeffding = betting_band(values), hoeffding_band(values)
    assert bool((bet.upper - bet.lower < hoeffding.upper - hoeffding.lower).all())


def test_the_band_shrinks_like_one_over_the_root_of_the_sample() -> None:
    """The least stake follows the sample size: Bernoulli(1/2) keeps the same distance to Hoeffding."""
    for clusters in (100, 1000, 10_000):
        values = (torch.arange(clusters) % 2).double().unsqueeze(1)
        bet, hoeffding = betting_band(values, 0.9), hoeffding_band(values, 0.9)
        assert float(bet.upper - bet.lower) <= 1.4 * float(hoeffding.upper - hoeffding.lower)


@pytest.mark.parametrize("values", [torch.tensor([[1.5]]), torch.tensor([[float("nan")]]), torch.zeros(0, 3)])
def test_bad_values_are_refused(values: Tensor) -> None:
    with pytest.raises(ValueError, match="values"):
        betting_band(values)
    with pytest.raises(ValueError, match="level"):
        betting_band(torch.zeros(2, 1), level=1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower_limit(torch.tensor([[-1e-9]]), 0.05), r"values leaves numbers >= 0"),
        (lambda: lower_limit(torch.tensor([[math.nan]]), 0.05), "values leaves"),
        (lambda: lower_limit(torch.zeros(3), 0.05), r"values has shape \(3,\)"),
        (lambda: lower_limit(torch.ones(3, 1), 0.0), "alpha is 0.0; expected a number between 0 and 1"),
        (lambda: lower_limit(torch.ones(3, 1), 0.05, design=-2), "rows is -2; expected at least 1"),
        (lambda: log_e_value(torch.ones(3, 1), 0.0, 0.05), "mean is 0.0; expected a positive finite number"),
        (lambda: signed_band(torch.tensor([[-1.5]])), r"values leaves \[-1, 1\]"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
