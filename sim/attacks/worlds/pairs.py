"""One pair of distributions: the columns of a drift, and what further theorems say about a single pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.attacks.worlds.differentiable import COLUMNS, Pair
from sim.attacks.worlds.world import Free, Given, with_range
from sim.logits.base import log_uniform
from theory.arrays import Array

NEARLY_ONE = 1 - 1e-4

Symbol = Callable[[Pair, Given], Tensor]


@dataclass(frozen=True)
class Pairs:
    """Logits and perturbation of ``size`` tokens at T = 1."""

    further: dict[str, Symbol]
    sizes: tuple[int, ...]

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(COLUMNS) | frozenset(self.further)

    def start(self, rng: np.random.Generator, rows: int, size: int) -> dict[str, Array]:
        z = log_uniform(rng, 0.1, 5.0, rows) * rng.standard_normal((rows, size))
        return {"z": z, "delta": rng.standard_normal((rows, size))}

    def columns(self, free: Free, given: Given, names: Sequence[str]) -> dict[str, Tensor]:
        pair = Pair(free["z"], with_range(free["delta"], given.oscillation))
        return {
            name: self.further[name](pair, given) if name in self.further else COLUMNS[name](pair)
            for name in names
        }


def _order(given: Given) -> Tensor:
    return 1 / given.share


def _norm_change(pair: Pair, given: Given) -> Tensor:
    change = (pair.p * torch.expm1(pair.log_ratio)).abs()
    largest, order = change.amax(-1, keepdim=True), _order(given)
    norm: Tensor = largest[:, 0] * ((change / largest) ** order[:, None]).sum(-1) ** (1 / order)
    return norm


def _alpha(given: Given) -> Tensor:
    """Orders from 0.1 to 4, none of them 1."""
    alpha = 0.1 + 3.9 * given.share
    return torch.where((alpha - 1).abs() < 0.05, alpha + 0.1, alpha)


def _renyi(pair: Pair, given: Given) -> Tensor:
    alpha = _alpha(given)
    excess = (pair.p * torch.expm1((1 - alpha)[:, None] * pair.log_ratio)).sum(-1)
    return torch.log1p(excess) / (alpha - 1)


def _escort(pair: Pair) -> Tensor:
    return pair.weights(2, 0)


def _top_eigenvalue(pair: Pair, given: Given) -> Tensor:
    r = _escort(pair)
    largest: Tensor = torch.linalg.eigvalsh(torch.diag_embed(r) - r[:, :, None] * r[:, None, :])[:, -1]
    return largest


def _acceptance(pair: Pair, given: Given) -> Tensor:
    return torch.minimum(pair.p, pair.q).sum(-1)


def _gumbel_flip(pair: Pair, given: Given) -> Tensor:
    """P(argmax(log p + G) != argmax(log q + G)): every pair i, j of tokens is i before and j after (G11)."""
    delta, order = pair.delta.sort(-1)
    p = pair.p.gather(-1, order)
    shifted = delta - delta[:, -1:]
    below = p.cumsum(-1)[:, :-1]
    above = (p * shifted.exp()).flip(-1).cumsum(-1).flip(-1)[:, 1:]
    step = shifted.exp()
    low, high = step[:, :-1], step[:, 1:]
    gap = low * torch.expm1(delta.diff(dim=-1))
    return (below * above * gap / ((high * below + above) * (low * below + above))).sum(-1)


def _privacy_delta(pair: Pair, given: Given) -> Tensor:
    return (pair.q - torch.exp(_epsilon(pair, given))[:, None] * pair.p).clamp(min=0).sum(-1)


def _epsilon(pair: Pair, given: Given) -> Tensor:
    return given.share * given.oscillation


def _half_life(pair: Pair, given: Given) -> Tensor:
    """Of independent equal steps: agreement decays by the factor 1 - TV."""
    steps: Tensor = -np.log(2.0) / _acceptance(pair, given).log()
    return steps


def _log_ratio(pair: Pair, given: Given) -> Tensor:
    """Of the first token; undefined where its rest is too small for the formula's 1 - p in float64."""
    moved = pair.p[:, 1:] * torch.expm1(pair.delta[:, 1:] - pair.delta[:, :1])
    return torch.where(pair.p[:, 0] < NEARLY_ONE, -torch.log1p(moved.sum(-1)), torch.nan)


def _amplification(pair: Pair, given: Given) -> Tensor:
    return COLUMNS["cosdist_p"](pair) / COLUMNS["cosdist_z"](pair)


_SINGLE: dict[str, Symbol] = {
    "order": lambda pair, given: _order(given),
    "norm_change": _norm_change,
    "alpha": lambda pair, given: _alpha(given),
    "renyi": _renyi,
    "amplification": _amplification,
    "acceptance_rate": _acceptance,
    "draft_spread": lambda pair, given: given.oscillation,
    "half_life": _half_life,
    "gumbel_flip": _gumbel_flip,
    "epsilon": _epsilon,
    "privacy_delta": _privacy_delta,
    "log_ratio": _log_ratio,
    "token_mass": lambda pair, given: pair.p[:, 0],
}

_SPECTRUM: dict[str, Symbol] = {
    "top_eigenvalue": _top_eigenvalue,
    "r_first": lambda pair, given: _escort(pair).sort(-1).values[:, -1],
    "r_second": lambda pair, given: _escort(pair).sort(-1).values[:, -2],
}


def _options(pair: Pair) -> int:
    """The option set, or core: the first half of the tokens, two at least."""
    return max(2, pair.z.shape[-1] // 2)


def _chosen(pair: Pair) -> Pair:
    k = _options(pair)
    return Pair(pair.z[:, :k], pair.delta[:, :k])


def _rest(values: Tensor, pair: Pair) -> Tensor:
    return values[:, _options(pair) :]


def _mass(values: Tensor, pair: Pair) -> Tensor:
    return values[:, : _options(pair)].sum(-1)


_SPLIT: dict[str, Symbol] = {
    "kl_options": lambda pair, given: COLUMNS["kl"](_chosen(pair)),
    "var_options": lambda pair, given: COLUMNS["var_p"](_chosen(pair)),
    "oscillation_options": lambda pair, given: COLUMNS["oscillation"](_chosen(pair)),
    "option_mass": lambda pair, given: _mass(pair.p, pair),
    "core_mass": lambda pair, given: _mass(pair.p, pair),
    "core_mass_perturbed": lambda pair, given: _mass(pair.q, pair),
    "core_oscillation": lambda pair, given: COLUMNS["oscillation"](_chosen(pair)),
    "tail_mass": lambda pair, given: _rest(pair.p, pair).sum(-1),
    "tail_mass_perturbed": lambda pair, given: _rest(pair.q, pair).sum(-1),
    "tail_oscillation": lambda pair, given: (
        _rest(pair.delta, pair).amax(-1) - _rest(pair.delta, pair).amin(-1)
    ),
}


class _TopK:
    """Both models keep their most probable half of the tokens."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.kept, self.kept_perturbed = self._kept(pair.p), self._kept(pair.q)

    def _kept(self, law: Tensor) -> Tensor:
        places = law.topk(max(1, law.shape[-1] // 2), -1).indices
        return torch.zeros_like(law).scatter(-1, places, 1.0)

    def total_variation(self) -> Tensor:
        p, q = self.pair.p * self.kept, self.pair.q * self.kept_perturbed
        return (p / p.sum(-1, keepdim=True) - q / q.sum(-1, keepdim=True)).abs().sum(-1) / 2

    def oscillation(self) -> Tensor:
        high = self.pair.delta.masked_fill(self.kept == 0, -torch.inf).amax(-1)
        return high - self.pair.delta.masked_fill(self.kept == 0, torch.inf).amin(-1)

    def shared(self) -> Tensor:
        return (self.pair.q * self.kept * self.kept_perturbed).sum(-1)

    def larger(self) -> Tensor:
        return torch.maximum((self.pair.q * self.kept).sum(-1), (self.pair.q * self.kept_perturbed).sum(-1))


_TRUNCATED: dict[str, Symbol] = {
    "tv_truncated": lambda pair, given: _TopK(pair).total_variation(),
    "oscillation_kept": lambda pair, given: _TopK(pair).oscillation(),
    "mass_shared": lambda pair, given: _TopK(pair).shared(),
    "mass_larger": lambda pair, given: _TopK(pair).larger(),
}

_TWO_TOKENS: dict[str, Symbol] = {
    "change": lambda pair, given: given.oscillation,
    "gap": lambda pair, given: pair.z[:, 0] - pair.z[:, 1],
}

DRIFT = Pairs({}, (2, 3, 8, 64, 1024))
WORLDS = (
    Pairs(_SINGLE, (2, 3, 8, 64, 1024)),
    Pairs(_SPECTRUM, (2, 3, 8, 64)),
    Pairs(_SPLIT, (3, 4, 8, 64, 1024)),
    Pairs(_TRUNCATED, (4, 8, 64)),
    Pairs(_TWO_TOKENS, (2,)),
)
