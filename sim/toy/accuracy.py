"""Accuracy of the pruned toy transformer on both tasks, beside what the theorems promise.

Accuracies are those of sampling at temperature 1 and exact per prompt: the probability of the right answer
is the product of its tokens' probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from sim.toy.model import answer_log_probs, answer_logits, pruned, sample
from sim.toy.tasks import Task
from theory.drift.measure import measure
from theory.effects.options import score_band
from theory.sequences.confidence import empirical_bernstein_band
from theory.sequences.survival import survival_weights, tv_terms

AMOUNTS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@torch.no_grad()
def pruning_curve(
    model: LlamaForCausalLM,
    task: Task,
    pruning: str,
    amounts: Sequence[float] = AMOUNTS,
    prompts: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per amount of pruning and task ("single", "multiple").

    Columns: task, amount, tokens, dense and pruned accuracy; ``floor``: the accuracy that the oscillation
    at each step guarantees (G9); ``tv`` with its 95 % band and ``coupling`` (1 - S_n), both estimated from
    dense samples (J1), which bound the change of accuracy; ``oscillation``: mean over steps.
    """
    rows = []
    for amount in amounts:
        smaller = pruned(model, pruning, amount)
        for name, mark in (("single", task.single), ("multiple", task.multiple)):
            generator = torch.Generator().manual_seed(seed)
            questions = task.prompts(prompts, mark, generator)
            row = _compare(model, smaller, questions, task.answers(questions), generator)
            rows.append({"task": name, "amount": amount, **row})
    return pd.DataFrame(rows)


def _compare(
    dense: LlamaForCausalLM,
    smaller: LlamaForCausalLM,
    questions: Tensor,
    right: Tensor,
    generator: torch.Generator,
) -> dict[str, float]:
    tokens = right.shape[1]
    log_p = answer_log_probs(dense, questions, right).double()
    log_q = answer_log_probs(smaller, questions, right).double()
    drift = measure(answer_logits(dense, questions, right), answer_logits(smaller, questions, right))
    guaranteed = log_p.sum(1) + score_band(log_p, drift.oscillation).lower
    drawn = sample(dense, questions, tokens, generator)
    log_ratio = (
        answer_log_probs(smaller, questions, drawn) - answer_log_probs(dense, questions, drawn)
    ).double()
    band = empirical_bernstein_band(tv_terms(log_ratio)[:, -1:], 0.95)
    return {
        "tokens": tokens,
        "dense": float(log_p.sum(1).exp().mean()),
        "pruned": float(log_q.sum(1).exp().mean()),
        "floor": float(guaranteed.exp().mean()),
        "tv": float(band.mean),
        "tv_low": float(band.lower),
        "tv_high": float(band.upper),
        "coupling": float(1 - survival_weights(log_ratio)[:, -1].mean()),
        "oscillation": float(drift.oscillation.mean()),
    }
