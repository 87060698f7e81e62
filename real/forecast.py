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
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from real.calibration import Calibration
from real.embed import cosine_scores, embed, ndcg_at_10, partner_ranks
from real.load import LanguageModel
from real.options import OptionItem, decisions, option_items
from real.progress import track
from real.prompting import encode_prompts
from real.sample import Samples, sample
from real.stepwise import DensePass, StepScores, dense_pass, score_variant
from real.texts import passages, prompts
from real.variants import variant
from theory import Band, kl_terms, survival_weights_given_tv, tv_terms
from theory.betting import betting_band

LEVEL = 0.9  # two-sided: each limit by itself is wrong with probability at most 0.05
_RETRIEVAL_PROBES = 32
_HALF_WORDS = 20
_PER_TOKEN_CAP = (
    8.0  # nats; a mean KL per token is clipped here to get a lower limit that needs no assumption
)
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate between its lower and upper confidence limits."""

    mean: float
    lower: float
    upper: float


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
    survival: S_n, probability that n tokens stay identical under the best causal coupling.
    kl: ``(n,)`` mean KL(P_n||Q_n) in nats (estimate). kl_per_token: its mean per generated token; the lower
    limit is valid, the upper a bootstrap over prompts (KL is unbounded: none is valid without assumptions).
    acceptance: probability that a token drafted by the variant is accepted in speculative decoding.
    identical_tokens: expected identical prefix within the horizon.
    greedy_prefix: int64 ``(prompts,)`` exact number of identical greedy tokens; greedy_length: of how many.
    options_changed: share of option decisions that change. retrieval_change: mean |change of nDCG@10|.
    """

    spec: str
    horizon: int
    prompts: int
    samples: int
    temperature: float
    level: float
    sequence_tv: Band
    survival: Band
    kl: Tensor
    kl_per_token: Interval
    acceptance: Interval
    identical_tokens: Interval
    half_life: HalfLife
    greedy_prefix: Tensor
    greedy_length: Tensor
    options_changed: Interval
    retrieval_change: Interval
    seconds: float


@dataclass(frozen=True)
class DenseReference:
    """Everything a forecast needs of the dense model; shared by all variants."""

    sampled: DensePass
    greedy: DensePass
    options: tuple[OptionItem, ...]
    decisions: Tensor
    ndcg: Tensor


def default_prompts(count: int = 16) -> list[str]:
    """Our twelve prompts, then openings of shipped passages to continue."""
    openings = [" ".join(text.split()[:_HALF_WORDS]) for text in passages("prompts")]
    return ([prompt.text for prompt in prompts()] + openings)[:count]


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
    return DenseReference(
        sampled=dense_pass(lm, sample(lm, texts, tokens, samples, temperature, seed)),
        greedy=dense_pass(lm, sample(lm, texts, tokens, 1, 0.0, seed)),
        options=items,
        decisions=decisions(lm, items),
        ndcg=_probe_retrieval(lm),
    )


def forecast(
    lm: LanguageModel,
    specs: Sequence[str],
    dense: DenseReference,
    calibration: Calibration = None,
    level: float = LEVEL,
) -> Iterator[Forecast]:
    """Yield one :class:`Forecast` per variant: one teacher-forced pass each, nothing is generated."""
    for spec in track(specs, "forecasting"):
        with variant(lm, spec, calibration) as other:
            started = perf_counter()
            scores = score_variant(lm, dense.sampled, other)
            greedy = score_variant(lm, dense.greedy, other)
            changed = decisions(other, dense.options) != dense.decisions
            moved = (_probe_retrieval(other) - dense.ndcg).abs()
            seconds = perf_counter() - started
        yield summarise(spec, dense, scores, greedy, changed, moved, level, seconds)


def summarise(
    spec: str,
    dense: DenseReference,
    scores: StepScores,
    greedy: StepScores,
    changed: Tensor,
    moved: Tensor,
    level: float = LEVEL,
    seconds: float = 0.0,
) -> Forecast:
    """Turn step-wise scores into bands. Rows of one prompt are averaged first."""
    samples = dense.sampled.samples
    survival_rows = survival_weights_given_tv(scores.log_ratio, scores.tv)
    survival = betting_band(_by_prompt(survival_rows, samples), level)
    identical = betting_band(_by_prompt(survival_rows.mean(1, keepdim=True), samples), level)
    accepted = _by_prompt(_live_mean(1 - scores.tv, scores.live), samples)
    lengths = dense.greedy.samples.lengths - dense.greedy.samples.prompt_lengths
    prefix = (greedy.agree & greedy.live).long().cumprod(1).sum(1)
    return Forecast(
        spec=spec,
        horizon=samples.horizon,
        prompts=int(samples.prompt.max()) + 1,
        samples=len(samples) // (int(samples.prompt.max()) + 1),
        temperature=samples.temperature,
        level=level,
        sequence_tv=betting_band(_by_prompt(tv_terms(scores.log_ratio), samples), level),
        survival=survival,
        kl=kl_terms(scores.log_ratio).mean(0),
        kl_per_token=_mean_kl(_by_prompt(_live_mean(scores.kl, scores.live), samples)[:, 0], level),
        acceptance=_interval(betting_band(accepted, level)),
        identical_tokens=_scaled(_interval(identical), samples.horizon),
        half_life=_half_life(survival),
        greedy_prefix=prefix,
        greedy_length=lengths,
        options_changed=_interval(betting_band(changed.double().unsqueeze(1), level)),
        retrieval_change=_interval(betting_band(moved.unsqueeze(1), level)),
        seconds=seconds,
    )


def _probe_retrieval(lm: LanguageModel) -> Tensor:
    """nDCG@10 ``(queries,)`` of finding the second half of a passage by its first."""
    words = [text.split() for text in passages("prompts")[-_RETRIEVAL_PROBES:]]
    queries = [" ".join(text[:_HALF_WORDS]) for text in words]
    documents = [" ".join(text[_HALF_WORDS : 2 * _HALF_WORDS]) for text in words]
    return ndcg_at_10(partner_ranks(cosine_scores(embed(lm, queries), embed(lm, documents))))


def _by_prompt(values: Tensor, samples: Samples) -> Tensor:
    """Means over the rows of each prompt, ``(prompts, n)``."""
    count = int(samples.prompt.max()) + 1
    total = torch.zeros(count, values.shape[1], dtype=torch.float64).index_add(0, samples.prompt, values)
    return (total / samples.prompt.bincount(minlength=count).unsqueeze(1)).clamp(min=0)


def _live_mean(values: Tensor, live: Tensor) -> Tensor:
    """Mean over the steps of each row that have a token, ``(N, 1)``."""
    return (values * live).sum(1, keepdim=True) / live.sum(1, keepdim=True)


def _mean_kl(values: Tensor, level: float) -> Interval:
    clipped = betting_band((values / _PER_TOKEN_CAP).clamp(max=1).unsqueeze(1), level)
    picks = torch.randint(len(values), (_RESAMPLES, len(values)), generator=torch.Generator().manual_seed(0))
    upper = torch.quantile(values[picks].mean(1), (1 + level) / 2)
    mean = float(values.mean())
    return Interval(mean, float(clipped.lower) * _PER_TOKEN_CAP, max(mean, float(upper)))


def _half_life(survival: Band) -> HalfLife:
    """Invert the band: n is possible if S_n may be below one half and S_(n-1) may not be."""

    def first(curve: Tensor) -> int | None:
        below = (curve < 0.5).nonzero()
        return int(below[0]) + 1 if len(below) else None

    return HalfLife(first(survival.mean), first(survival.lower), first(survival.upper))


def _interval(band: Band) -> Interval:
    return Interval(float(band.mean), float(band.lower), float(band.upper))


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(interval.mean * factor, interval.lower * factor, interval.upper * factor)
