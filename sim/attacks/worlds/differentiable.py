"""Columns of a drift as differentiable functions of logits: the definitions in torch, for gradient ascent.

``theory.measure`` is the accurate evaluation and has no gradient. These forms are good to about 1e-12 for
oscillations between 1e-3 and 50, which is where an attack searches; what it finds is measured by ``theory``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Pair:
    """Distributions of logits ``z`` and perturbations ``delta``, both divided by T, ``(rows, V)``."""

    def __init__(self, z: Tensor, delta: Tensor) -> None:
        self.z, self.delta = z, delta
        self.log_p = torch.log_softmax(z, dim=-1)
        self.log_q = torch.log_softmax(z + delta, dim=-1)
        self.p, self.q = self.log_p.exp(), self.log_q.exp()
        self.log_ratio = self.log_q - self.log_p

    def weights(self, dense: float, perturbed: float) -> Tensor:
        """Weights proportional to ``p**dense * q**perturbed``."""
        return torch.softmax(dense * self.log_p + perturbed * self.log_q, dim=-1)

    def variance(self, dense: float, perturbed: float) -> Tensor:
        """Variance of delta under those weights."""
        weights = self.weights(dense, perturbed)
        return (weights * (self.delta - _mean(weights, self.delta)) ** 2).sum(-1)

    def centred(self, dense: float) -> Tensor:
        """Delta minus its mean under ``p**dense``."""
        return self.delta - _mean(self.weights(dense, 0), self.delta)


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    return (weights * values).sum(-1, keepdim=True)


def _divergence(weights: Tensor, log_ratio: Tensor) -> Tensor:
    """``E log(1/ratio)`` as a mean of nonnegative terms: ``e^x - 1 - x`` with ``E e^x = 1``."""
    return (weights * (torch.expm1(log_ratio) - log_ratio)).sum(-1)


def _js(pair: Pair) -> Tensor:
    middle = torch.logaddexp(pair.log_p, pair.log_q) - torch.log(torch.tensor(2.0, dtype=pair.z.dtype))
    return (_divergence(pair.p, middle - pair.log_p) + _divergence(pair.q, middle - pair.log_q)) / 2


def _cosdist(x: Tensor, y: Tensor) -> Tensor:
    x, y = x / x.norm(dim=-1, keepdim=True), y / y.norm(dim=-1, keepdim=True)
    return ((x - y) ** 2).sum(-1) / 2


def _centre(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _parallel(pair: Pair) -> Tensor:
    return (pair.delta * pair.z).sum(-1) / (pair.z**2).sum(-1)


def _orthogonal_sq(pair: Pair) -> Tensor:
    rest = pair.delta - _parallel(pair)[:, None] * pair.z
    return (rest**2).sum(-1) / (pair.z**2).sum(-1)


def _margin(pair: Pair) -> Tensor:
    top = pair.z.topk(2, dim=-1).values
    return top[..., 0] - top[..., 1]


COLUMNS: dict[str, Callable[[Pair], Tensor]] = {
    "kl": lambda x: _divergence(x.p, x.log_ratio),
    "kl_reverse": lambda x: _divergence(x.q, -x.log_ratio),
    "js": _js,
    "tv": lambda x: (x.p * torch.expm1(x.log_ratio).abs()).sum(-1) / 2,
    "hellinger_sq": lambda x: (x.p * torch.expm1(x.log_ratio / 2) ** 2).sum(-1) / 2,
    "chi2": lambda x: (x.p * torch.expm1(x.log_ratio) ** 2).sum(-1),
    "chi2_reverse": lambda x: (x.q * torch.expm1(-x.log_ratio) ** 2).sum(-1),
    "cosdist_p": lambda x: _cosdist(x.p, x.q),
    "cosdist_z": lambda x: _cosdist(x.z, x.z + x.delta),
    "cosdist_z_centred": lambda x: _cosdist(_centre(x.z), _centre(x.z + x.delta)),
    "oscillation": lambda x: x.delta.amax(-1) - x.delta.amin(-1),
    "rho_plus": lambda x: x.log_ratio.amax(-1),
    "rho_minus": lambda x: -x.log_ratio.amin(-1),
    "var_p": lambda x: x.variance(1, 0),
    "var_q": lambda x: x.variance(0, 1),
    "var_r": lambda x: x.variance(2, 0),
    "var_w": lambda x: x.variance(1, 1),
    "var_g": lambda x: x.variance(0.5, 0.5),
    "var_u": lambda x: x.variance(0, 0),
    "low_p": lambda x: x.centred(1).amin(-1),
    "high_p": lambda x: x.centred(1).amax(-1),
    "low_r": lambda x: x.centred(2).amin(-1),
    "high_r": lambda x: x.centred(2).amax(-1),
    "p_max": lambda x: x.p.amax(-1),
    "p_rest": lambda x: x.p.sort(-1).values[..., :-1].sum(-1),
    "entropy": lambda x: -(x.p * x.log_p).sum(-1),
    "entropy_perturbed": lambda x: -(x.q * x.log_q).sum(-1),
    "gini_p": lambda x: (x.p**2).sum(-1),
    "gini_r": lambda x: (x.weights(2, 0) ** 2).sum(-1),
    "parallel": _parallel,
    "orthogonal_sq": _orthogonal_sq,
    "norm_sq": lambda x: (x.z**2).sum(-1),
    "margin": _margin,
    "option_mass": lambda x: torch.ones_like(x.z[..., 0]),
    "option_mass_perturbed": lambda x: torch.ones_like(x.z[..., 0]),
    "temperature": lambda x: torch.ones_like(x.z[..., 0]),
    "vocabulary": lambda x: torch.full_like(x.z[..., 0], x.z.shape[-1]),
}


def columns(z: Tensor, delta: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The named columns of a drift at T = 1, ``(rows,)`` each, differentiable in ``z`` and ``delta``."""
    pair = Pair(z, delta)
    return {name: COLUMNS[name](pair) for name in names}
