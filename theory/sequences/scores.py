"""How far a *score* moves, from dense texts that another model has read once (K2 to K6).

A text x ~ P of the dense model has a score f in [0, 1] and the weight w = Q(x)/P(x), Q the perturbed model;
``log_weights`` is log w, the sum of the log-ratios along the text (up to the token that decided the score:
:func:`deciding_log_weights`). P and Q are the laws *as sampled from*, temperature and truncation included;
where the dense sampler never goes (K8) estimates are biased low and every limit stays valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from theory.sequences.betting import lower_limit
from theory.sequences.confidence import Band, check_level

LEAST_SAMPLE = 10
"""Effective number of prompts from which an estimate is usable (K6)."""
LARGEST_SHARE = 0.1
"""No single text may hold this much of the weight of a usable estimate (K6)."""
_LARGEST_LOG_WEIGHT = 690.0  # e^690 is finite; a cap keeps every lower limit valid (K3, K4)


@dataclass(frozen=True)
class ScoredTexts:
    """Texts of one model, scored: N of them, of m prompts.

    log_weights: float64 ``(N,)``, log Q(x)/P(x), -inf allowed. scores: float64 ``(N,)`` in [0, 1]. prompt:
    int64 ``(N,)``, index 0 .. m-1 of each text's prompt. listed: the statement is about the average over
    *these* prompts, so that texts are the independent units (K4b); else about prompts of which these are a
    sample, and the prompts are the units.

    Raises
    ------
    ValueError
        If shapes differ, a score leaves [0, 1], a weight is nan, or a prompt has no text.
    """

    log_weights: Tensor
    scores: Tensor
    prompt: Tensor
    listed: bool = False

    def __post_init__(self) -> None:
        shape = tuple(self.log_weights.shape)
        for name in ("scores", "prompt"):
            found = tuple(getattr(self, name).shape)
            if found != shape or len(shape) != 1 or not shape[0]:
                raise ValueError(
                    f"{name} has shape {found}; expected (N,), N >= 1, as log_weights {shape} has"
                )
        if self.prompt.dtype.is_floating_point or int(self.prompt.min()) < 0:
            raise ValueError(f"prompt has dtype {self.prompt.dtype}; expected integers from 0")
        if not bool(self.counts.all()):
            raise ValueError(f"prompt {int(self.counts.argmin())} has no text; expected every index to occur")
        if bool(torch.isnan(self.log_weights).any()):
            raise ValueError("log_weights contains nan; expected log-ratios of probabilities")
        if not bool(((self.scores >= 0) & (self.scores <= 1)).all()):
            raise ValueError("scores leaves [0, 1]; expected values in [0, 1]")
        object.__setattr__(self, "log_weights", self.log_weights.double())
        object.__setattr__(self, "scores", self.scores.double())

    @property
    def counts(self) -> Tensor:
        """Texts of each prompt, int64 ``(m,)``."""
        return torch.bincount(self.prompt)

    def units(self, values: Tensor) -> Tensor:
        """The independent rows behind the mean over prompts of ``values`` ``(N, n)`` (K4).

        Drawn prompts: ``(m, n)``, the means over each one's texts. Listed prompts: ``(N, n)``, the texts,
        scaled by N/(m K_u) so that their plain mean is the mean over prompts also where prompts have
        different numbers of texts K_u.
        """
        values = values.double()
        if self.listed:
            each = self.counts[self.prompt].double().unsqueeze(1)
            return values * (len(values) / len(self.counts)) / each
        total = torch.zeros(len(self.counts), values.shape[1], dtype=torch.float64)
        return total.index_add(0, self.prompt, values) / self.counts.unsqueeze(1)

    @property
    def change(self) -> Tensor:
        """(w - 1) f of each text, ``(N,)``; its mean is Δ = E_Q f - E_P f."""
        return self.scores * torch.expm1(self._capped)

    @property
    def mirrored_change(self) -> Tensor:
        """(w - 1)(1 - f) of each text, ``(N,)``; its mean is -Δ."""
        return (1 - self.scores) * torch.expm1(self._capped)

    @property
    def _capped(self) -> Tensor:
        return self.log_weights.clamp(max=_LARGEST_LOG_WEIGHT)


@dataclass(frozen=True)
class ScoreBand:
    """The score of the perturbed model and how it changed; each a scalar :class:`Band`.

    dense: E_P f. perturbed: E_Q f. change: Δ = E_Q f - E_P f. The estimates of the last two are importance
    sampling, clipped to their limits; they are worth quoting only if ``usable``. sample_size: effective
    number of prompts (sum of weights)²/(sum of squared weights). largest_share: of all weight, of one text.
    """

    dense: Band
    perturbed: Band
    change: Band
    sample_size: float
    largest_share: float

    @property
    def usable(self) -> bool:
        """Whether the estimates may be quoted (K6); the limits always may."""
        return self.sample_size >= LEAST_SAMPLE and self.largest_share < LARGEST_SHARE


def score_band(texts: ScoredTexts, level: float = 0.9) -> ScoreBand:
    """Limits for E_Q f and for the change of the score, valid for any weights and any number of prompts (K4).

    E_Q f lies in [L(w f), 1 - L(w (1-f))] and Δ in [L(1 - f + w f) - 1, 1 - L(f + w (1-f))], L the limit of
    :func:`lower_limit`. Every limit by itself is wrong with probability at most (1 - level)/2.

    Raises
    ------
    ValueError
        If level is outside (0, 1).

    Examples
    --------
    >>> import torch
    >>> same = ScoredTexts(torch.zeros(48), torch.ones(48), torch.arange(48))
    >>> [round(float(limit), 3) for limit in (score_band(same).change.lower, score_band(same).change.upper)]
    [-0.071, 0.071]
    """
    alpha = (1 - check_level(level)) / 2
    f, up, down = texts.scores, texts.change, texts.mirrored_change
    columns = torch.stack([f, 1 - f, f + up, 1 - f + down, 1 + up, 1 + down], 1)
    rows = texts.units(columns)
    was_right, was_wrong, right, wrong, plus, minus = lower_limit(rows, alpha)
    dense, _, perturbed, _, moved, _ = rows.mean(0)
    size, share = _concentration(texts)
    return ScoreBand(
        dense=_clipped(dense, was_right, 1 - was_wrong),
        perturbed=_clipped(perturbed, right.clamp(max=1), (1 - wrong).clamp(min=0)),
        change=_clipped(moved - 1, (plus - 1).clamp(max=1), (1 - minus).clamp(min=-1)),
        sample_size=size,
        largest_share=share,
    )


def change_rows(texts: ScoredTexts) -> tuple[Tensor, Tensor]:
    """X⁺ = 1 - f + w f and X⁻ = f + w (1 - f) of the independent units, ``(rows,)`` each (K4).

    Both are >= 0, of means at most 1 + Δ and 1 - Δ: what :func:`lower_limit` and :func:`log_e_value` of
    ``theory.sequences.betting`` take to decide whether a loss is below or above a limit.
    """
    plus, minus = texts.units(1 + torch.stack([texts.change, texts.mirrored_change], 1)).unbind(1)
    return plus, minus


@dataclass(frozen=True)
class ScoreSplit:
    """Where the total variation of the texts goes (K2); each a scalar :class:`Band`.

    lost_right: E_P (1-w)_+ f, the mass of right texts that is lost; only it can lower the score.
    lost_wrong: E_P (1-w)_+ (1-f). Their sum is TV. gained_right, gained_wrong: E_P (w-1)_+ f and (1-f), what
    the weights show of the mass gained elsewhere. Their upper limit is the total variation's.
    """

    lost_right: Band
    lost_wrong: Band
    gained_right: Band
    gained_wrong: Band


def score_split(texts: ScoredTexts, level: float = 0.9) -> ScoreSplit:
    """Right and wrong mass lost and gained (K2): -lost_right <= Δ <= lost_wrong.

    Raises
    ------
    ValueError
        If level is outside (0, 1).
    """
    alpha = (1 - check_level(level)) / 2
    f = texts.scores
    lost = -torch.expm1(texts.log_weights.clamp(max=0))
    gained = torch.expm1(texts._capped.clamp(min=0))
    columns = torch.stack([lost * f, lost * (1 - f), gained * f, gained * (1 - f), lost], 1)
    rows = texts.units(columns)
    kept = texts.units(1 - torch.stack([lost * f, lost * (1 - f), lost], 1))
    means, lower = rows.mean(0), lower_limit(rows, alpha)
    right, wrong, both = 1 - lower_limit(kept, alpha)
    return ScoreSplit(
        Band(means[0], lower[0], right),
        Band(means[1], lower[1], wrong),
        _clipped(means[2], lower[2], both),
        _clipped(means[3], lower[3], both),
    )


@dataclass(frozen=True)
class Ladder:
    """One rung for each cap M on the weights (K3), float64 ``(caps,)``: lower <= E_Q f <= upper in the mean.

    width: H_M, the mass of Q above M P, upper minus lower: 1 at M = 0, TV at M = 1, falling to the mass of Q
    where P has none. lower, upper: sample means, without statistical error.
    """

    caps: Tensor
    lower: Tensor
    upper: Tensor
    width: Band


def ladder(texts: ScoredTexts, caps: Sequence[float] = (1, 2, 4, 16), level: float = 0.9) -> Ladder:
    """The intervals E_P min(M,w) f <= E_Q f <= 1 - E_P min(M,w)(1-f) for caps M > 0 (K3).

    Raises
    ------
    ValueError
        If a cap is not positive and finite, or level is outside (0, 1).
    """
    heights = torch.tensor(caps, dtype=torch.float64)
    if not bool(((heights > 0) & torch.isfinite(heights)).all()):
        raise ValueError(f"caps is {list(caps)}; expected positive finite numbers")
    alpha, f = (1 - check_level(level)) / 2, texts.scores.unsqueeze(1)
    cut = torch.minimum(texts._capped.exp().unsqueeze(1), heights)
    right, wrong = texts.units(cut * f).mean(0), texts.units(cut * (1 - f)).mean(0)
    covered = lower_limit(texts.units(cut), alpha)
    # H_M = 1 - E min(M,w), and M - min(M,w) is nonnegative too
    missing = lower_limit(texts.units(heights - cut), alpha)
    width = _clipped(1 - right - wrong, (1 - heights + missing).clamp(0, 1), (1 - covered).clamp(0, 1))
    return Ladder(heights, right, 1 - wrong, width)


def deciding_log_weights(log_ratio: Tensor, decided: Tensor) -> Tensor:
    """log w_τ, float64 ``(N,)``: the weight of each text up to the token that decided its score (K5).

    Parameters
    ----------
    log_ratio
        ``(N, n)``, log q_t - log p_t of the drawn tokens.
    decided
        int64 ``(N,)`` from 0 to n: number of tokens that settle the score. It may be read off the text from
        left to right only (a stopping time). What comes later no longer counts: every mean stays, TV, KL, the
        variance and every H_M shrink. Where the perturbed model's expected score E_Q[f | first tokens] can be
        read off (the right ending, teacher-forced), it may stand for f with the weight of those tokens.

    Raises
    ------
    ValueError
        If the shapes do not fit or a number lies outside 0..n.
    """
    if log_ratio.ndim != 2 or decided.shape != log_ratio.shape[:1] or decided.dtype.is_floating_point:
        raise ValueError(
            f"decided has shape {tuple(decided.shape)}, dtype {decided.dtype}; "
            f"expected integers (N,) for log_ratio of shape {tuple(log_ratio.shape)}, (N, n)"
        )
    if bool(((decided < 0) | (decided > log_ratio.shape[1])).any()):
        raise ValueError(f"decided leaves 0..{log_ratio.shape[1]}; expected a number of tokens of the text")
    counted = torch.arange(log_ratio.shape[1], device=decided.device) < decided.unsqueeze(1)
    return torch.where(counted, log_ratio.double(), 0.0).sum(1)


def _concentration(texts: ScoredTexts) -> tuple[float, float]:
    """Effective number of prompts, and the largest share of the weight that one text has (K6)."""
    if not bool(torch.isfinite(texts.log_weights).any()):
        return 0.0, 1.0
    shares = torch.softmax(texts._capped - texts.counts[texts.prompt].double().log(), 0)
    prompts = torch.zeros(len(texts.counts), dtype=torch.float64).index_add(0, texts.prompt, shares)
    return float(1 / (prompts**2).sum()), float(shares.max())


def _clipped(mean: Tensor, lower: Tensor, upper: Tensor) -> Band:
    return Band(mean.clamp(min=lower, max=upper), lower, upper)
