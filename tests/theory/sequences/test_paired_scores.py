"""The Le Cam pair on models of a few texts: exact means and errors, and what coupling leaves as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.theory.sequences.test_scores import LEVEL, Prompt, samples
from theory.sequences import betting
from theory.sequences.paired_scores import le_cam_pair, le_cam_rows
from theory.sequences.scores import ScoredTexts


@pytest.mark.parametrize("listed", [False, True])
def test_le_cam_pair_is_exact_in_the_mean_and_in_its_errors(listed: bool) -> None:
    rng = np.random.default_rng(7)
    for _ in range(4):
        prompts = [Prompt(rng, hidden=False) for _ in range(2)]
        change = np.mean([prompt.change for prompt in prompts])
        mean, wrong, square = 0.0, np.zeros(2), 0.0
        for first, dense in samples(prompts, [0, 1], listed):
            for second, other in samples(prompts, [0, 1], listed, perturbed=True):
                pair = le_cam_pair(dense, other, LEVEL)
                values = [
                    2 * np.tanh(t.log_weights.numpy() / 2) * (t.scores.numpy() - 0.5) for t in (dense, other)
                ]
                mean += first * second * np.mean(values)
                square += first * second * pair.le_cam
                miss = [float(pair.change.lower) > change, float(pair.change.upper) < change]
                wrong += first * second * np.array(miss)
        assert mean == pytest.approx(change)
        if listed:  # two drawn prompts of two kinds are not always these two
            assert wrong.max() <= (1 - LEVEL) / 2
        lecam = np.mean([((p.q - p.p) ** 2 / (p.q + p.p)).sum() / 2 for p in prompts])
        assert square == pytest.approx(lecam)


@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 3), st.integers(1, 3))
def test_le_cam_pair_weighs_both_models_alike(seed: int, listed: bool, first: int, second: int) -> None:
    """Also where one model wrote more texts than the other: the mean of the two models' means."""
    g = torch.Generator().manual_seed(seed)
    texts, means = [], []
    for each in (first, second):
        logs = torch.randn(20 * each, generator=g, dtype=torch.float64)
        f = (torch.rand(20 * each, generator=g) < 0.5).double()
        texts.append(ScoredTexts(logs, f, torch.arange(20 * each) % 20, listed))
        means.append(float((2 * torch.tanh(logs / 2) * (f - 0.5)).mean()))
    pair = le_cam_pair(*texts)
    assert float(pair.change.mean) == pytest.approx(sum(means) / 2)
    assert float(pair.change.lower) < sum(means) / 2 < float(pair.change.upper)


def test_le_cam_pair_beats_counting() -> None:
    """Simulated, models near each other: far narrower than a band of paired right-or-wrong answers."""
    g = torch.Generator().manual_seed(0)
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.47, 0.32, 0.21], dtype=torch.float64)
    f = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    logs = (q / p).log()
    picks = [torch.multinomial(law, 400, replacement=True, generator=g) for law in (p, q)]
    texts = [ScoredTexts(logs[pick], f[pick], torch.arange(400)) for pick in picks]
    pair = le_cam_pair(*texts)
    counted = betting.signed_band((f[picks[1]] - f[picks[0]]).unsqueeze(1), 0.9)
    assert float(pair.change.upper - pair.change.lower) < 0.5 * float(counted.upper - counted.lower)
    assert float(pair.change.lower) <= -0.03 <= float(pair.change.upper)


def test_coupled_rows_are_pairs() -> None:
    prompt, other = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    texts = ScoredTexts(torch.tensor([0.3, -1.0, 0.0]), torch.tensor([1.0, 0.0, 1.0]), prompt, listed=True)
    rows = le_cam_rows(texts, texts, coupled=True)
    assert rows.shape == (3, 2)
    torch.testing.assert_close(rows.mean(0), le_cam_rows(texts, texts).mean(0))
    with pytest.raises(ValueError, match="different prompts"):
        le_cam_rows(texts, replace(texts, prompt=other), coupled=True)
