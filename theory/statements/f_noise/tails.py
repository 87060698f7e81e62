"""Family F: how the drift concentrates: Lipschitz constants free of the dimension, and chi-square tails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most
from theory.formulas.symbols import (
    cosdist_p,
    gini_p,
    hellinger_sq,
    kl,
    oscillation,
    p_max,
    parameter,
    tv,
    var_u,
    vocabulary,
)
from theory.instances.random_vectors import random_vector, zipf
from theory.instances.two_atom_laws import swap
from theory.proofs.conclusion import concludes
from theory.proofs.relations import rarely, related
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, positive, symbolic
from theory.statements.f_noise.curves import drift_rows
from theory.statements.f_noise.noise import cubes_p, trace_square
from theory.statements.parameters import noise
from theory.statements.shared_steps import Instance
from theory.theorems.theorem import Status, Theorem, Witness

tail_probability = parameter("tail_probability", r"\mathbb{P}", "probability of the event in the statement")
deviation = parameter("deviation", "x", "size of the deviation from the mean")
exponent = parameter("exponent", "x_e", "the event has probability at most exp(-exponent)")
quantile_upper = parameter(
    "quantile_upper", r"Q_+", "value that Var_p/2 exceeds with probability exp(-exponent)"
)
quantile_lower = parameter(
    "quantile_lower", r"Q_-", "value below which Var_p/2 lies with the same probability"
)
risk = parameter("risk", r"\eta", "probability that is left out")
oscillation_quantile = parameter("oscillation_quantile", r"R_\eta", "value R exceeds with probability risk")

_length_sq = vocabulary * var_u
"""Squared l2 norm of delta less its mean: the smallest over all common shifts."""
_u, _s = sp.symbols("u s", positive=True)


def _angle(distance: Any) -> Any:
    return 2 * sp.asin(sp.sqrt(distance / 2))


def _gradient() -> bool:
    """The gradient of KL(p||q_delta) in delta is q - p, V = 3."""
    p, x = sp.symbols("p1:4", positive=True), sp.symbols("x1:4", real=True)
    total = sum(a * sp.exp(b) for a, b in zip(p, x, strict=True))
    value = sp.log(total) - sum(a * b for a, b in zip(p, x, strict=True))
    slopes = (sp.diff(value, b) - (a * sp.exp(b) / total - a) for a, b in zip(p, x, strict=True))
    return all(sp.simplify(slope) == 0 for slope in slopes)


def _lipschitz(x: Instance) -> list[Relation]:
    squares = mpmath.fsum((a - b) ** 2 for a, b in zip(x.p, x.q, strict=True))
    return [(squares, "<=", 2 * x.column("tv") ** 2), (2 * x.column("tv") ** 2, "<=", x.column("kl"))]


def _drifts(base: list[Any], delta: list[Any]) -> list[Any]:
    x = Instance(base, delta)
    angles = [2 * mpmath.asin(mpmath.sqrt(x.column(name) / 2)) for name in ("cosdist_p", "hellinger_sq")]
    return [mpmath.sqrt(x.column("kl")), *angles, x.column("tv")]


def _two_perturbations() -> Iterator[Relation]:
    """The Lipschitz property itself: two perturbations of one p."""
    rng = np.random.default_rng(66)
    constants = (mpf(1) / 2, 1 / mpmath.sqrt(2), 1 / (2 * mpmath.sqrt(2)), 1 / (2 * mpmath.sqrt(2)))
    for _ in range(80):
        size = int(rng.integers(2, 7))
        z, first = random_vector(rng, size, 2), random_vector(rng, size, float(10 ** rng.uniform(-1, 0.7)))
        step = random_vector(rng, size, float(10 ** rng.uniform(-2, 0.5)))
        second = [a + b for a, b in zip(first, step, strict=True)]
        length = mpmath.sqrt(mpmath.fsum(b**2 for b in step))
        for a, b, constant in zip(_drifts(z, first), _drifts(z, second), constants, strict=True):
            yield abs(a - b), "<=", constant * length


def _tails() -> Iterator[tuple[Any, float]]:
    rng, p, tau = np.random.default_rng(67), zipf(20), 1.0
    kl_sample, cosine = drift_rows(p, tau * rng.normal(size=(100_000, 20)))
    for sample, claim in ((np.sqrt(kl_sample), F6.claims[4]), (np.arccos(cosine), F6.claims[5])):
        assert claim.upper is not None
        for x in (0.3, 0.5, 0.8):
            bound = float(claim.upper(deviation=x, noise=tau))
            yield np.abs(sample - sample.mean()) >= x, min(bound, 1.0)


SQRT_KL_DEVIATES = at_most(tail_probability, 2 * sp.exp(-2 * deviation**2 / noise**2))
"""Of the square root of KL(p||q) from its mean."""
ANGLE_DEVIATES = at_most(tail_probability, 2 * sp.exp(-(deviation**2) / noise**2))
"""Of the angle between p and q."""
OVERLAP_DEVIATES = at_most(tail_probability, 2 * sp.exp(-4 * deviation**2 / noise**2))
"""Of arccos(1 - hellinger_sq), and of total variation."""

F6 = Theorem(
    id="F6",
    name="dimension-free-lipschitz",
    title="Dimension-free Lipschitz constants and Gaussian concentration",
    statement="In the l2 norm of delta, sqrt(KL(p||q)) is 1/2-Lipschitz, the angle of p and q "
    "1/sqrt(2)-Lipschitz, arccos BC and TV 1/(2 sqrt(2))-Lipschitz. So KL <= V Var_u/4 and so on, and for "
    "Gaussian noise the four quantities stay within x of their means except with probability 2 "
    "e^(-2x^2/tau^2), 2 e^(-x^2/tau^2), 2 e^(-4x^2/tau^2) (both), whatever the vocabulary.",
    status=Status.SHARP,
    hypotheses=("the tails: entries of delta independent Gaussian, variance tau^2",),
    claims=(
        at_most(kl, _length_sq / 4, increasing=("var_u", "vocabulary")),
        at_most(_angle(cosdist_p), sp.sqrt(_length_sq / 2), increasing=("var_u", "vocabulary")),
        at_most(_angle(hellinger_sq), sp.sqrt(_length_sq / 8), increasing=("var_u", "vocabulary")),
        at_most(tv, sp.sqrt(_length_sq / 8), increasing=("var_u", "vocabulary")),
        SQRT_KL_DEVIATES,
        ANGLE_DEVIATES,
        OVERLAP_DEVIATES,
    ),
    derivation=(
        symbolic("The gradient of KL(p||q) in delta is q - p, V = 3", _gradient),
        argument(
            "sum (q - p) = 0 gives |q - p|^2 <= 2 TV^2, and 2 TV^2 <= KL is Pinsker: the gradient of "
            "sqrt(KL), (q - p)/(2 sqrt(KL)), has length at most 1/2."
        ),
        sampled("|q - p|^2 <= 2 TV^2 <= KL", _lipschitz),
        argument(
            "u = q/|q| moves with speed sd_{r_q}(d delta) <= |d delta|/sqrt(2) (a unit vector has range at "
            "most sqrt(2)), sqrt(q) with half of sd_q, and TV(q,q') <= R/4 <= sqrt(2) |delta - delta'|/4."
        ),
        related("80 pairs of perturbations of one p", _two_perturbations),
        *(
            concludes(
                f"Gaussian concentration 2 e^(-x^2/(2 L^2 tau^2)) at L^2 = 1/{inverse}",
                lambda claim=claim: claim,  # type: ignore[misc]
                "upper",
                (2 * sp.exp(-(deviation**2) / (2 * _s * noise**2))).subs(_s, sp.Rational(1, inverse)),
            )
            for claim, inverse in ((SQRT_KL_DEVIATES, 4), (ANGLE_DEVIATES, 2), (OVERLAP_DEVIATES, 8))
        ),
        rarely("Tails of sqrt(KL) and of the angle at V = 20, 100,000 draws", _tails),
    ),
    witnesses=tuple(
        Witness("the swap pair as R -> 0", swap, claim=claim, parameters=("1e-9", "1e-6", "1e-4"))
        for claim in range(4)
    ),
    limit=expansion(
        "Uniform p on two atoms: V Var_u/4 = R^2/8, the largest value of T3",
        (_length_sq / 4).subs({var_u: oscillation**2 / 4, vocabulary: 2}),
        oscillation,
        oscillation**2 / 8,
    ),
    source="new; Gaussian concentration",
)


def _generating_function() -> bool:
    """log E e^(u(Y^2-1)) = -u - log(1-2u)/2 and u^2/(1-2u) have coefficients 2^(k-1)/k <= 2^(k-2), k >= 2."""
    k = 12
    left = sp.series(-_u - sp.log(1 - 2 * _u) / 2, _u, 0, k).removeO()
    right = sp.series(_u**2 / (1 - 2 * _u), _u, 0, k).removeO()
    matches = all(
        left.coeff(_u, j) == sp.Rational(2) ** (j - 1) / j and right.coeff(_u, j) == sp.Rational(2) ** (j - 2)
        for j in range(2, k)
    )
    return bool(matches and left.coeff(_u, 1) == 0)  # and 2^(j-1)/j <= 2^(j-2) iff j >= 2


def _half_variances() -> Iterator[tuple[Any, float]]:
    rng, tau = np.random.default_rng(68), 0.8
    for p in (zipf(20), np.full(8, 1 / 8), np.array([0.98, 0.01, 0.01])):
        delta = tau * rng.normal(size=(60_000, p.size))
        sample = ((delta * delta) @ p - (delta @ p) ** 2) / 2
        symbols = {
            "noise": tau,
            "gini_p": float(p @ p),
            "cubes_p": float((p**3).sum()),
            "p_max": float(p.max()),
        }
        for x in (0.5, 1.0, 2.0, 4.0, 6.0):
            upper, lower = F7.claims[0].upper, F7.claims[1].lower
            assert upper is not None
            assert lower is not None
            yield sample >= upper(exponent=x, **symbols), float(np.exp(-x))
            yield sample <= lower(exponent=x, **symbols), float(np.exp(-x))


def _ranges() -> Iterator[tuple[Any, float]]:
    rng, tau = np.random.default_rng(69), 0.6
    bound = F7.claims[2].upper
    assert bound is not None
    for size in (2, 50):
        spread = np.ptp(tau * rng.normal(size=(50_000, size)), axis=1)
        for eta in (0.5, 0.1, 0.01):
            yield spread >= bound(noise=tau, vocabulary=float(size), risk=eta), eta


_mean_half = noise**2 * (1 - gini_p) / 2
_fluctuation = noise**2 * sp.sqrt(trace_square * exponent)

VARIANCE_ABOVE = at_most(
    quantile_upper, _mean_half + _fluctuation + noise**2 * sp.Min(p_max, sp.Rational(1, 2)) * exponent
)
VARIANCE_BELOW = at_least(quantile_lower, _mean_half - _fluctuation)
RANGE_QUANTILE = at_most(oscillation_quantile, 2 * noise * sp.sqrt(2 * sp.log(2 * vocabulary / risk)))

_a_length = noise**2 / 2 * sp.sqrt(gini_p - 2 * cubes_p + gini_p**2)
_a_max = noise**2 / 2 * sp.Min(p_max, sp.Rational(1, 2))
_lemma_below = noise**2 * (1 - gini_p) / 2 - 2 * _a_length * sp.sqrt(exponent)
_lemma_above = _lemma_below + 4 * _a_length * sp.sqrt(exponent) + 2 * _a_max * exponent

F7 = Theorem(
    id="F7",
    name="noise-tails",
    title="Tails of the quadratic estimate",
    statement="For Gaussian noise and every x > 0, Var_p/2 exceeds tau^2(1 - |p|^2)/2 + tau^2 |lambda|_2 "
    "sqrt(x) + tau^2 lambda_max x with probability at most e^-x, and falls below the mean less tau^2 "
    "|lambda|_2 sqrt(x) with probability at most e^-x. Here |lambda|_2^2 = |p|^2 - 2 S_3 + |p|^4 and "
    "lambda_max <= min(p_max, 1/2). With probability 1 - eta also R <= 2 tau sqrt(2 log(2V/eta)), and C5 "
    "carries the tails over to KL; r for p: to 1 - cos.",
    status=Status.VALID,
    hypotheses=("entries of delta independent Gaussian, mean 0, variance tau^2",),
    claims=(
        VARIANCE_ABOVE,
        VARIANCE_BELOW,
        RANGE_QUANTILE,
    ),
    derivation=(
        argument(
            "Var_p is sum lambda_i tau^2 Y_i^2 with independent standard Gaussian Y_i (spectrum of Sigma)."
        ),
        symbolic(
            "log E e^(u(Y^2-1)) = -u - log(1-2u)/2 <= u^2/(1-2u): coefficients 2^(k-1)/k, 2^(k-2) to k = 11",
            _generating_function,
        ),
        positive(
            "The same away from 0", _u**2 / (1 - 2 * _u) + _u + sp.log(1 - 2 * _u) / 2, {_u: ("0.05", "0.49")}
        ),
        argument(
            "Chernoff and the optimal u (Laurent and Massart 2000, lemma 1) with a_i = tau^2 lambda_i/2."
        ),
        concludes(
            "With a_i = tau^2 lambda_i/2 the lemma's mean + 2 |a|_2 sqrt(x) + 2 a_max x",
            lambda: VARIANCE_ABOVE,
            "upper",
            _lemma_above,
        ),
        concludes("and mean - 2 |a|_2 sqrt(x)", lambda: VARIANCE_BELOW, "lower", _lemma_below),
        argument("A union bound over 2V Gaussian tails for R; lambda_max by E4, the trace by F1."),
        concludes(
            "2 V e^(-t^2/(2 tau^2)) = eta at t, and R <= 2t",
            lambda: RANGE_QUANTILE,
            "upper",
            2 * sp.solve(sp.Eq(_s**2 / (2 * noise**2), sp.log(2 * vocabulary / risk)), _s)[-1],
        ),
        rarely("Both tails for three distributions, 60,000 draws", _half_variances),
        rarely("The range of 2 and 50 Gaussians", _ranges),
    ),
    source="Laurent and Massart 2000",
)

THEOREMS = (F6, F7)
