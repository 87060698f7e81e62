"""Family K, practice: truncated samplers (K8), noise of kernels and precision (K10), options (K12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from torch import Tensor

from theory.arrays import Array
from theory.formulas.claims import about, at_most
from theory.instances.instance import Instance
from theory.instances.trees import total_variation
from theory.proofs.conclusion import concludes
from theory.proofs.enumerated import on_rows
from theory.proofs.relations import related, simulated
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.statements.k_scores.overlap import CAPS
from theory.statements.k_scores.scored import (
    Limit,
    Scored,
    above,
    every_sample,
    exact_error,
    on_scores,
    positive_part,
    truncated,
)
from theory.statements.parameters import (
    first_average,
    gini_mean,
    greedy_hazard,
    logit_noise,
    margin_density,
    noise,
    option_tv,
    second_average,
    shared_hazard,
)
from theory.theorems.theorem import Status, Theorem, Witness

ALPHA = 0.05


def _out_of_sight(x: Scored) -> Iterator[Relation]:
    """Everything on P's support: survival, TV, the ladder, and the means that the band bets on."""
    seen = mpmath.fsum(y.q for y, _ in x.texts)
    yield mpmath.fsum(y.p * (y.agree / y.p) for y, _ in x.texts), "=", x.tree["survival"]
    yield x.mean(lambda w, f: positive_part(1 - w)), "=", x.tv
    yield x.mean(lambda w, f: w), "=", seen
    yield seen, "<=", mpf(1)
    for height in CAPS[1:]:
        right, wrong = x.capped(height)
        yield right, "<=", x.right
        yield x.right, "<=", 1 - wrong
    estimate = x.mean(lambda w, f: w * f)
    yield estimate, "<=", x.right
    yield x.right - estimate, "<=", 1 - seen
    yield x.mean(lambda w, f: 1 - f + w * f), "<=", 1 + x.change
    yield x.mean(lambda w, f: f + w * (1 - f)), "<=", 1 - x.change


def _limits() -> Iterator[tuple[Tensor, Tensor, Limit]]:
    """Four texts of Q, three of P; the limits of the score and of its change, from four dense texts."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        p, q, f = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4)), (rng.random(4) < 0.5) * 1.0
        w, g = q[:3] / p, f[:3]
        change = q @ f - p @ g
        for values, mean in (
            (w * g, q @ f),
            (w * (1 - g), 1 - q @ f),
            (1 - g + w * g, 1 + change),
            (g + w * (1 - g), 1 - change),
        ):
            sample, mass = every_sample([p] * 4, [np.asarray(values)] * 4)
            yield sample, mass, above(float(mean), ALPHA)


K8 = Theorem(
    id="K8",
    name="truncated-decoding",
    title="Temperature, top-k, top-p, penalties: what stays valid",
    statement="Let p_t, q_t be the laws as sampled from, functions of the prefix, with supports that may "
    "differ, and w = q/p on the support of P. Then S_n = E_P prod min(1, rho_t), TV = E_P (1-w)_+ and both "
    "limits of K1 to K5 stay valid; only E_P w = Q(supp P) <= 1, so that importance estimates are low by at "
    "most 1 - E_P w. KL(P||Q) is infinite iff some text of P is none of Q, and every bound by R fails.",
    status=Status.VALID,
    hypotheses=("autoregressive laws; beam search is none",),
    derivation=(
        argument("TV = sum (P-Q)_+ looks at supp P only; E_P[w g] = E_Q[g; supp P] <= E_Q g for g >= 0."),
        on_scores("survival, TV, caps and the means of the band", _out_of_sight, truncated),
        argument("So the wealth of K4 is a supermartingale at the true mean."),
        exact_error("exact error of four limits with part of Q out of sight", ALPHA, _limits),
    ),
    source="J1, K2 to K4",
)


_m, _tau, _u = sp.symbols("m tau u", positive=True)


def _races() -> Iterator[tuple[Array, float]]:
    """Flips of a margin of density 1/2 at 0, and half the Gini mean difference of Gaussian noise."""
    rng, s = np.random.default_rng(10), 0.02
    margins = rng.exponential(2.0, size=400_000)
    flips = margins + s * (rng.normal(size=margins.size) - rng.normal(size=margins.size)) < 0
    yield flips.astype(float), 1 / (2 * np.sqrt(np.pi)) * s * (1 - s / 4 * np.sqrt(np.pi))
    for size in (3, 8, 30):
        p = rng.dirichlet(np.full(size, 0.5))
        delta = 1e-3 * rng.normal(size=(500, size))
        seen = np.abs(delta[:, :, None] - delta[:, None]) @ p @ p / 2
        yield np.asarray(seen), 1e-3 / np.sqrt(np.pi) * (1 - p @ p)


def _best_coupling() -> Iterator[Relation]:
    """E TV of Gaussian noise below the shared-noise hazard, at most sqrt 2 smaller."""
    rng = np.random.default_rng(12)
    for size in (2, 3, 8, 30):
        for flat in (0.2, 1.0, 5.0):
            p = [mpf(float(u)) for u in rng.dirichlet(np.full(size, flat))]
            square = mpmath.fsum(a**2 for a in p)
            best = mpmath.fsum(a * mpmath.sqrt(1 - 2 * a + square) for a in p) / mpmath.sqrt(2 * mpmath.pi)
            shared = (1 - square) / mpmath.sqrt(mpmath.pi)
            yield best, "<=", shared * (1 + mpf(10) ** -12)
            yield shared, "<=", mpmath.sqrt(2) * best * (1 + mpf(10) ** -12)


_greedy_law = about(greedy_hazard, margin_density * logit_noise / sp.sqrt(sp.pi))
_shared_law = about(shared_hazard, noise * gini_mean / sp.sqrt(sp.pi))
_normal = sp.exp(-(_u**2) / (4 * _tau**2)) / (2 * _tau * sp.sqrt(sp.pi))
"""Density of the difference of two noises of standard deviation tau."""

K10 = Theorem(
    id="K10",
    name="kernel-noise",
    title="Batch size, kernels, half precision: the noise floor",
    statement="Independent noise of standard deviation s on every logit, tau = s/T, s -> 0: the greedy token "
    "changes with chance g(0) s/sqrt(pi), g(0) the density of the margin at 0, so greedy text first differs "
    "after about sqrt(pi)/(g(0) s) tokens; shared Gumbel noise draws different tokens with chance "
    "tau/sqrt(pi) E(1-|p|^2), the same law for the race; the best coupling with E TV = tau/sqrt(2 pi) E sum "
    "p_i sqrt(1-2p_i+|p|^2), at most sqrt 2 smaller. All are linear in s: half the noise, twice the length.",
    status=Status.ASYMPTOTIC,
    claims=(_greedy_law, _shared_law),
    hypotheses=("Gaussian noise, independent over logits; s is small", "the margin has a density at 0"),
    derivation=(
        identity(
            "a margin m flips with chance Phi(-m/(sqrt 2 s)); integrated over m it is s/sqrt(pi)",
            sp.Integral(sp.erfc(_m / (2 * _tau)) / 2, (_m, 0, sp.oo)),
            _tau / sp.sqrt(sp.pi),
        ),
        concludes(
            "times the density of m at 0",
            lambda: _greedy_law,
            "estimate",
            margin_density
            * sp.integrate(sp.erfc(_m / (2 * _tau)) / 2, (_m, 0, sp.oo)).subs(_tau, logit_noise),
        ),
        argument("Shared noise flips with sum p_i p_j |delta_i - delta_j|/2 to first order (G11)."),
        identity(
            "E|delta_i - delta_j| = 2 tau/sqrt(pi), a normal of variance 2 tau^2",
            sp.Integral(
                2 * _u * sp.exp(-(_u**2) / (4 * _tau**2)) / (2 * _tau * sp.sqrt(sp.pi)), (_u, 0, sp.oo)
            ),
            2 * _tau / sp.sqrt(sp.pi),
        ),
        concludes(
            "half of it times 1 - |p|^2 = sum over i != j of p_i p_j",
            lambda: _shared_law,
            "estimate",
            gini_mean * sp.integrate(2 * _u * _normal, (_u, 0, sp.oo)).subs(_tau, noise) / 2,
        ),
        argument(
            "TV = E_p|delta - E_p delta|/2 to first order, and delta_i - E_p delta has variance tau^2 (1 - 2 "
            "p_i + |p|^2)."
        ),
        simulated("flips of margins of density 1/2; half the Gini mean difference of noise", _races),
        related("the best coupling is at most sqrt 2 better", _best_coupling),
    ),
    source="G11, G13",
)


def _length_normalised() -> Iterator[Mapping[str, Any]]:
    """Options of different lengths whose log-probabilities per token move within their budgets."""
    rng = np.random.default_rng(13)
    for _ in range(150):
        count = int(rng.integers(2, 5))
        budgets = [rng.random(n) * 2 for n in rng.integers(1, 9, size=count)]
        moves = [b * (2 * rng.random(len(b)) - 1) for b in budgets]
        averages = sorted((mpf(float(b.mean())) for b in budgets), reverse=True)
        before = [mpf(float(u)) for u in rng.normal(size=count)]
        after = [z + mpf(float(m.mean())) for z, m in zip(before, moves, strict=True)]
        laws = [[mpmath.exp(z) / mpmath.fsum(map(mpmath.exp, zs)) for z in zs] for zs in (before, after)]
        yield {
            "option_tv": total_variation(*laws),
            "first_average": averages[0],
            "second_average": averages[1],
        }


def _changing_places(x: Any) -> Mapping[str, Any]:
    """One option moves up by 2x/3, the other down by x/3."""
    pair = Instance([-x / 2, mpf(0)], [2 * x / 3, -x / 3])
    return {"option_tv": pair.column("tv"), "first_average": 2 * x / 3, "second_average": x / 3}


_options = at_most(
    option_tv,
    sp.tanh((first_average + second_average) / 4),
    increasing=("first_average", "second_average"),
)

K12 = Theorem(
    id="K12",
    name="normalised-options",
    title="Options with length normalisation: an average, not a sum",
    statement="After one pass over all options every decision is exact, under any length normalisation. A "
    "priori, if token t of option j moves its log-probability by at most R_(j,t), length-normalised scores "
    "move by at most the average of R_(j,t) over t, the oscillation over the options is at most the sum of "
    "the two largest averages, and TV of the options' law at most tanh of a quarter of it: no growth with "
    "length. Sums that are not normalised have the sum of R_(j,t).",
    status=Status.VALID,
    claims=(_options,),
    hypotheses=("at least two options", "scores are log-probabilities divided by the number of tokens"),
    derivation=(
        argument(
            "The mean of numbers within R_t is within the mean of R_t; two options move apart by the sum."
        ),
        argument("B1 with that oscillation."),
        on_rows("random options of 1 to 8 tokens", (_options,), _length_normalised),
    ),
    witnesses=(Witness("two options of one token that change places", values=_changing_places),),
    source="B1, H1, H3",
)

THEOREMS = (K8, K10, K12)
