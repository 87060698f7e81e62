"""Score dense text under another model: one teacher-forced pass, everything the sequence statements need.

Logits are made a few positions at a time from stored head inputs, so memory does not grow with the
vocabulary; the dense ones are kept where they are small. What texts have in common is read once.
Arithmetic over the vocabulary is float64 and sums terms of the size of the result: relative errors are below
1e-9 for logits that differ by 1e-5 or more; :func:`theory.measure` is the careful version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.text.continuations import generated_hidden
from real.text.passes import head_logits
from real.text.sample import Samples
from theory import first_divergence
from theory.drift.rows.rows import row_chunks
from theory.drift.tokens import token_log_probs
from theory.sequences.greedy import certified_prefix

_HEAD_ROWS = 64  # positions of one head product
_KEPT_BYTES = 1 << 28  # dense log-probabilities are kept up to this size, else made again for each variant
_NEVER = -1e30
_COLUMNS = ("log_ratio", "tv", "kl", "shared", "entropy", "agree")


@dataclass(frozen=True)
class DensePass:
    """The dense model's head inputs at the M steps that generated a token.

    hidden: ``(M, d)``. row, step: ``(M,)`` place of each in the ``(N, n)`` tables. tokens: ``(M,)`` drawn.
    log_prob: float64 ``(M,)`` of the drawn tokens. logits: ``(M, V)``, None where that is too large to keep.
    """

    samples: Samples
    hidden: Tensor
    row: Tensor
    step: Tensor
    tokens: Tensor
    log_prob: Tensor
    logits: Tensor | None

    def row_sums(self, values: Tensor) -> Tensor:
        """Sums over the steps of each row, float64 ``(N,)``, of values ``(M,)``."""
        return torch.zeros(len(self.samples), dtype=torch.float64).index_add(0, self.row, values.double())


@dataclass(frozen=True)
class StepScores:
    """Per-step comparison along the dense text, float64 ``(N, n)``; zero after the end of a row.

    log_ratio: log q_t(x_t) - log p_t(x_t), p_t as the text was drawn. tv, kl: TV(p_t, q_t) and KL(p_t||q_t)
    in nats over the whole vocabulary. shared: log of the probability that the variant draws x_t as well,
    given that the dense model drew it, when both use the same Gumbel noise:
    -log Σ_j max(p_j, q_j p(x_t)/q(x_t)) (G11). entropy: of p_t
    in nats. agree: bool, same most probable token. live: bool, the row has a token here (its end-of-sequence
    token included). All at the samples' temperature (greedy text: at 1).
    """

    log_ratio: Tensor
    tv: Tensor
    kl: Tensor
    shared: Tensor
    entropy: Tensor
    agree: Tensor
    live: Tensor

    def frame(self) -> pd.DataFrame:
        """One line per generated token, to break drift down by position (``step``), entropy or length."""
        row, step = self.live.nonzero(as_tuple=True)
        columns = {name: getattr(self, name)[row, step].numpy() for name in _COLUMNS}
        lengths = self.live.sum(1)[row].numpy()
        return pd.DataFrame({"row": row.numpy(), "step": step.numpy(), "length": lengths, **columns})


def dense_pass(lm: LanguageModel, samples: Samples) -> DensePass:
    """Run the dense model once over its own samples."""
    hidden, row, step = generated_hidden(lm, samples)
    tokens = samples.tokens[row, samples.prompt_lengths[row] + step]
    temperature = samples.temperature or 1.0
    size = 4 * len(hidden) * lm.model.config.get_text_config().vocab_size
    kept, drawn = [], []
    for rows in _slices(len(hidden), _HEAD_ROWS):
        logits = head_logits(lm, hidden[rows])
        drawn.append(token_log_probs(logits, tokens[rows].to(logits.device), temperature).cpu())
        if size <= _KEPT_BYTES:
            kept.append(logits)
    whole = torch.cat(kept) if kept else None
    return DensePass(samples, hidden, row, step, tokens, torch.cat(drawn), whole)


def score_variant(lm: LanguageModel, dense: DensePass, other: LanguageModel) -> StepScores:
    """Compare ``other`` (perhaps ``lm`` itself, pruned for the moment) with the dense pass, step by step.

    One batched forward pass of ``other``, and one head product per step (two if the dense logits were too
    large to keep).
    """
    temperature = dense.samples.temperature or 1.0
    columns = [
        _compare(tokens, before.double() / temperature, after.double() / temperature)
        for tokens, before, after in _both_logits(lm, dense, other)
    ]
    shape = (len(dense.samples), dense.samples.horizon)
    table = torch.zeros(len(_COLUMNS), *shape, dtype=torch.float64)
    table[:, dense.row, dense.step] = torch.cat(columns, dim=1)
    live = torch.zeros(shape, dtype=torch.bool)
    live[dense.row, dense.step] = True
    log_ratio, tv, kl, shared, entropy, agree = table
    if (noise := evaluation_noise(dense)) is not None:
        log_ratio = log_ratio + noise
    return StepScores(log_ratio, tv, kl, shared, entropy, agree.bool() | ~live, live)


def evaluation_noise(dense: DensePass) -> Tensor | None:
    """Log-ratio of the dense pass to the evaluation that drew its texts: same weights, float64 ``(N, n)``.

    None where the samples kept no log-probabilities, because there is next to no noise.
    """
    drawn = dense.samples.log_prob
    if drawn is None:
        return None
    table = torch.zeros_like(drawn)
    table[dense.row, dense.step] = dense.log_prob.double()
    return table - drawn


@dataclass(frozen=True)
class GreedyPrefix:
    """How much of the dense greedy text the variant repeats, int64 ``(N,)``.

    identical: exact (G10). certified: tokens of which the size of the perturbation alone says so: the margin
    of the best dense logit exceeds the oscillation of the change of the logits. length: of the dense text.
    """

    identical: Tensor
    certified: Tensor
    length: Tensor


def greedy_prefix(lm: LanguageModel, dense: DensePass, other: LanguageModel) -> GreedyPrefix:
    """The identical prefix of greedy text, without letting ``other`` write; ``dense`` is of greedy text."""
    if dense.samples.temperature != 0:
        raise ValueError(f"dense must be greedy text, got temperature {dense.samples.temperature}")
    length = dense.samples.lengths - dense.samples.prompt_lengths
    table = torch.zeros(2, len(dense.samples), dense.samples.horizon, dtype=torch.float64)
    margins = [_margins(before, after) for _, before, after in _both_logits(lm, dense, other)]
    same, margin, oscillation = torch.cat(margins, dim=1)
    table[:, dense.row, dense.step] = torch.stack([same, margin - oscillation])
    identical = first_divergence(table[0].bool(), torch.ones_like(table[0]).bool())
    return GreedyPrefix(identical, certified_prefix(table[1], torch.zeros_like(table[1])), length)


def _both_logits(
    lm: LanguageModel, dense: DensePass, other: LanguageModel
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Drawn tokens, dense logits and logits of ``other``, a few steps at a time."""
    hidden, _, _ = generated_hidden(other, dense.samples)
    for rows in _slices(len(hidden), _HEAD_ROWS):
        before = head_logits(lm, dense.hidden[rows]) if dense.logits is None else dense.logits[rows]
        after = head_logits(other, hidden[rows])
        tokens = dense.tokens[rows].to(after.device)
        for few in row_chunks(after):  # few enough to stay in the processor's cache
            yield tokens[few], before[few], after[few]


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _compare(tokens: Tensor, dense_logits: Tensor, other_logits: Tensor) -> Tensor:
    """The columns of a few steps, float64 ``(6, m)``."""
    dense, other = _on_support(dense_logits, other_logits)
    log_p, log_q = torch.log_softmax(dense, -1), torch.log_softmax(other, -1)
    p, q, ratio = log_p.exp(), log_q.exp(), log_q - log_p
    moved = torch.where(ratio.abs() < 0.5, p * torch.expm1(ratio), q - p)
    log_ratio = ratio.gather(1, tokens.unsqueeze(1))
    columns = (
        log_ratio.squeeze(1),
        (moved.abs().sum(-1) / 2).clamp(max=1),
        (moved - p * ratio).sum(-1).clamp(min=0),  # each term is at least 0, and of second order in the ratio
        _log_shared(log_ratio, ratio, log_p, p, moved),
        -(p * log_p).sum(-1),
        log_p.argmax(-1) == log_q.argmax(-1),
    )
    return torch.stack([column.double().cpu() for column in columns])


def _log_shared(log_ratio: Tensor, ratio: Tensor, log_p: Tensor, p: Tensor, moved: Tensor) -> Tensor:
    """-log Σ max(p, cq) with log c = -log_ratio.

    Σ (cq - p)_+ is what the sum exceeds 1 by, exactly 0 if p = q.
    """
    excess = torch.addcmul(p * torch.expm1(-log_ratio), moved, torch.exp(-log_ratio)).clamp(min=0).sum(-1)
    shared = -torch.log1p(excess)
    if bool(shared.isfinite().all()):
        return shared
    return -torch.logsumexp(log_p + (ratio - log_ratio).clamp(min=0), -1)


def _on_support(dense: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both logits in float64; tokens that neither model can draw are so low that they do not count.

    Raises
    ------
    ValueError
        Some are NaN or +inf, or -inf in one model alone: KL is then infinite in one direction.
    """
    dense, other = dense.double(), other.double()
    if bool(torch.isfinite(dense).all() & torch.isfinite(other).all()):
        return dense, other
    never = torch.isneginf(dense)
    for side, name in ((dense, "dense model"), (other, "variant")):
        if not bool((torch.isfinite(side) | torch.isneginf(side)).all()):
            raise ValueError(f"logits of the {name} are NaN or +inf: nothing of its texts can be compared")
    if not never.equal(torch.isneginf(other)):
        raise ValueError(
            "logits of the variant are -inf at other places than the dense model's: the two suppress other "
            "tokens, so no divergence between their texts is finite"
        )
    return dense.masked_fill(never, _NEVER), other.masked_fill(never, _NEVER)


def _margins(dense_logits: Tensor, other_logits: Tensor) -> Tensor:
    """Same argmax, margin of the best dense logit, oscillation of the change, float64 ``(3, m)``.

    Differences of the model's own floats are taken in float64; the oscillation is rounded up.
    """
    same = dense_logits.argmax(-1) == other_logits.argmax(-1)
    best = dense_logits.double().topk(2, dim=-1).values
    dense, other = _on_support(dense_logits, other_logits)
    change = other - dense
    oscillation = (change.amax(-1) - change.amin(-1)) * (1 + 1e-12)
    return torch.stack([same.double(), best[:, 0] - best[:, 1], oscillation]).cpu()
