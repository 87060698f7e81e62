"""Confidence bands cover as often as they claim, for every sample size, and no more vaguely than stated."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from theory import dkw_band, empirical_bernstein_band, hoeffding_band, survival_indicators

LAWS = {
    "coin": lambda shape, g: (torch.rand(shape, generator=g, dtype=torch.float64) < 0.5).double(),
    "rare": lambda shape, g: (torch.rand(shape, generator=g, dtype=torch.float64) < 0.02).double(),
    "smooth": lambda shape, g: torch.rand(shape, generator=g, dtype=torch.float64) ** 3,
}
MEANS = {"coin": 0.5, "rare": 0.02, "smooth": 0.25}


@pytest.mark.parametrize("band_of", [hoeffding_band, empirical_bernstein_band])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("clusters", [2, 12, 100])
def test_each_column_is_covered(band_of, law: str, clusters: int) -> None:
    generator = torch.Generator().manual_seed(0)
    trials, level = 4000, 0.8
    band = band_of(LAWS[law]((clusters, trials), generator), level)
    covered = ((band.lower <= MEANS[law]) & (band.upper >= MEANS[law])).double().mean().item()
    assert covered >= level - 5 * math.sqrt(level * (1 - level) / trials)
    assert ((band.lower <= band.mean) & (band.mean <= band.upper)).all()
    assert (band.lower >= 0).all()
    assert (band.upper <= 1).all()


def geometric(clusters: int, trials: int, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(trials, clusters, generator=generator, dtype=torch.float64)
    return torch.floor(uniform.log() / math.log(0.8))


@pytest.mark.parametrize("clusters", [5, 40])
def test_whole_survival_curve_is_covered_at_once(clusters: int) -> None:
    generator = torch.Generator().manual_seed(1)
    trials, level, horizon = 1500, 0.8, 30
    truth = 0.8 ** torch.arange(1, horizon + 1, dtype=torch.float64)
    hits = 0
    for times in geometric(clusters, trials, generator):
        band = dkw_band(survival_indicators(times, horizon), level)
        hits += bool(((band.lower <= truth) & (truth <= band.upper)).all())
    coverage = hits / trials
    assert coverage >= level - 5 * math.sqrt(level * (1 - level) / trials)
    assert coverage < 0.99, "a band this wide would say nothing about the constant"


def test_widths_are_the_stated_ones() -> None:
    values = torch.tensor([[0.2], [0.4], [0.6], [0.4]])
    hoeffding, bernstein = hoeffding_band(values, 0.9), empirical_bernstein_band(values, 0.9)
    assert hoeffding.mean.item() == pytest.approx(0.4)
    assert hoeffding.upper.item() == pytest.approx(min(1, 0.4 + math.sqrt(math.log(20) / 8)))
    spread = math.sqrt(2 * (0.08 / 3) * math.log(30) / 4) + 7 * math.log(30) / 9
    assert bernstein.upper.item() == pytest.approx(min(1, 0.4 + spread))


def test_bernstein_beats_hoeffding_where_nothing_varies() -> None:
    values = torch.full((1000, 1), 0.5)
    assert empirical_bernstein_band(values).upper < hoeffding_band(values).upper


def test_survival_indicators() -> None:
    assert survival_indicators(torch.tensor([0, 2, 9]), 3).tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hoeffding_band(torch.tensor([[1.5]])), r"values leaves \[0, 1\]"),
        (lambda: hoeffding_band(torch.zeros(3)), r"values has shape \(3,\); expected \(clusters, n\)"),
        (lambda: hoeffding_band(torch.zeros(3, 1), 1.0), "level is 1.0; expected a number between 0 and 1"),
        (lambda: empirical_bernstein_band(torch.zeros(1, 4)), "clusters >= 2"),
        (lambda: dkw_band(torch.tensor([[0.0, 1.0]])), "that is not a nonincreasing sequence"),
        (lambda: dkw_band(torch.tensor([[0.5, 0.0]])), "that is not a nonincreasing sequence"),
        (lambda: survival_indicators(torch.zeros(2, 2), 3), r"times has shape \(2, 2\)"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
