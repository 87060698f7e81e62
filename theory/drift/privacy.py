"""Sampling a token is an exponential mechanism, so drift accounting is privacy accounting (J7).

``delta(epsilon) = max_A Q(A) - e^epsilon P(A)`` is the smallest delta for which the step from the dense to
the perturbed model is (epsilon, delta)-indistinguishable; ``epsilon = 0`` gives the total variation. For a
whole sequence within oscillation budgets, ``theory.sequences.worst_case`` encloses the largest such curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from theory.drift.rows.buffers import Arena
from theory.drift.rows.careful import log_ratio
from theory.drift.rows.logits import LogitRows, logit_rows
from theory.drift.rows.rows import Pair, pairs


def hockey_stick(
    logits: Tensor, perturbed: Tensor, epsilons: Sequence[float], temperature: float = 1.0
) -> Tensor:
    """Exact curve ``sum_i (q_i - e^epsilon p_i)_+``, float64 ``(..., len(epsilons))`` of logits ``(..., V)``.

    It vanishes from ``epsilon = max log(q/p)`` on, which is below the oscillation R; theorem J7 bounds it
    by R.
    """
    rows = logit_rows(logits, perturbed, temperature)

    def curves(some: LogitRows) -> dict[str, Tensor]:
        chunks = pairs(some.z, some.z_perturbed, some.temperature, Arena())
        return {"curve": torch.cat([_curve(pair, epsilons) for _, pair in chunks])}

    return rows.on_supports(curves)["curve"].reshape(*rows.lead, len(epsilons))


def _curve(pair: Pair, epsilons: Sequence[float]) -> Tensor:
    q = pair.perturbed.probs
    ratio = log_ratio(pair.centred_delta().x, pair.dense.log_probs, pair.perturbed.log_probs)
    # q - e^epsilon p = q (1 - e^(epsilon - log q/p)): each term without cancellation
    terms = [(q * -torch.expm1((epsilon - ratio).clamp(max=0))).sum(-1) for epsilon in epsilons]
    return torch.stack(terms, dim=-1)
