"""Family K: formulas against other libraries, and checks that fail when the statement is changed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from theory import catalogue
from theory.instances.trees import trees
from theory.proofs.step import StepFailedError
from theory.sequences.betting import lower_limit
from theory.statements.k_scores.scored import (
    above,
    every_sample,
    exact_error,
    on_scores,
    scored,
    truncated,
)


@given(st.floats(0.01, 8.0), st.floats(0.1, 50.0))
def test_the_hockey_stick_of_lognormal_weights_is_an_option_price(kl: float, height: float) -> None:
    s = math.sqrt(2 * kl)
    price = norm.cdf(s / 2 - math.log(height) / s) - height * norm.cdf(-s / 2 - math.log(height) / s)
    estimate = catalogue["K3"].estimate
    assert estimate is not None
    assert float(estimate(cap=height, sequence_kl=kl)) == pytest.approx(price, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("kl", "height", "value"), [(0.1, 1, 0.177), (1, 2, 0.355), (4, 16, 0.535)])
def test_table_of_the_ladder(kl: float, height: float, value: float) -> None:
    s = math.sqrt(2 * kl)

    def density(x: float) -> float:
        return max(math.exp(s * x - kl) - height, 0.0) * norm.pdf(x)

    found = catalogue["K3"].estimate
    assert found is not None
    exact = quad(density, -12, 14, limit=200)[0]
    assert float(found(cap=height, sequence_kl=kl)) == pytest.approx(exact, abs=1e-7)
    assert float(found(cap=height, sequence_kl=kl)) == pytest.approx(value, abs=5e-4)


def test_flips_of_noisy_margins_follow_the_hazard() -> None:
    """A uniform margin has density 1 at 0: greedy flips at s/sqrt(pi)."""
    rng, s = np.random.default_rng(3), 0.02
    hazard = float(catalogue["K10"].claims[0].estimate(margin_density=1.0, logit_noise=s))
    margins = rng.random(1_000_000)
    flips = (margins + s * (rng.normal(size=margins.size) - rng.normal(size=margins.size)) < 0).mean()
    assert abs(flips - hazard) < 5 * math.sqrt(hazard / margins.size)


@given(st.floats(1e-3, 20), st.floats(1e-3, 20))
def test_two_options_attain_the_bound_of_their_averages(first: float, second: float) -> None:
    """K12: the swap pair of two options, each moved against the other by its whole average."""
    bound = float(catalogue["K12"].upper(first_average=first, second_average=second))
    shift = first + second
    p = 1 / (1 + math.exp(shift / 2))
    assert abs(1 / (1 + math.exp(-shift / 2)) - p) == pytest.approx(bound, rel=1e-9, abs=1e-12)


def test_total_variation_alone_bounds_no_higher_rung() -> None:
    """A wrong claim about the ladder is seen: H_2 <= TV^2 fails on the enumerated pairs."""

    def wrong(x):
        yield x.excess(2), "<=", x.tv**2

    with pytest.raises(StepFailedError):
        on_scores("false", wrong).check()


def test_scored_pairs_are_models_with_scores() -> None:
    for x in (*scored(), *truncated()):
        assert sum(leaf.q for leaf in x.tree.leaves) == pytest.approx(1)
        assert x.continued()[()] == pytest.approx(x.right)
        assert 0 <= float(x.right) <= 1
    assert any(leaf.p == 0 < leaf.q for x in truncated() for leaf in x.tree.leaves)
    assert len(scored()) == 2 * len(trees())


def test_an_exact_error_above_its_level_is_seen() -> None:
    """A limit that ignores the variance, 0.9 times the mean, is refused."""
    law, values = np.array([0.9, 0.1]), np.array([0.0, 1.0])

    def careless():
        sample, mass = every_sample([law] * 3, [values] * 3)
        yield sample, mass, lambda x: 0.9 * x.mean(0) > law @ values

    def careful():
        sample, mass = every_sample([law] * 3, [values] * 3)
        yield sample, mass, above(float(law @ values), 0.05)

    with pytest.raises(StepFailedError, match=r"exceeds 0\.05"):
        exact_error("careless", 0.05, careless).check()
    assert "of 0.05" in exact_error("careful", 0.05, careful).check()
    assert float(lower_limit(torch.ones(3, 1), 0.05)) < 1
