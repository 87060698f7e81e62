"""In half precision the same weights are two functions: what drew the text, and what reads it (K10)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Categorical

from real.forecast.noise import NoiseFloor
from real.forecast.stepwise import dense_pass, evaluation_noise, score_variant
from real.forecast.text_drift import Forecast, forecast, reference
from real.forecast.verdict import of_ceiling, verdicts
from real.models.load import LanguageModel
from real.scores.verdict import Interval, Outcome
from real.text import sample as sampling
from real.text.sample import GumbelRace, row_generators, sample
from tests.real.conftest import tiny_language_model

PROMPTS = ["hello", "some words", "one two three"]


@pytest.fixture(scope="module")
def half() -> LanguageModel:
    lm = tiny_language_model(seed=3)
    lm.model.to(torch.bfloat16)
    return lm


@pytest.fixture(scope="module")
def found(half: LanguageModel) -> Forecast:
    dense = reference(half, PROMPTS, tokens=12, samples=4, seed=2)
    (one,) = forecast(half, ["attn:0"], dense)
    return one


def test_what_is_kept_is_the_probability_of_what_was_drawn() -> None:
    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    race = GumbelRace(0.7, row_generators(1, range(3)), keep=True)
    chosen = race(torch.zeros(3, 1, dtype=torch.long), scores).argmax(-1)  # type: ignore[arg-type]
    expected = Categorical(logits=scores.double() / 0.7).log_prob(chosen)
    torch.testing.assert_close(race.drawn[0], expected)


def test_in_float32_both_evaluations_are_one(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sample(tiny_lm, PROMPTS, 9, 2).log_prob is None
    monkeypatch.setattr(sampling, "HALF", (torch.float32,))
    kept = sample(tiny_lm, PROMPTS, 9, 2)
    noise = evaluation_noise(dense_pass(tiny_lm, kept))
    assert noise is not None
    assert kept.log_prob is not None
    assert float(kept.log_prob.min()) < -0.01
    assert float(noise.abs().max()) < 1e-4


def test_the_drift_is_from_the_law_that_drew_the_text(half: LanguageModel) -> None:
    dense = dense_pass(half, sample(half, PROMPTS, 12, 4, seed=2))
    noise = evaluation_noise(dense)
    assert noise is not None
    assert float(noise.abs().max()) > 1e-3
    same = score_variant(half, dense, half)
    torch.testing.assert_close(same.log_ratio, noise)
    plain = score_variant(half, replace(dense, samples=replace(dense.samples, log_prob=None)), half)
    assert float(plain.log_ratio.abs().max()) == 0


def test_the_floor_is_measured_and_below_it_nothing_is_said(found: Forecast) -> None:
    assert found.noise is not None
    assert 0 < found.noise.kl_per_token < 0.1
    assert 0 < float(found.noise.sequence_tv[-1]) < 1
    torch.testing.assert_close(found.sequence_tv.mean, found.noise.sequence_tv)  # nothing but noise moved
    short, long = verdicts(found)[2:]
    assert short.outcome is long.outcome is Outcome.UNDECIDED


def test_noise_widens_and_drowns() -> None:
    small = Interval(0.03, 0.02, 0.06)
    judge = lambda noise: of_ceiling("short", small, 8, 100, 0.9, noise).outcome  # noqa: E731
    assert [judge(noise) for noise in (0.0, 0.02, 0.03, 0.05)] == [
        Outcome.SAFE,
        Outcome.SAFE,
        Outcome.UNDECIDED,
        Outcome.UNDECIDED,
    ]


def test_options_are_judged_with_their_noise(found: Forecast) -> None:
    assert found.noise is not None
    sure = replace(found, options_lost=Interval(0.0, -0.01, 0.05))
    quiet = replace(sure, noise=NoiseFloor(0.0, found.noise.sequence_tv, 0.0))
    loud = replace(sure, noise=NoiseFloor(0.0, found.noise.sequence_tv, 0.06))
    assert verdicts(quiet)[0].outcome is Outcome.SAFE
    assert verdicts(loud)[0].outcome is Outcome.UNDECIDED
    assert math.isfinite(found.kl_per_token.mean)
