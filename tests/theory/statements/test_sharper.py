"""C8, D3, C2 and F9, sharpened: against scipy, on random pairs, and how narrow the intervals became."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.spatial.distance import jensenshannon

from theory import best_interval, catalogue, measure
from theory.drift.record import Drift


def pairs(size: int, span: float, seed: int, rows: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and changes of oscillation at most ``span``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(rows, size))
    change = rng.normal(size=(rows, size))
    change = (change - change.min(1, keepdims=True)) / np.ptp(change, axis=1, keepdims=True)
    change *= span * rng.uniform(0.01, 1, size=(rows, 1))
    return torch.from_numpy(logits), torch.from_numpy(logits + change)


def drift(size: int, span: float, seed: int = 0) -> Drift:
    return measure(*pairs(size, span, seed))


def swap_at(hellinger_sq: float) -> float:
    """Jensen-Shannon of the pair (s, 1 - s), (1 - s, s) that has this squared Hellinger distance."""
    s = brentq(lambda s: 1 - 2 * math.sqrt(s * (1 - s)) - hellinger_sq, 0.5, 1, xtol=1e-15)
    return float(jensenshannon([s, 1 - s], [1 - s, s]) ** 2)


@pytest.mark.parametrize("size", [2, 3, 50])
@pytest.mark.parametrize("span", [0.5, 5.0, 40.0])
def test_js_is_at_most_that_of_the_swap_pair_with_the_same_hellinger_distance(size: int, span: float) -> None:
    sharp = catalogue["C8"].claims[2].upper
    assert sharp is not None
    found = drift(size, span)
    for h, value in zip(found.hellinger_sq.tolist()[:200], found.js.tolist()[:200], strict=True):
        if 1e-6 < h < 1 - 1e-6:
            assert float(sharp(hellinger_sq=h)) == pytest.approx(swap_at(h), rel=1e-8)
        assert value <= float(sharp(hellinger_sq=h)) * (1 + 1e-12) <= h * (1 + 1e-12)


@pytest.mark.parametrize("size", [2, 3, 50])
@pytest.mark.parametrize("span", [0.5, 5.0, 40.0])
def test_a_change_of_given_length_is_worst_on_two_tokens(size: int, span: float) -> None:
    found = drift(size, span)
    length = (2 * size * found.var_u).sqrt()
    assert bool((found.oscillation <= length * (1 + 1e-12)).all())
    for claim in catalogue["F9"].claims:
        assert claim.upper is not None
        bound = claim.upper(vocabulary=float(size), var_u=found.var_u.numpy())
        assert bool((getattr(found, claim.name).numpy() <= bound * (1 + 1e-11)).all()), claim.name


@pytest.mark.parametrize("quantity", ["kl", "kl_reverse", "js", "hellinger_sq", "cosdist_p"])
def test_intervals_of_small_changes_are_narrow_in_both_directions(quantity: str) -> None:
    found = best_interval(drift(50, 0.5), quantity)
    assert float((found.upper / found.lower).max()) < 1.06


def test_what_holds_of_kl_holds_of_the_exchanged_pair() -> None:
    logits, perturbed = pairs(20, 3.0, seed=4)
    there, back = measure(logits, perturbed), measure(perturbed, logits)
    for key, kl, reverse in (("D3", 0, 2), ("C2", 0, 2)):
        claims = catalogue[key].claims
        for side in ("lower", "upper"):
            of_kl, of_reverse = getattr(claims[kl], side), getattr(claims[reverse], side)
            here = of_kl(**{name: getattr(there, name).numpy() for name in of_kl.symbols})
            other = of_reverse(**{name: getattr(back, name).numpy() for name in of_reverse.symbols})
            np.testing.assert_allclose(other, here, rtol=1e-9)
