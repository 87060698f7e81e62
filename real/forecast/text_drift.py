"""Say what a pruned model's text will be like without letting it write any.

K samples of the dense model per prompt are scored by ONE teacher-forced pass of each variant. Statement J1
turns the log-ratios along them into the total variation between the two models' n-token outputs (no score in
[0, 1] can change by more), the survival of exact agreement and the KL divergence, as functions of n. The
dense greedy text gives the exact step at which greedy decoding departs (G10). Multiple choice and retrieval
are probed on shipped items that no evaluation uses.

Prompts are the independent units: samples and steps of one prompt are averaged before any interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from real.forecast.noise import NoiseFloor, noise_floor
from real.forecast.stepwise import (
    DensePass,
    GreedyPrefix,
    StepScores,
    dense_pass,
    greedy_prefix,
    score_variant,
)
from real.models.load import LanguageModel
from real.pruning.calibration import Calibration
from real.pruning.choose import Memory
from real.pruning.variants import recalibrated, variant
from real.scores.verdict import Interval as Interval
from real.tasks.multiple_choice import OptionItem, decisions, option_items
from real.tasks.retrieval import HALF_WORDS, RetrievalProbe, first_certain, retrieval_probe
from real.text.prompting import encode_prompts
from real.text.sample import Samples, sample
from real.text.texts import openings, prompts
from theory import Band, survival_weights_given_tv, tv_terms
from theory.sequences.betting import betting_band, signed_band
from theory.terminal.console import track

LEVEL = 0.9  # two-sided: each limit by itself is wrong with probability at most 0.05
_PER_TOKEN_CAP = (
    8.0  # nats; a mean KL per token is clipped here to get a lower limit that needs no assumption
)
_RESAMPLES = 2000


@dataclass(frozen=True)
class HalfLife:
    """First n with survival below one half; None where it lies beyond the horizon."""

    estimate: int | None
    lower: int | None
    upper: int | None


@dataclass(frozen=True)
class Forecast:
    """What to expect of one variant. Bands are float64 ``(n,)`` over n = 1..horizon, valid for each n.

    sequence_tv: TV(P_n, Q_n), a ceiling on the change of the mean of every score in [0, 1].
    survival: S_n, probability that n tokens stay identical under the best causal coupling (maximal coupling
    of every step, G2). shared_noise: the same when both models sample with one Gumbel noise (G11).
    kl: ``(n,)`` KL(P_n||Q_n) in nats (estimate: the steps' KL summed along the dense texts). kl_per_token:
    its mean per generated token; the lower limit is valid, the upper a bootstrap over prompts (KL is
    unbounded: none is valid without assumptions).
    kl_per_token_calibrations: the same mean on three calibration texts, this one's first, where another text
    gives another model (masks found layer by layer); else empty.
    acceptance: probability that a token drafted by the variant is accepted in speculative decoding.
    identical_tokens: expected identical prefix within the horizon; a text that ends has no tokens after it.
    noise: in half precision, what the same weights differ by between two evaluations (K10); else None.
    greedy: identical greedy tokens of each prompt, exact and certified.
    options_changed: share of option decisions that change; options_lost: loss of their accuracy.
    retrieval_change: mean |change of nDCG@10|; retrieval_lost: its loss.
    retrieval_certified: share of queries whose first document is certain to stay first (H4).
    """

    spec: str
    horizon: int
    prompts: int
    samples: int
    temperature: float
    level: float
    sequence_tv: Band
    survival: Band
    shared_noise: Band
    kl: Tensor
    kl_per_token: Interval
    acceptance: Interval
    identical_tokens: Interval
    half_life: HalfLife
    greedy: GreedyPrefix
    options_changed: Interval
    options_lost: Interval
    retrieval_change: Interval
    retrieval_lost: Interval
    retrieval_certified: float
    seconds: float
    noise: NoiseFloor | None = None
    kl_per_token_calibrations: tuple[float, ...] = ()


@dataclass(frozen=True)
class DenseReference:
    """Everything a forecast needs of the dense model; shared by all variants."""

    sampled: DensePass
    greedy: DensePass
    options: tuple[OptionItem, ...]
    decisions: Tensor
    retrieval: RetrievalProbe
    noise: NoiseFloor | None = None


def default_prompts(count: int = 40) -> list[str]:
    """Our twelve prompts, then openings of shipped passages to continue."""
    return ([prompt.text for prompt in prompts()] + openings("prompts", HALF_WORDS))[:count]


def reference(
    lm: LanguageModel,
    texts: Sequence[str],
    tokens: int = 64,
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> DenseReference:
    """Sample from the dense model and run it over its own text and over the probes."""
    if temperature <= 0:
        raise ValueError(f"temperature must be positive to forecast samples, got {temperature}")
    encode_prompts(lm, texts, tokens)
    items = tuple(option_items(lm, probes=True))
    sampled, chosen = (
        dense_pass(lm, sample(lm, texts, tokens, samples, temperature, seed)),
        decisions(lm, items),
    )
    return DenseReference(
        sampled=sampled,
        greedy=dense_pass(lm, sample(lm, texts, tokens, 1, 0.0, seed)),
        options=items,
        decisions=chosen,
        retrieval=retrieval_probe(lm),
        noise=noise_floor(lm, sampled, items, chosen),
    )


def forecast(
    lm: LanguageModel,
    specs: Sequence[str],
    dense: DenseReference,
    calibration: Calibration = None,
    level: float = LEVEL,
) -> Iterator[Forecast]:
    """Yield one :class:`Forecast` per variant: one teacher-forced pass each, nothing is generated.

    Two more passes, with other calibration texts, show how far the KL divergence of a chaotic spec is spread.
    """
    memory = Memory()

    def drift(other: LanguageModel) -> float:
        return float(_kl_by_prompt(score_variant(lm, dense.sampled, other), dense.sampled.samples).mean())

    for spec in track(specs, "forecasting"):
        with variant(lm, spec, calibration, memory) as other:
            started = perf_counter()
            observed = observe(lm, dense, other)
            seconds = perf_counter() - started
        found = summarise(spec, dense, observed, level, seconds)
        if again := recalibrated(lm, spec, drift, calibration, memory):
            found = replace(found, kl_per_token_calibrations=(found.kl_per_token.mean, *again))
        yield found


@dataclass(frozen=True)
class Observed:
    """What the passes of one variant gave. decisions: chosen options, int64 ``(items,)``."""

    scores: StepScores
    greedy: GreedyPrefix
    decisions: Tensor
    retrieval: RetrievalProbe


def observe(lm: LanguageModel, dense: DenseReference, other: LanguageModel) -> Observed:
    """Run a variant once over the dense texts and the probes."""
    return Observed(
        scores=score_variant(lm, dense.sampled, other),
        greedy=greedy_prefix(lm, dense.greedy, other),
        decisions=decisions(other, dense.options),
        retrieval=retrieval_probe(other),
    )


def summarise(
    spec: str, dense: DenseReference, observed: Observed, level: float = LEVEL, seconds: float = 0.0
) -> Forecast:
    """Turn step-wise scores into bands. Rows of one prompt are averaged first."""
    samples, scores = dense.sampled.samples, observed.scores
    survival_rows = survival_weights_given_tv(scores.log_ratio, scores.tv)
    survival = betting_band(by_prompt(survival_rows, samples), level)
    written = (survival_rows * scores.live).mean(1, keepdim=True)
    identical = betting_band(by_prompt(written, samples), level)
    accepted = by_prompt(_live_mean(1 - scores.tv, scores.live), samples)
    moved = dense.retrieval.ndcg - observed.retrieval.ndcg
    changed = observed.decisions != dense.decisions
    return Forecast(
        spec=spec,
        horizon=samples.horizon,
        prompts=int(samples.prompt.max()) + 1,
        samples=len(samples) // (int(samples.prompt.max()) + 1),
        temperature=samples.temperature,
        level=level,
        sequence_tv=betting_band(by_prompt(tv_terms(scores.log_ratio), samples), level),
        survival=survival,
        shared_noise=betting_band(by_prompt(scores.shared.cumsum(1).exp(), samples), level),
        kl=scores.kl.cumsum(1).mean(0),
        kl_per_token=_mean_kl(_kl_by_prompt(scores, samples), level),
        acceptance=_interval(betting_band(accepted, level)),
        identical_tokens=_scaled(_interval(identical), samples.horizon),
        half_life=_half_life(survival),
        greedy=observed.greedy,
        options_changed=_interval(betting_band(changed.double().unsqueeze(1), level)),
        options_lost=_interval(signed_band(_lost(dense, observed).unsqueeze(1), level)),
        retrieval_change=_interval(betting_band(moved.abs().unsqueeze(1), level)),
        retrieval_lost=_interval(signed_band(moved.unsqueeze(1), level)),
        retrieval_certified=float(first_certain(dense.retrieval, observed.retrieval).double().mean()),
        seconds=seconds,
        noise=dense.noise,
    )


def _lost(dense: DenseReference, observed: Observed) -> Tensor:
    """Right decisions lost, -1, 0 or 1 for every item with options, ``(items,)``."""
    right = torch.tensor([item.answer for item in dense.options])
    return (dense.decisions == right).double() - (observed.decisions == right).double()


def by_prompt(values: Tensor, samples: Samples) -> Tensor:
    """Means ``(prompts, n)`` over the rows of each prompt, of values ``(N, n)`` of either sign."""
    count = int(samples.prompt.max()) + 1
    total = torch.zeros(count, values.shape[1], dtype=torch.float64).index_add(0, samples.prompt, values)
    return total / samples.prompt.bincount(minlength=count).unsqueeze(1)


def doublings(horizon: int) -> list[int]:
    """1, 2, 4, … and the horizon itself: the numbers of tokens at which curves over n are tabulated."""
    return [2**k for k in range(horizon.bit_length()) if 2**k < horizon] + [horizon]


def _live_mean(values: Tensor, live: Tensor) -> Tensor:
    """Mean over the steps of each row that have a token, ``(N, 1)``."""
    return (values * live).sum(1, keepdim=True) / live.sum(1, keepdim=True)


def _kl_by_prompt(scores: StepScores, samples: Samples) -> Tensor:
    """KL per token of the texts of each prompt, nats ``(prompts,)``."""
    return by_prompt(_live_mean(scores.kl, scores.live), samples)[:, 0]


def _mean_kl(values: Tensor, level: float) -> Interval:
    clipped = betting_band((values / _PER_TOKEN_CAP).clamp(max=1).unsqueeze(1), level)
    picks = torch.randint(len(values), (_RESAMPLES, len(values)), generator=torch.Generator().manual_seed(0))
    upper = torch.quantile(values[picks].mean(1), (1 + level) / 2)
    mean = float(values.mean())
    return Interval(mean, float(clipped.lower) * _PER_TOKEN_CAP, max(mean, float(upper)))


def _half_life(survival: Band) -> HalfLife:
    """Invert the band: n is possible if S_n may be below one half and S_(n-1) may not be.

    Estimated curves need not fall everywhere, so the largest possible n follows the *last* upper limit that
    reaches one half: that rule alone is right whenever the limits of two neighbouring columns are.
    """

    def first(curve: Tensor) -> int | None:
        below = (curve < 0.5).nonzero()
        return int(below[0]) + 1 if len(below) else None

    reaches = (survival.upper >= 0.5).nonzero()
    last = int(reaches[-1]) + 2 if len(reaches) else 1
    return HalfLife(
        first(survival.mean), first(survival.lower), last if last <= len(survival.upper) else None
    )


def _interval(band: Band) -> Interval:
    return Interval(float(band.mean), float(band.lower), float(band.upper))


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(interval.mean * factor, interval.lower * factor, interval.upper * factor)
