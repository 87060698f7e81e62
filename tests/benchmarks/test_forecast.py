"""One more spec in a forecast costs one teacher-forced pass; the alternative is to generate with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from real.sample import sample
from real.stepwise import dense_pass, score_variant
from real.variants import variant
from tests.benchmarks.test_trace import seconds, smollm2_shape

pytestmark = pytest.mark.benchmark

PROMPTS = [f"prompt number {index}" for index in range(8)]
TOKENS = 24


def test_forecasting_a_spec_beside_generating_with_it(record_property: Callable[[str, object], None]) -> None:
    lm = smollm2_shape(layers=30)
    drawn = sample(lm, PROMPTS, TOKENS, seed=1)
    dense = dense_pass(lm, drawn)
    with variant(lm, "attn:[20]") as other:
        scored = seconds(lambda: score_variant(lm, dense, other))
        alone = seconds(lambda: sample(other, PROMPTS, TOKENS, seed=1, batch_size=1))
        batched = seconds(lambda: sample(other, PROMPTS, TOKENS, seed=1, batch_size=len(PROMPTS)))
    for name, cost in (("one by one", alone), ("in one batch", batched)):
        record_property(f"forecast: times cheaper than generating {name}", cost / scored)
        print(f"\nforecast pass {cost / scored:.1f}x cheaper than generating {name}")
