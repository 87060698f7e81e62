from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from theory.sequences.betting import betting_band
from theory.sequences.confidence import hoeffding_band


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_band_holds_the_mean_and_turns_over_with_the_values(values: list[float]) -> None:
    column = torch.tensor(values, dtype=torch.float64).unsqueeze(1)
    band, turned = betting_band(column), betting_band(1 - column)
    assert bool((band.lower <= band.mean).all())
    assert bool((band.mean <= band.upper).all())
    torch.testing.assert_close(band.lower, 1 - turned.upper)


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
    assert exact <= upper <= 1 - (0.025 / 20) ** (1 / clusters)  # never more than the price of 20 stakes


def test_narrower_than_hoeffding_where_values_hardly_vary() -> None:
    values = torch.rand(24, 5, generator=torch.Generator().manual_seed(0)) * 0.2
    bet, hoeffding = betting_band(values), hoeffding_band(values)
    assert bool((bet.upper - bet.lower < hoeffding.upper - hoeffding.lower).all())


@pytest.mark.parametrize("values", [torch.tensor([[1.5]]), torch.tensor([[float("nan")]]), torch.zeros(0, 3)])
def test_bad_values_are_refused(values: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="values"):
        betting_band(values)
    with pytest.raises(ValueError, match="level"):
        betting_band(torch.zeros(2, 1), level=1.0)
