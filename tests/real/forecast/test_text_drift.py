from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from real.forecast.first_divergence import first_divergence_table
from real.forecast.stepwise import StepScores, _compare, dense_pass, score_variant
from real.forecast.text_drift import (
    Forecast,
    _half_life,
    by_prompt,
    default_prompts,
    forecast,
    observe,
    reference,
    summarise,
)
from real.forecast.verdict import of_ceiling, verdicts
from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.scores.verdict import Interval, Outcome
from real.tasks.retrieval import first_certain, retrieval_probe
from real.text.prompting import encode_prompt
from real.text.sample import sample
from real.text.texts import passages
from theory import Band, measure, token_log_probs
from theory.sequences.survival import tv_terms

PROMPTS = ["hello", "some words", "one two three"]


@pytest.fixture(scope="module")
def found(tiny_lm: LanguageModel) -> dict[str, Forecast]:
    dense = reference(tiny_lm, PROMPTS, tokens=6, samples=4, seed=2)
    return {one.spec: one for one in forecast(tiny_lm, ["attn:0", "attn:1", "attn:1+mlp:2"], dense)}


def test_a_model_against_itself_is_exactly_zero(found: dict[str, Forecast]) -> None:
    same = found["attn:0"]
    assert bool((same.sequence_tv.mean == 0).all())
    assert bool((same.survival.mean == 1).all())
    assert bool((same.kl == 0).all())
    assert same.kl_per_token.mean == same.options_changed.mean == same.retrieval_change.mean == 0
    assert same.acceptance.mean == 1
    assert same.half_life.estimate is None
    assert bool((same.shared_noise.mean == 1).all())
    assert torch.equal(same.greedy.identical, same.greedy.length)
    assert same.retrieval_certified == 1


def test_bands_hold_their_means_and_tv_is_below_one_minus_survival(found: dict[str, Forecast]) -> None:
    for one in found.values():
        for band in (one.sequence_tv, one.survival):
            assert bool(((band.lower <= band.mean) & (band.mean <= band.upper)).all())
        assert one.kl_per_token.lower <= one.kl_per_token.mean <= one.kl_per_token.upper
        assert bool((one.survival.mean.diff() <= 1e-12).all())
        # survival <= 1 - TV holds of the numbers, so their lower limits cannot exclude it
        assert bool((one.sequence_tv.lower <= 1 - one.survival.lower).all())


def made_up(tiny_lm: LanguageModel, **columns: torch.Tensor) -> Forecast:
    """The summary of scores that no model gave, 6 steps each, on the reference's prompts."""
    dense = reference(tiny_lm, PROMPTS, tokens=6, samples=4, seed=2)
    shape = (len(dense.sampled.samples), dense.sampled.samples.horizon)
    zero = torch.zeros(shape, dtype=torch.float64)
    scores = StepScores(**{**dict.fromkeys(["log_ratio", "tv", "kl", "shared", "entropy"], zero), **columns})
    same = observe(tiny_lm, dense, tiny_lm)
    return summarise("made up", dense, replace(same, scores=scores))


def test_means_keep_their_sign(tiny_lm: LanguageModel) -> None:
    drawn = sample(tiny_lm, PROMPTS, 4, samples=3, seed=0)
    values = torch.randn(len(drawn), 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.3
    expected = torch.stack([values[drawn.prompt == prompt].mean(0) for prompt in range(3)])
    torch.testing.assert_close(by_prompt(values, drawn), expected)
    assert bool((expected < 0).any())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.lists(st.floats(0, 0.3), min_size=8, max_size=8))
def test_half_life_is_every_n_that_two_neighbouring_limits_allow(mean: list[float], gap: list[float]) -> None:
    middle = torch.tensor(mean, dtype=torch.float64)
    half = torch.tensor(gap[: len(mean)], dtype=torch.float64)
    band = Band(middle, middle - half, middle + half)
    found = _half_life(band)
    lower, upper = [1.0, *band.lower.tolist()], [1.0, *band.upper.tolist()]
    possible = [n for n in range(1, len(lower)) if lower[n] < 0.5 <= upper[n - 1]]
    if found.lower is not None:
        assert found.lower == min(possible)
    else:
        assert not possible
    if found.upper is not None:
        assert found.upper == 1 + max(n for n, value in enumerate(upper) if value >= 0.5)
        assert all(n <= found.upper for n in possible)
    else:
        assert upper[-1] >= 0.5


def test_half_life_of_a_band_that_does_not_fall() -> None:
    upper = torch.tensor([0.9, 0.45, 0.6, 0.4], dtype=torch.float64)
    assert _half_life(Band(upper, upper - 0.2, upper)).upper == 4


def test_texts_that_end_have_no_identical_tokens_after_their_end(tiny_lm: LanguageModel) -> None:
    live = torch.arange(6).expand(12, 6) < 2
    ended = made_up(tiny_lm, live=live, agree=torch.ones_like(live))
    assert ended.identical_tokens.mean == pytest.approx(2)


def test_the_total_variation_of_a_step_never_exceeds_one() -> None:
    g = torch.Generator().manual_seed(0)
    far = 60 * torch.randn(400, 300, generator=g)
    tv = _compare(torch.zeros(400, dtype=torch.int64), far, -far)[1]
    assert float(tv.max()) == 1


def test_kl_is_summed_over_steps_and_never_negative(tiny_lm: LanguageModel) -> None:
    whole = torch.ones(12, 6, dtype=torch.bool)
    g = torch.Generator().manual_seed(1)
    kl = torch.rand(12, 6, generator=g, dtype=torch.float64)
    ratio = torch.randn(12, 6, generator=g, dtype=torch.float64)
    found = made_up(tiny_lm, live=whole, agree=whole, kl=kl, log_ratio=ratio)
    torch.testing.assert_close(found.kl, kl.cumsum(1).mean(0))
    assert bool((found.kl.diff() >= 0).all())


def test_step_scores_agree_with_the_careful_measurement(tiny_lm: LanguageModel) -> None:
    drawn = sample(tiny_lm, PROMPTS, 5, samples=2, temperature=0.7, seed=1)
    dense = dense_pass(tiny_lm, drawn)
    with variant(tiny_lm, "mlp:1") as other:
        scores = score_variant(tiny_lm, dense, other)
        with torch.inference_mode():
            pruned = other.model(drawn.tokens).logits
    with torch.inference_mode():
        plain = tiny_lm.model(drawn.tokens).logits
    for row in range(len(drawn)):
        start, end = int(drawn.prompt_lengths[row]), int(drawn.lengths[row])
        p, q = plain[row, start - 1 : end - 1], pruned[row, start - 1 : end - 1]
        drift, tokens = measure(p, q, 0.7), drawn.tokens[row, start:end]
        n = end - start
        ratio = token_log_probs(q, tokens, 0.7) - token_log_probs(p, tokens, 0.7)
        torch.testing.assert_close(scores.log_ratio[row, :n], ratio, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(scores.tv[row, :n], drift.tv, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(scores.kl[row, :n], drift.kl, rtol=1e-3, atol=1e-4)
        assert torch.equal(scores.agree[row, :n], drift.top1_agree)
        assert not scores.live[row, n:].any()
    table = scores.frame()
    assert len(table) == int(scores.live.sum())
    assert table.groupby("row").size().tolist() == (drawn.lengths - drawn.prompt_lengths).tolist()
    assert table.tv.sum() == pytest.approx(float(scores.tv.sum()))


def test_sequence_tv_is_that_of_brute_force(tiny_lm: LanguageModel) -> None:
    """All 258² two-token continuations, one distribution each."""
    ids = encode_prompt(tiny_lm, "ab")
    every = torch.tensor([[*ids, token] for token in range(258)])

    def pair_log_probs(lm: LanguageModel) -> torch.Tensor:
        with torch.inference_mode():
            log_probs = lm.model(every).logits[:, -2:].double().log_softmax(-1)
        both = log_probs[0, 0].unsqueeze(1) + log_probs[:, 1]
        ended = log_probs[0, 0, 257]  # nothing follows the end of sequence
        both[257] = -math.inf
        both[257, 0] = ended
        return both

    dense, drawn = pair_log_probs(tiny_lm), sample(tiny_lm, ["ab"], 2, samples=3000, seed=7, batch_size=1000)
    known = dense_pass(tiny_lm, drawn)
    with variant(tiny_lm, "attn:1") as other:
        exact = float((dense.exp() - pair_log_probs(other).exp()).abs().sum() / 2)
        terms = tv_terms(score_variant(tiny_lm, known, other).log_ratio)[:, 1]
    assert 0.05 < exact < 0.95
    assert abs(float(terms.mean()) - exact) < math.sqrt(math.log(2e9) / (2 * 3000))  # Hoeffding at 1e-9


def test_greedy_prefix_is_where_free_running_greedy_text_departs(
    tiny_lm: LanguageModel, found: dict[str, Forecast]
) -> None:
    dense = sample(tiny_lm, PROMPTS, 6, temperature=0)
    with variant(tiny_lm, "attn:1") as other:
        own = sample(other, PROMPTS, 6, temperature=0)
    for row, predicted in enumerate(found["attn:1"].greedy.identical.tolist()):
        one, two = dense.continuation(row), own.continuation(row)
        n = min(len(one), len(two))
        assert predicted == int((one[:n] == two[:n]).long().cumprod(0).sum())


def test_first_divergences_are_a_distribution(found: dict[str, Forecast]) -> None:
    for one in found.values():
        table = first_divergence_table(one)
        assert table["first"].tolist() == [1, 2, 3, 5, 0]
        assert table["last"].tolist() == [1, 2, 4, 6, 0]
        for way in ("greedy", "shared_noise", "best_coupling"):
            assert table[way].sum() == pytest.approx(1)
            assert (table[way] >= -1e-9).all()
        departed = int((one.greedy.identical < one.greedy.length).sum())
        assert table["greedy"].iloc[:-1].sum() == pytest.approx(departed / 3)
    assert first_divergence_table(found["attn:0"])["greedy"].iloc[-1] == 1


def test_no_coupling_beats_the_best_one(found: dict[str, Forecast]) -> None:
    """Every sample's weight under shared noise is at most min(1, q/p), so the means are ordered too."""
    for one in found.values():
        assert bool((one.shared_noise.mean[1:] <= one.survival.mean[:-1] + 1e-9).all())
    assert bool((found["attn:1"].shared_noise.mean < 1).all())


def test_a_certain_first_document_stays_first(tiny_lm: LanguageModel) -> None:
    dense = retrieval_probe(tiny_lm)
    for spec in ("int8", "attn:1"):
        with variant(tiny_lm, spec) as other:
            moved = retrieval_probe(other)
        certain = first_certain(dense, moved)
        first, then = (
            (normalize(probe.queries, dim=-1) @ normalize(probe.documents, dim=-1).T).argmax(1)
            for probe in (dense, moved)
        )
        assert bool((first == then)[certain].all())
    assert bool(first_certain(dense, dense).all())
    tiny_move = replace(dense, queries=dense.queries * (1 + 1e-9), documents=dense.documents + 1e-9)
    assert bool(first_certain(dense, tiny_move).any())


def test_verdicts_follow_their_rules(found: dict[str, Forecast]) -> None:
    for one in found.values():
        for verdict in verdicts(one):
            assert verdict.confidence == pytest.approx(0.95)
            assert verdict.number.lower <= verdict.number.mean <= verdict.number.upper
    same = {verdict.kind: verdict for verdict in verdicts(found["attn:0"])}
    assert same["retrieval"].outcome is Outcome.SAFE  # 32 queries are just enough
    assert same["short answer"].more == 29  # 3 prompts


def test_total_variation_makes_safe_or_leaves_undecided() -> None:
    """Whatever has moved, it is no score; with too few prompts the missing ones are named."""
    for upper, prompts, more in ((0.08, 40, None), (1.0, 40, None), (0.24, 16, 16)):
        verdict = of_ceiling("short answer", Interval(upper, upper, upper), 8, prompts, 0.9)
        assert verdict.outcome is (Outcome.SAFE if upper <= 0.1 else Outcome.UNDECIDED)
        assert verdict.more == more


def test_only_lost_decisions_count_against_multiple_choice(found: dict[str, Forecast]) -> None:
    one = found["attn:1"]
    assert abs(one.options_lost.mean) <= one.options_changed.mean
    gained = replace(one, options_lost=Interval(-0.5, -0.7, -0.3), options_changed=Interval(0.5, 0.3, 0.7))
    assert verdicts(gained)[0].outcome is Outcome.SAFE
    lost = replace(one, options_lost=Interval(0.5, 0.3, 0.7))
    assert verdicts(lost)[0].outcome is Outcome.FAILS


def test_default_prompts_are_not_calibration_text() -> None:
    assert len(default_prompts()) == 40
    calibration = " ".join(passages("calibration"))
    assert not any(prompt in calibration for prompt in default_prompts())
