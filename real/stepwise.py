"""Score dense text under another model: one teacher-forced pass, everything the sequence statements need.

Logits are made a few positions at a time from stored head inputs, so memory does not grow with the
vocabulary. Arithmetic over the vocabulary is float32 (a forecast averages thousands of steps; errors are
about 1e-6 per step); :func:`theory.measure` is the careful version of the same quantities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from real.load import LanguageModel
from real.sample import Samples
from real.score import final_hidden, head_logits

_ROWS_AT_ONCE = 128
_COLUMNS = ("log_ratio", "tv", "kl", "entropy", "agree")


@dataclass(frozen=True)
class DensePass:
    """The dense model's head inputs at the M steps that generated a token.

    hidden: ``(M, d)``. row, step: ``(M,)`` place of each in the ``(N, n)`` tables. tokens: ``(M,)`` drawn.
    """

    samples: Samples
    hidden: Tensor
    row: Tensor
    step: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class StepScores:
    """Per-step comparison along the dense text, float64 ``(N, n)``; zero after the end of a row.

    log_ratio: log q_t(x_t) - log p_t(x_t). tv, kl: TV(p_t, q_t) and KL(p_t||q_t) in nats over the whole
    vocabulary. entropy: of p_t in nats. agree: bool, same most probable token. live: bool, the row has a
    token here (its end-of-sequence token included). All at the samples' temperature (greedy text: at 1).
    """

    log_ratio: Tensor
    tv: Tensor
    kl: Tensor
    entropy: Tensor
    agree: Tensor
    live: Tensor

    def frame(self) -> pd.DataFrame:
        """One line per generated token, to break drift down by position (``step``), entropy or length."""
        row, step = self.live.nonzero(as_tuple=True)
        columns = {name: getattr(self, name)[row, step].numpy() for name in _COLUMNS}
        lengths = self.live.sum(1)[row].numpy()
        return pd.DataFrame({"row": row.numpy(), "step": step.numpy(), "length": lengths, **columns})


def generated_hidden(lm: LanguageModel, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """Head inputs ``(M, d)`` that predict every generated token, with row and step indices ``(M,)``."""
    steps = torch.arange(samples.horizon).expand(len(samples), -1)
    live = steps < (samples.lengths - samples.prompt_lengths).unsqueeze(1)
    row, step = live.nonzero(as_tuple=True)
    # Rows of like length share a batch, cut to its longest row: less padding to compute.
    order = samples.lengths.argsort()
    parts: dict[int, Tensor] = {}
    for batch in torch.split(order, 16):
        width = int(samples.lengths[batch].max())
        hidden = final_hidden(lm, samples.tokens[batch, :width])
        for index, states in zip(batch.tolist(), hidden, strict=True):
            start, end = int(samples.prompt_lengths[index]), int(samples.lengths[index])
            parts[index] = states[start - 1 : end - 1].clone()
    return torch.cat([parts[index] for index in range(len(samples))]), row, step


def dense_pass(lm: LanguageModel, samples: Samples) -> DensePass:
    """Run the dense model once over its own samples."""
    hidden, row, step = generated_hidden(lm, samples)
    tokens = samples.tokens[row, samples.prompt_lengths[row] + step]
    return DensePass(samples, hidden, row, step, tokens)


def score_variant(lm: LanguageModel, dense: DensePass, other: LanguageModel) -> StepScores:
    """Compare ``other`` (perhaps ``lm`` itself, pruned for the moment) with the dense pass, step by step.

    One batched forward pass of ``other`` and two head products per step.
    """
    hidden, _, _ = generated_hidden(other, dense.samples)
    heat = dense.samples.temperature or 1.0
    columns = _compare(
        dense.tokens,
        lambda rows: head_logits(lm, dense.hidden[rows]).float() / heat,
        lambda rows: head_logits(other, hidden[rows]).float() / heat,
    )
    shape = (len(dense.samples), dense.samples.horizon)
    table = torch.zeros(5, *shape, dtype=torch.float64)
    table[:, dense.row, dense.step] = columns
    live = torch.zeros(shape, dtype=torch.bool)
    live[dense.row, dense.step] = True
    log_ratio, tv, kl, entropy, agree = table
    return StepScores(log_ratio, tv, kl, entropy, agree.bool() | ~live, live)


def _compare(
    tokens: Tensor, dense_logits: Callable[[slice], Tensor], other_logits: Callable[[slice], Tensor]
) -> Tensor:
    """Columns log_ratio, tv, kl, entropy, agree as float64 ``(5, M)``."""
    parts = []
    for start in range(0, len(tokens), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        log_p, log_q = (torch.log_softmax(logits(rows), -1) for logits in (dense_logits, other_logits))
        drawn = tokens[rows].to(log_p.device).unsqueeze(1)
        agree = log_p.argmax(-1) == log_q.argmax(-1)
        log_ratio = (log_q.gather(1, drawn) - log_p.gather(1, drawn)).squeeze(1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(-1)
        tv = (p - log_q.exp()).abs().sum(-1) / 2
        kl = (p * (log_p - log_q)).sum(-1).clamp(min=0)
        parts.append(torch.stack([column.double().cpu() for column in (log_ratio, tv, kl, entropy, agree)]))
    return torch.cat(parts, dim=1)
