"""The judge has digits enough, also where a common shift hides how small the changes are."""

from __future__ import annotations

import pytest

from sim.exact import ExactDraw, violated
from theory import catalogue

CLAIMS = [c for t in catalogue if t.status == "sharp" for c in t.claims if c.measurable and c.bounds]


@pytest.mark.parametrize("shift", [0.7, -3.3, 0.123])
def test_a_shift_with_rounding_in_it_breaks_no_theorem(shift: float) -> None:
    logits = [0.9, -0.30000000000000004, 0.1]
    draw = ExactDraw(logits, [z + shift for z in logits], 1.0)
    assert 0 < draw.column("oscillation") < 1e-13
    assert [claim for claim in CLAIMS if violated(claim, draw)] == []


def test_an_exact_shift_is_outside_every_claim() -> None:
    draw = ExactDraw([1.0, 2.0, -3.0], [1.5, 2.5, -2.5], 1.0)
    assert not any(violated(claim, draw) for claim in CLAIMS)
