"""What ONE teacher-forced pass over dense samples says about free-running text (G2, G10, J1).

``log_ratio`` is ``(..., n)``: log q_t(x_t|x_<t) - log p_t(x_t|x_<t) at the tokens x_1..x_n that the dense
model drew. Each function returns one sample per row of something whose mean over dense text is:

- :func:`survival_weights`: S_n, the probability that n tokens stay identical in the best causal coupling;
- :func:`tv_terms`: TV(P_n, Q_n) of the two models' n-token outputs, which no metric in [0, 1] exceeds;
- :func:`kl_terms`: KL(P_n||Q_n) in nats.

Independent are the prompts, not the steps: see :mod:`theory.sequences.confidence`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def survival_weights(log_ratio: Tensor) -> Tensor:
    """W_n = prod_{t<=n} min(1, q_t/p_t), ``(..., n)`` in [0, 1]; its mean is S_n (G2)."""
    return torch.exp(_checked(log_ratio).clamp(max=0).cumsum(-1))


def survival_weights_given_tv(log_ratio: Tensor, tv: Tensor) -> Tensor:
    """W_{n-1} (1 - TV_n), ``(..., n)``: same mean as :func:`survival_weights`, smaller variance (J1).

    ``tv`` is the per-step total variation along the same tokens, of the same shape.
    """
    log_ratio = _checked(log_ratio)
    if tv.shape != log_ratio.shape:
        raise ValueError(
            f"tv has shape {tuple(tv.shape)}; expected that of log_ratio, {tuple(log_ratio.shape)}"
        )
    steps = log_ratio.clamp(max=0)
    return torch.exp(steps.cumsum(-1) - steps) * (1 - tv.double())


def tv_terms(log_ratio: Tensor) -> Tensor:
    """(1 - Q_n/P_n)_+ along the sample, ``(..., n)`` in [0, 1]; its mean is TV(P_n, Q_n) (J1)."""
    return -torch.expm1(_checked(log_ratio).cumsum(-1).clamp(max=0))


def kl_terms(log_ratio: Tensor) -> Tensor:
    """log P_n/Q_n along the sample, ``(..., n)``, nats; its mean is KL(P_n||Q_n) (G1, J1)."""
    return -_checked(log_ratio).cumsum(-1)


def coupled_divergence_times(log_ratio: Tensor, uniforms: Tensor) -> Tensor:
    """Number of leading identical tokens, int64 ``(...)`` from 0 to n, under the best causal coupling (J1).

    ``uniforms`` ``(...)`` are independent draws from [0, 1), one per sample. The result max{n : W_n > U}
    is an exact sample of the coupled first-divergence time; n means that no token differed up to the horizon.
    """
    weights = survival_weights(log_ratio)
    if uniforms.shape != weights.shape[:-1]:
        expected = tuple(weights.shape[:-1])
        raise ValueError(f"uniforms has shape {tuple(uniforms.shape)}; expected {expected}, one per sample")
    return (weights > uniforms.double().unsqueeze(-1)).sum(-1)


def first_divergence(dense_argmax: Tensor, perturbed_argmax: Tensor) -> Tensor:
    """Number of leading steps, int64 ``(...)``, at which greedy decoding of the two models agrees (G10).

    Both arguments are ``(..., n)`` token ids: the argmax of either model at each position of the dense greedy
    text. Up to the first mismatch both models read the same prefix, so this is exact, not a bound.
    """
    if dense_argmax.shape != perturbed_argmax.shape or dense_argmax.ndim == 0:
        raise ValueError(
            f"perturbed_argmax has shape {tuple(perturbed_argmax.shape)}; expected that of dense_argmax, "
            f"{tuple(dense_argmax.shape)}, with at least one axis"
        )
    return (dense_argmax == perturbed_argmax).to(torch.int64).cumprod(-1).sum(-1)


def _checked(log_ratio: Tensor) -> Tensor:
    if log_ratio.ndim == 0 or not log_ratio.dtype.is_floating_point:
        raise ValueError(
            f"log_ratio has shape {tuple(log_ratio.shape)} and dtype {log_ratio.dtype}; "
            "expected floating point (..., n)"
        )
    if bool(torch.isnan(log_ratio).any()):
        raise ValueError("log_ratio contains nan; expected log-ratios of probabilities")
    return log_ratio.double()
