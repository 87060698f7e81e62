"""Drift from the dense to a pruned model on the same tokens: two teacher-forced passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.calibration import Calibration
from real.pruning.spec import Spec, parse_spec
from real.text.passes import final_hidden, head_logits, logit_slices
from real.tracing.positions import chosen_positions, following_tokens, spread
from theory import Drift, VectorDrift, measure, measure_vectors, token_log_probs


@dataclass(frozen=True)
class JointTrace:
    """Drift from the dense to a pruned model on the same tokens.

    hidden: of the head's input (after the final norm, ``last_hidden_state`` of the model). logits: of the
    model's logits. log_ratio ``(B, T-1)``: log q(x_{t+1} | x_<=t) - log p(x_{t+1} | x_<=t), q the pruned
    model. dense_argmax, pruned_argmax ``(B, T)``: most probable next tokens. At positions that were not
    chosen, hidden and logits have no row, log_ratio is NaN and the argmaxes are -1.
    """

    spec: Spec
    hidden: VectorDrift
    logits: Drift
    log_ratio: Tensor
    dense_argmax: Tensor
    pruned_argmax: Tensor


def trace_joint(
    lm: LanguageModel,
    specs: Iterable[str | Spec],
    tokens: Tensor,
    temperature: float = 1.0,
    *,
    calibration: Calibration = None,
    positions: Tensor | None = None,
    seed: int = 0,
) -> Iterator[JointTrace]:
    """Yield the drift of the model pruned by each spec, on the same tokens ``(B, T)``.

    One forward pass per model; the head is applied to a few positions at a time. Arguments as in
    :func:`trace_sublayers` and :func:`real.pruned`.
    """
    chosen = chosen_positions(tokens, positions)
    shape = tokens.shape if positions is None else (int(chosen.sum()),)
    dense = final_hidden(lm, tokens)
    for spec in map(parse_spec, specs):
        with pruned(lm, spec, calibration, seed):
            other = final_hidden(lm, tokens)
        states = dense.flatten(0, 1)[chosen], other.flatten(0, 1)[chosen]
        following = following_tokens(tokens)[chosen]
        parts = list(_compare(lm, states, following, temperature))
        yield JointTrace(
            spec,
            measure_vectors(*states).reshape(*shape),
            Drift.cat([part.drift for part in parts]).reshape(*shape),
            spread(torch.cat([part.log_ratio for part in parts]), chosen, tokens, float("nan"))[:, :-1],
            spread(torch.cat([part.dense_argmax for part in parts]), chosen, tokens, -1),
            spread(torch.cat([part.pruned_argmax for part in parts]), chosen, tokens, -1),
        )


@dataclass(frozen=True)
class _Compared:
    drift: Drift
    log_ratio: Tensor
    dense_argmax: Tensor
    pruned_argmax: Tensor


def _compare(
    lm: LanguageModel, states: tuple[Tensor, Tensor], following: Tensor, temperature: float
) -> Iterator[_Compared]:
    for rows in logit_slices(len(following), lm.anatomy.need_head().vocabulary):
        dense, other = (head_logits(lm, state[rows]) for state in states)
        wanted = following[rows].to(dense.device)
        ratio = token_log_probs(other, wanted, temperature) - token_log_probs(dense, wanted, temperature)
        yield _Compared(
            measure(dense, other, temperature), ratio.cpu(), dense.argmax(-1).cpu(), other.argmax(-1).cpu()
        )
