"""A ranking that is said to survive survives: random moves, and the plane where the budget is used up."""

import math

import mpmath
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from theory.effects.retrieval import angle, order_stable, top_stable


def cosine_distance(x, y):
    return 1 - (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))


@given(st.integers(0, 10**6), st.floats(0.001, 0.5))
def test_certain_orders_survive(seed, scale):
    rng = torch.Generator().manual_seed(seed)
    query, *documents = torch.randn(7, 4, generator=rng, dtype=torch.float64)
    documents = torch.stack(documents)
    query_after = query + scale * torch.randn(4, generator=rng, dtype=torch.float64)
    documents_after = documents + scale * torch.randn(6, 4, generator=rng, dtype=torch.float64)
    before = angle(cosine_distance(query, documents))
    after = angle(cosine_distance(query_after, documents_after))
    moves = angle(cosine_distance(documents, documents_after)) + 1e-7
    own = angle(cosine_distance(query, query_after)) + 1e-7
    stays = order_stable(before, own, moves)
    for a, b in stays.nonzero().tolist():
        assert before[a] < before[b]
        assert after[a] < after[b]
    for k, certain in enumerate(top_stable(before, own, moves).tolist(), start=1):
        if certain:
            assert set(before.argsort()[:k].tolist()) == set(after.argsort()[:k].tolist())


@given(st.floats(0.0, 0.2), st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_in_the_plane_the_budget_is_exactly_used_up(query_move, first, second):
    """Query turned towards b, b towards the query, a away: the lead shrinks by all of the budget."""
    a, b = -0.3, 0.3 + 2 * query_move + first + second
    lead_after = ((b - second) - query_move) - (query_move - (a - first))
    assert lead_after == pytest.approx(0.0, abs=1e-12)
    angles, moves = torch.tensor([0.3, b]), torch.tensor([first, second])
    assert not bool(order_stable(angles + torch.tensor([0.0, -1e-6]), torch.tensor(query_move), moves)[0, 1])
    assert bool(order_stable(angles + torch.tensor([0.0, 1e-6]), torch.tensor(query_move), moves)[0, 1])


@given(st.floats(1e-300, 2.0))
@example(1.9999999999999998)  # arcsine loses half of the digits there
def test_angle_is_accurate_for_tiny_distances(distance):
    with mpmath.workdps(400):
        expected = float(mpmath.acos(1 - mpmath.mpf(distance)))
    assert float(angle(torch.tensor(distance, dtype=torch.float64))) == pytest.approx(expected, rel=1e-12)


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="must have one shape"):
        order_stable(torch.zeros(3), torch.zeros(1), torch.zeros(3))
    with pytest.raises(ValueError, match="must be >= 0"):
        order_stable(torch.zeros(3), torch.tensor(-math.pi), torch.zeros(3))
