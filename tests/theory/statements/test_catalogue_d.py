"""Family D: the Gram matrix against automatic differentiation, and KL of whole sets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory import catalogue, measure

changes = st.tuples(st.integers(2, 8), st.integers(1, 5), st.integers(0, 10**6))


def drawn(size: int, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``(size,)`` and ``count`` changes ``(count, size)`` of them."""
    g = torch.Generator().manual_seed(seed)
    return (
        2 * torch.randn(size, generator=g, dtype=torch.float64),
        torch.randn(count, size, generator=g, dtype=torch.float64),
    )


def gram(z: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    p = z.softmax(-1)
    centred = delta - (delta @ p).unsqueeze(1)
    return (centred * p) @ centred.T


@given(changes)
def test_the_gram_matrix_is_the_hessian_of_kl(sizes: tuple[int, int, int]) -> None:
    z, delta = drawn(*sizes)

    def cost(amounts: torch.Tensor) -> torch.Tensor:
        log_q = (z + amounts @ delta).log_softmax(-1)
        return (z.softmax(-1) * (z.log_softmax(-1) - log_q)).sum()

    hessian = torch.func.hessian(cost)(torch.zeros(len(delta), dtype=torch.float64))
    torch.testing.assert_close(gram(z, delta), hessian, rtol=1e-9, atol=1e-12)


@given(changes, st.floats(1e-3, 3.0))
def test_kl_of_a_set_is_inside_its_bounds(sizes: tuple[int, int, int], scale: float) -> None:
    z, delta = drawn(*sizes)
    delta = scale * delta
    drift = measure(z, z + delta.sum(0))
    total = float(gram(z, delta).sum())
    bounds = catalogue["D5"].claims[0]
    values = {"gram_sum": total, "oscillation": float(drift.oscillation)}
    assert bounds.lower is not None
    assert bounds.upper is not None
    assert float(bounds.lower(**values)) <= float(drift.kl) * (1 + 1e-9)
    assert float(drift.kl) <= float(bounds.upper(**values)) * (1 + 1e-9)


def test_single_costs_miss_what_pairs_do() -> None:
    """Two changes that cancel cost nothing together; two equal ones cost four times one, not twice."""
    z, delta = drawn(5, 1, 3)
    one = 1e-3 * delta[0]
    single = float(measure(z, z + one).kl)
    assert float(measure(z, z + one - one).kl) == 0
    assert float(measure(z, z + 2 * one).kl) == pytest.approx(4 * single, rel=1e-2)
    alone = catalogue["D5"].claims[1].upper
    assert alone is not None
    assert float(alone(parts=2, gram_trace=2 * single)) == pytest.approx(4 * single)


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(-3, 3)))
def test_an_interaction_shifts_the_deviation_by_at_most_its_own(rows: np.ndarray) -> None:
    p = torch.tensor(rows[0]).softmax(-1).numpy()
    sd = [np.sqrt(max(p @ (v - p @ v) ** 2, 0)) for v in (rows[1], rows[1] + rows[2], rows[2])]
    limit = catalogue["D5"].claims[2].upper
    assert limit is not None
    assert abs(sd[1] - sd[0]) <= float(limit(interaction_deviation=sd[2])) + 1e-9


@given(hnp.arrays(np.float64, (5, 2), elements=st.floats(-3, 3)), st.floats(1, 1e4))
def test_plain_least_squares_costs_at_most_its_factor_more(data: np.ndarray, spread: float) -> None:
    """Against numpy's own solver, with weights of which both extremes occur."""
    inputs, targets = np.column_stack([np.ones(5), data[:, 0]]), data[:, 1]
    weights = np.geomspace(1, spread, 5)
    root = np.sqrt(weights)
    plain = targets - inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0]
    best = (
        root * targets
        - (root[:, None] * inputs) @ np.linalg.lstsq(root[:, None] * inputs, root * targets, rcond=None)[0]
    )
    limit = catalogue["D6"].claims[0].upper
    assert limit is not None
    allowed = float(limit(best_cost=float(best @ best), condition=spread))
    assert float(weights @ plain**2) <= allowed * (1 + 1e-6) + 1e-9 * float(weights @ targets**2)
