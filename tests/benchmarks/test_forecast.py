"""One more spec in a forecast costs one teacher-forced pass; the alternative is to generate with it.

The same number of tokens is generated with the pruned model as ``generate`` does it, with a key-value cache:
one text at a time (the requirement's meaning, and how experiments of this kind are usually scripted), and all
texts in one batch (the fastest way there is, which needs the same arithmetic as the forecast).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from real.forecast.stepwise import dense_pass, score_variant
from real.pruning.variants import variant
from real.text.sample import sample
from tests.benchmarks.test_trace import seconds, smollm2_shape

pytestmark = pytest.mark.benchmark

PROMPTS = ["the first of two prompts", "and another one"]
SAMPLES, TOKENS = 4, 64


def test_forecasting_a_spec_beside_generating_with_it(record_property: Callable[[str, object], None]) -> None:
    lm = smollm2_shape(layers=30)
    dense = dense_pass(lm, sample(lm, PROMPTS, TOKENS, SAMPLES, seed=1))
    with variant(lm, "attn:[20]") as other:
        scored = min(seconds(lambda: score_variant(lm, dense, other)) for _ in range(2))
        alone = seconds(lambda: sample(other, PROMPTS, TOKENS, SAMPLES, seed=1, batch_size=1))
        batched = seconds(lambda: sample(other, PROMPTS, TOKENS, SAMPLES, seed=1, batch_size=8))
    for name, cost in (("one text at a time", alone), ("all texts in one batch", batched)):
        record_property(f"forecast: times cheaper than generating {name}", cost / scored)
        print(f"\nforecast pass {cost / scored:.1f}x cheaper than generating {name}")
