"""Score bands on models of a few texts: every mean exact, every error summed over all possible samples."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from theory.sequences import betting, paired_scores, scores, verdicts
from theory.sequences.betting import lower_limit
from theory.sequences.paired_scores import le_cam_pair
from theory.sequences.scores import (
    ScoredTexts,
    change_rows,
    deciding_log_weights,
    ladder,
    score_band,
    score_split,
)

LEVEL = 0.6  # each limit wrong with probability at most 0.2
TEXTS = 3


class Prompt:
    """Laws of three texts, P maybe without the last one of Q (K8), and a score."""

    def __init__(self, rng: np.random.Generator, hidden: bool) -> None:
        self.p = np.append(rng.dirichlet(np.ones(TEXTS - hidden)), [0.0] * hidden)
        self.q = rng.dirichlet(np.full(TEXTS, rng.choice([0.3, 1.0])))
        self.f = (rng.random(TEXTS) < 0.5) * 1.0
        with np.errstate(divide="ignore"):
            self.logs = np.log(self.q) - np.log(self.p)

    @property
    def right(self) -> float:
        return float(self.q @ self.f)

    @property
    def change(self) -> float:
        return float((self.q - self.p) @ self.f)


def drawn(prompts: list[Prompt], index: tuple[int, ...], owner: list[int], listed: bool) -> ScoredTexts:
    logs = [prompts[u].logs[i] for u, i in zip(owner, index, strict=True)]
    values = [prompts[u].f[i] for u, i in zip(owner, index, strict=True)]
    return ScoredTexts(torch.tensor(logs), torch.tensor(values), torch.tensor(owner), listed)


def samples(prompts: list[Prompt], owner: list[int], listed: bool, perturbed: bool = False):
    """Every sample of one text for each entry of ``owner``, with its probability."""
    for index in itertools.product(range(TEXTS), repeat=len(owner)):
        law = [(prompts[u].q if perturbed else prompts[u].p)[i] for u, i in zip(owner, index, strict=True)]
        if mass := math.prod(law):
            yield mass, drawn(prompts, index, owner, listed)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("owner", [[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 2, 3]])
def test_exact_errors_on_listed_prompts(hidden: bool, owner: list[int]) -> None:
    rng = np.random.default_rng(len(set(owner)) + 10 * hidden)
    largest = 0.0
    for _ in range(6):
        prompts = [Prompt(rng, hidden) for _ in set(owner)]
        right = np.mean([prompt.right for prompt in prompts])
        change = np.mean([prompt.change for prompt in prompts])
        wrong, mean = np.zeros(4), 0.0
        for mass, texts in samples(prompts, owner, listed=True):
            band = score_band(texts, LEVEL)
            wrong += mass * np.array(
                [
                    float(band.perturbed.lower) > right + 1e-12,
                    float(band.perturbed.upper) < right - 1e-12,
                    float(band.change.lower) > change + 1e-12,
                    float(band.change.upper) < change - 1e-12,
                ]
            )
            mean += mass * float(texts.units(texts.change.unsqueeze(1)).mean())
        if not hidden:
            assert mean == pytest.approx(change, abs=1e-12)
        assert mean <= change + 1e-12
        assert wrong.max() <= (1 - LEVEL) / 2 + 1e-12
        largest = max(largest, wrong.max())
    assert largest > 0


def test_exact_errors_on_drawn_prompts() -> None:
    """Prompts of two kinds, drawn independently, one text each: the mean is over the kinds."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        kinds = [Prompt(rng, hidden=False) for _ in range(2)]
        change = np.mean([kind.change for kind in kinds])
        wrong = np.zeros(2)
        for owner in itertools.product(range(2), repeat=4):
            met = [kinds[kind] for kind in owner]
            for mass, texts in samples(met, [0, 1, 2, 3], listed=False):
                band = score_band(texts, LEVEL).change
                wrong += mass / 16 * np.array([float(band.lower) > change, float(band.upper) < change])
        assert wrong.max() <= (1 - LEVEL) / 2


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0, 30))
def test_a_band_holds_its_estimate_inside_the_trivial_one(seed: int, count: int, spread: float) -> None:
    g = torch.Generator().manual_seed(seed)
    logs = spread * torch.randn(count, generator=g, dtype=torch.float64) - spread
    f = torch.rand(count, generator=g, dtype=torch.float64)
    texts = ScoredTexts(logs, f, torch.arange(count) // 2)
    found = score_band(texts)
    for band, low in ((found.dense, 0), (found.perturbed, 0), (found.change, -1)):
        if band.lower <= band.upper:  # limits of a very unlikely sample may cross
            assert low <= float(band.lower) <= float(band.mean) <= float(band.upper) <= 1
    split = score_split(texts)
    for band in (split.lost_right, split.lost_wrong, split.gained_right, split.gained_wrong):
        assert float(band.lower) >= 0
        assert float(band.upper) <= 1


@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.01, 3))
def test_without_a_cap_the_limit_is_never_wider(seed: int, count: int, spread: float) -> None:
    """K4 (d): on every sample the limit from untruncated weights is at least that of any cap."""
    g = torch.Generator().manual_seed(seed)
    logs = spread * torch.randn(count, generator=g, dtype=torch.float64)
    f = (torch.rand(count, generator=g) < 0.7).double()
    texts = ScoredTexts(logs, f, torch.arange(count))
    plus, _ = change_rows(texts)
    full = float(lower_limit(plus.unsqueeze(1), 0.05))
    assert full - 1 == pytest.approx(min(float(score_band(texts).change.lower), 1), abs=1e-9) or full > 2
    for cap in (1.0, 2.0, 16.0):
        cut = 1 - f + logs.exp().clamp(max=cap) * f
        assert float(lower_limit(cut.unsqueeze(1), 0.05)) <= full + 1e-10


@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 12))
def test_split_and_ladder_add_up(seed: int, listed: bool, count: int) -> None:
    g = torch.Generator().manual_seed(seed)
    logs = torch.randn(count, generator=g, dtype=torch.float64)
    prompt = torch.sort(torch.cat([torch.arange((count + 1) // 2), torch.zeros(count // 2).long()])).values
    texts = ScoredTexts(logs, torch.rand(count, generator=g, dtype=torch.float64), prompt, listed)
    split, rungs = score_split(texts), ladder(texts, [1, 2, 4])
    lost = float(split.lost_right.mean + split.lost_wrong.mean)
    assert float(rungs.width.mean[0]) == pytest.approx(lost)
    gained = torch.expm1(logs).clamp(min=0) * texts.scores
    without = float(texts.units((texts.change - gained).unsqueeze(1)).mean())
    assert without == pytest.approx(-float(split.lost_right.mean))
    assert bool((rungs.width.lower <= rungs.width.upper + 1e-9).all())


@given(st.integers(0, 10**6), st.booleans())
def test_the_split_is_that_of_the_sample(seed: int, listed: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    logs, f = 0.3 * torch.randn(40, generator=g).double(), (torch.rand(40, generator=g) < 0.6).double()
    split = score_split(ScoredTexts(logs, f, torch.arange(40) // 2, listed))
    w = logs.exp()
    expected = {
        "lost_right": ((1 - w).clamp(min=0) * f).mean(),
        "lost_wrong": ((1 - w).clamp(min=0) * (1 - f)).mean(),
        "gained_right": ((w - 1).clamp(min=0) * f).mean(),
        "gained_wrong": ((w - 1).clamp(min=0) * (1 - f)).mean(),
    }
    for name, value in expected.items():
        band = getattr(split, name)
        shown = float(value.clamp(max=band.upper))  # no gain is shown above the limit of total variation
        assert float(band.mean) == pytest.approx(shown, abs=1e-12)


def test_the_ladder_encloses_the_score_on_average() -> None:
    rng = np.random.default_rng(3)
    for hidden in (False, True):
        prompt = Prompt(rng, hidden)
        lower, upper = torch.zeros(4).double(), torch.zeros(4).double()
        caps = [0.5, 1.0, 2.0, 1e6]
        for mass, texts in samples([prompt], [0], listed=True):
            rungs = ladder(texts, caps)
            lower, upper = lower + mass * rungs.lower, upper + mass * rungs.upper
        assert bool((lower <= prompt.right + 1e-12).all())
        assert bool((upper >= prompt.right - 1e-12).all())
        excess = [np.maximum(prompt.q - cap * prompt.p, 0).sum() for cap in caps]
        torch.testing.assert_close(upper - lower, torch.tensor(excess))


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9))
def test_weights_up_to_the_deciding_token(seed: int, count: int, horizon: int) -> None:
    g = torch.Generator().manual_seed(seed)
    ratio = torch.randn(count, horizon, generator=g, dtype=torch.float64)
    decided = torch.randint(0, horizon + 1, (count,), generator=g)
    expected = [float(row[:n].sum()) for row, n in zip(ratio, decided.tolist(), strict=True)]
    after = ratio.clone()
    after[torch.arange(horizon) >= decided.unsqueeze(1)] = -math.inf  # must not be read
    assert deciding_log_weights(after, decided).tolist() == pytest.approx(expected)


def test_usable_needs_ten_prompts_and_no_heavy_text() -> None:
    def band(logs: Tensor) -> scores.ScoreBand:
        return score_band(ScoredTexts(logs, torch.ones(len(logs)), torch.arange(len(logs))))

    assert band(torch.zeros(11)).usable
    assert band(torch.zeros(11)).sample_size == pytest.approx(11)
    assert not band(torch.zeros(9)).usable
    heavy = torch.zeros(60)
    heavy[0] = 3.0
    assert band(heavy).largest_share == pytest.approx(math.exp(3) / (59 + math.exp(3)))
    assert not band(heavy).usable
    assert not band(torch.full((20,), -math.inf)).usable
    clusters = ScoredTexts(torch.zeros(40), torch.ones(40), torch.arange(40) // 5)
    assert score_band(clusters).sample_size == pytest.approx(8)


def test_weights_of_any_size_give_finite_limits() -> None:
    logs = torch.tensor([-math.inf, -1e4, 0.0, 800.0, math.inf, 3.0], dtype=torch.float64)
    for values in ([0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0]):
        texts = ScoredTexts(logs, torch.tensor(values), torch.arange(6))
        for band in (score_band(texts).perturbed, score_band(texts).change):
            assert math.isfinite(float(band.lower))
            assert math.isfinite(float(band.mean))


ones, index = torch.ones(4), torch.arange(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ScoredTexts(ones, torch.ones(3), index), r"scores has shape \(3,\)"),
        (lambda: ScoredTexts(ones, ones, ones), "prompt has dtype torch.float32"),
        (lambda: ScoredTexts(ones, ones, 2 * index), "prompt 1 has no text"),
        (lambda: ScoredTexts(ones * math.nan, ones, index), "log_weights contains nan"),
        (lambda: ScoredTexts(ones, 2 * ones, index), r"scores leaves \[0, 1\]"),
        (lambda: ScoredTexts(ones[:0], ones[:0], index[:0]), "N >= 1"),
        (lambda: score_band(ScoredTexts(ones, ones, index), 1.0), "level is 1.0"),
        (lambda: ladder(ScoredTexts(ones, ones, index), [0.0]), r"caps is \[0.0\]"),
        (lambda: deciding_log_weights(torch.ones(4, 3), index + 1), r"decided leaves 0..3"),
        (lambda: deciding_log_weights(torch.ones(4, 3), ones), "decided has shape"),
        (
            lambda: le_cam_pair(ScoredTexts(ones, ones, index), ScoredTexts(ones, ones, index // 2)),
            "perturbed has 2 prompts",
        ),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("module", [betting, scores, paired_scores, verdicts])
def test_examples(module) -> None:
    assert doctest.testmod(module).failed == 0
