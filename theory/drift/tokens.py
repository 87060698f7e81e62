"""Tokens drawn from the two models: log-probabilities, and how often a shared seed draws different ones."""

from __future__ import annotations

import torch
from torch import Tensor

from theory.drift.rows.buffers import Arena
from theory.drift.rows.logits import LogitRows, logit_rows
from theory.drift.rows.rows import Pair, Softmax, first_largest, pairs, row_chunks
from theory.validation import check_logits, check_size, check_tokens


def token_log_probs(logits: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor:
    """log softmax(logits/T)[token], float64 ``(...)``, of logits ``(..., V)`` and integer tokens ``(...)``.

    In nats, -inf where the logit is. A token that is nearly certain keeps its digits: log p is computed from
    the mass of the others.

    Raises
    ------
    ValueError
        If logits are nan, inf, or -inf throughout a row, if T is not positive and finite, or if the tokens
        have another shape or leave [0, V).
    """
    check_logits("logits", logits)
    temperature = check_size(temperature, logits)
    flat = logits.detach().reshape(-1, logits.shape[-1])
    places = check_tokens(tokens, logits).reshape(-1, 1)
    blocks = []
    for rows in row_chunks(flat):
        part = flat[rows].double()
        log_probs = Softmax(part, temperature, Arena(), first_largest(part)).log_probs
        blocks.append(log_probs.gather(-1, places[rows]).squeeze(-1))
    return torch.cat(blocks).reshape(logits.shape[:-1])


def gumbel_flip(logits: Tensor, perturbed: Tensor, temperature: float = 1.0) -> Tensor:
    """Probability ``(...)`` that argmax(z/T + G) and argmax(z'/T + G) differ for one Gumbel noise G (G11).

    This is what equal random states do to ``torch.multinomial(p, 1)``. Between TV and tanh(R/4). O(V log V).

    Raises
    ------
    ValueError
        As :func:`theory.measure`.
    """
    rows = logit_rows(logits, perturbed, temperature)

    def flips(some: LogitRows) -> dict[str, Tensor]:
        chunks = pairs(some.z, some.z_perturbed, some.temperature, Arena())
        return {"flip": torch.cat([_flip(pair) for _, pair in chunks])}

    return rows.on_supports(flips)["flip"].reshape(rows.lead)


def _flip(pair: Pair) -> Tensor:
    """Sum over the gaps of sorted delta of C/(A+C) * B/(B+C) * (1 - e^-gap).

    P_k is the mass of p up to the k-th delta, C_k that of q above it, A_k = P_k q_k/p_k, and B_k the same at
    the next delta, P_k q_(k+1)/p_(k+1). Each factor lies in [0, 1]; logistic functions of log-masses cannot
    overflow.
    """
    delta, order = pair.delta_from(pair.dense.top).sort(-1)
    log_p, log_q = pair.dense.log_probs.gather(-1, order), pair.perturbed.log_probs.gather(-1, order)
    below = torch.exp(log_p).cumsum(-1)[:, :-1].log()
    above = torch.exp(log_q).flip(-1).cumsum(-1).flip(-1)[:, 1:].log()
    log_ratio = log_q - log_p
    stay_low = torch.sigmoid(above - below - log_ratio[:, :-1])
    stay_high = torch.sigmoid(below + log_ratio[:, 1:] - above)
    return (stay_low * stay_high * -torch.expm1(-delta.diff(dim=-1))).sum(-1)
