"""Family F: flat distributions average the noise: a Gaussian channel, or another law for other noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from scipy import stats

from theory.effects.expectations import expected_cosdist, expected_kl, moments
from theory.formulas.claims import at_least, at_most, between
from theory.formulas.symbols import gini_p, gini_r, parameter, vocabulary
from theory.instances.random_vectors import escort, noise_mean, zipf
from theory.proofs.conclusion import concludes
from theory.proofs.relations import rarely, related, within
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.statements.f_noise.curves import mean_cosdist
from theory.statements.f_noise.noise import mean_kl
from theory.statements.parameters import noise
from theory.theorems.theorem import Counterexample, Status, Theorem

mean_bc = parameter(
    "mean_bc", r"\mathbb{E}\,\mathrm{BC}(p,q)", "mean Bhattacharyya coefficient over the noise"
)
mean_tv = parameter("mean_tv", r"\mathbb{E}\,\mathrm{TV}(p,q)", "mean total variation over the noise")

_e = sp.exp
_cosine_room = sp.sqrt(gini_r * (_e(4 * noise**2) - 1))
_cosine_floor = _e(-(noise**2) / 2) / sp.sqrt(1 + gini_r * (_e(2 * noise**2) - 1))
_bc_floor = _e(-(noise**2) / 8) / sp.sqrt(1 + gini_p * (_e(noise**2 / 2) - 1))
_bc_room = sp.sqrt(gini_p * (_e(noise**2) - 1))
_ceiling = 1 + gini_p
_kl_room = gini_p * (_e(2 * noise**2 * _ceiling) - 1) / (4 * _ceiling)
_gaussian_tv = sp.erf(noise / (2 * sp.sqrt(2)))
_cosine_law = 1 - _e(-(noise**2) / 2)
_cosine_correction = (3 * _e(4 * noise**2) - 4 * _e(2 * noise**2) + 1) / 8
_x, _t, _a = sp.symbols("x t a", positive=True)


def _girsanov() -> bool:
    """e^(s x) times the density of N(0, tau^2) is e^(s^2 tau^2/2) times that of N(s tau^2, tau^2)."""
    u, s = sp.symbols("u s", real=True)
    exponent = s * u - u**2 / (2 * _t**2) - s**2 * _t**2 / 2 + (u - s * _t**2) ** 2 / (2 * _t**2)
    return bool(sp.expand(exponent) == 0)


def _convexity() -> bool:
    """x^(-1/2) and (1 + a x)^(-1/2), a > 0, have the second derivative 3/4 a^2 (1 + a x)^(-5/2) > 0."""
    first = sp.diff(_x ** sp.Rational(-1, 2), _x, 2) - sp.Rational(3, 4) * _x ** sp.Rational(-5, 2)
    second = sp.diff((1 + _a * _x) ** sp.Rational(-1, 2), _x, 2)
    claimed = sp.Rational(3, 4) * _a**2 * (1 + _a * _x) ** sp.Rational(-5, 2)
    return bool(sp.simplify(first) == 0 and sp.simplify(second - claimed) == 0)


def _gaussian_growth() -> bool:
    """E e^(s delta) = e^(s^2 tau^2/2), by integration."""
    u, s = sp.symbols("u s", real=True)
    density = sp.exp(-(u**2) / (2 * _t**2)) / (sp.sqrt(2 * sp.pi) * _t)
    return bool(
        sp.simplify(sp.integrate(density * sp.exp(s * u), (u, -sp.oo, sp.oo)) - sp.exp(s**2 * _t**2 / 2)) == 0
    )


def _variance_of_partition() -> bool:
    """Var sum w_i L_i = |w|^2 Var L for independent L_i of mean 1, V = 4."""
    w, x, spread = (
        sp.symbols("w1:5", positive=True),
        sp.symbols("x1:5", real=True),
        sp.Symbol("v", positive=True),
    )
    total = sum(a * b for a, b in zip(w, x, strict=True))
    moment = [sp.Integer(1), sp.Integer(1), 1 + spread]
    second = noise_mean(sp.expand(total**2), x, moment) - noise_mean(total, x, moment) ** 2
    return bool(sp.expand(second - spread * sum(a**2 for a in w)) == 0)


def _rates() -> Iterator[Relation]:
    for p in (zipf(3), zipf(40), zipf(400), np.full(3000, 1 / 3000), np.array([0.9, 0.05, 0.05])):
        powers = moments(p, "p") | moments(escort(p), "r") | {"vocabulary": float(p.size)}
        for tau in (0.05, 0.4, 1.0, 2.0):
            law = stats.norm(scale=tau)
            symbols = {name: mpf(value) for name, value in powers.items()} | {"noise": mpf(tau)}
            yield from within(F5.claims[0], mpf(expected_cosdist(p, law)), **symbols)
            yield from within(F5.claims[1], mpf(expected_kl(p, law)), **symbols)


def _average_rates() -> Iterator[tuple[Any, float]]:
    """E BC and E TV lie inside their rates: the distance of batch means, one event per law."""
    rng = np.random.default_rng(65)
    for p, tau in ((np.full(1000, 1e-3), 0.5), (zipf(300), 0.4), (zipf(20, 0.3), 1.0)):
        symbols = {"noise": tau, **moments(p, "p")}
        delta = tau * rng.normal(size=(3000, p.size))
        q = p * np.exp(delta)
        q /= q.sum(1, keepdims=True)
        for claim, sample in (
            (F5.claims[2], np.sqrt(p * q).sum(1)),
            (F5.claims[3], np.abs(q - p).sum(1) / 2),
        ):
            slack = 5 * sample.std() / sample.size**0.5
            outside = [
                sample.mean() > bound(**symbols) + slack
                if bound.side == "upper"
                else sample.mean() < bound(**symbols) - slack
                for bound in claim.bounds
            ]
            yield np.array(outside), 0.0


def _corrections() -> Iterator[Relation]:
    """On flat p the first corrections leave an error of order 1/V^2."""
    for size in (1000, 4000):
        p = np.full(size, 1 / size)
        powers = moments(p, "p") | moments(p, "r")
        for tau in (0.5, 1.0):
            law = stats.norm(scale=tau)
            for exact, claim in ((expected_cosdist, F5.claims[0]), (expected_kl, F5.claims[1])):
                assert claim.estimate is not None
                error = abs(exact(p, law) - float(claim.estimate(noise=tau, **powers)))
                yield mpf(error), "<=", mpf(np.exp(9 * tau**2) / size**2)


def _grown(s: Any) -> Any:
    """E e^(s delta)."""
    return sp.exp(s**2 * noise**2 / 2)


def _spread(s: Any) -> Any:
    """Var e^(s delta)/E e^(s delta), over |w|^2 the variance of its mean under w."""
    return _grown(2 * s) / _grown(s) ** 2 - 1


def _covariance(s: Any, t: Any) -> Any:
    return _grown(s + t) / (_grown(s) * _grown(t)) - 1


def _jensen(half: Any, weight: Any) -> Any:
    """E cos (half = 1, weight |r|^2) and E BC (1/2, |p|^2) from below: both steps of Jensen."""
    return _grown(half) / sp.sqrt(_grown(2 * half) * (1 + weight * _covariance(half, 2 * half)))


_half = sp.Rational(1, 2)
_cos_limit, _bc_limit = _grown(1) / sp.sqrt(_grown(2)), _grown(_half) / sp.sqrt(_grown(1))
_tv_limit = sp.integrate(
    sp.exp(-(_x**2) / 2) / sp.sqrt(2 * sp.pi), (_x, -noise / 2, noise / 2)
)  # of N(0,1) and N(tau,1)
_cos_shift = sp.Rational(3, 8) * gini_r * _spread(2) - gini_r * _covariance(1, 2) / 2
_Part = Literal["lower", "upper", "estimate"]
_DERIVED: tuple[tuple[int, _Part, str, Any], ...] = (
    (0, "lower", "1 - cos: less sd Z_2", 1 - _cos_limit - sp.sqrt(gini_r * _spread(2))),
    (0, "upper", "1 - cos: Jensen twice", 1 - _jensen(1, gini_r)),
    (0, "estimate", "E Z_1/sqrt(Z_2) to second order", 1 - _cos_limit * (1 + _cos_shift)),
    (
        1,
        "lower",
        "KL: half of int |p|^2 e^(2ta)",
        sp.integrate((1 - gini_p * sp.exp(2 * _t * (1 + gini_p))) / 2, (_t, 0, noise**2)),
    ),
    (1, "upper", "KL: |q|^2 >= 1/V (F2)", sp.integrate((1 - 1 / vocabulary) / 2, (_t, 0, noise**2))),
    (1, "estimate", "E log Z_1 to second order", sp.log(_grown(1)) - gini_p * _spread(1) / 2),
    (2, "lower", "BC: Jensen twice", _jensen(_half, gini_p)),
    (2, "upper", "BC: plus sd Z_1", _bc_limit + sp.sqrt(gini_p * _spread(1))),
    (2, "estimate", "BC in the limit", _bc_limit),
    (3, "lower", "TV: less half of sd Z_1", _tv_limit - sp.sqrt(gini_p * _spread(1)) / 2),
    (3, "upper", "TV: plus half of sd Z_1", _tv_limit + sp.sqrt(gini_p * _spread(1)) / 2),
    (3, "estimate", "TV of N(0,1) and N(tau,1)", _tv_limit),
)

F5: Theorem = Theorem(
    id="F5",
    name="self-averaging",
    title="Self-averaging: flat distributions see a Gaussian channel with d' = s/T",
    statement="As |p| and |r| tend to 0, (p,q) has the divergences of N(0,1) and N(tau,1): KL -> tau^2/2, "
    "BC -> e^(-tau^2/8), 1 - cos -> 1 - e^(-tau^2/2), TV -> 2 Phi(tau/2) - 1. For every p, "
    "e^(-tau^2/2)/sqrt(1 + |r|^2 (e^(2 tau^2) - 1)) <= E cos <= e^(-tau^2/2) + |r| sqrt(e^(4 tau^2) - 1), "
    "and e^(-tau^2/8)/sqrt(1 + |p|^2 (e^(tau^2/2) - 1)) <= E BC <= e^(-tau^2/8) + |p| sqrt(e^(tau^2) - 1); "
    "E TV is within |p| sqrt(e^(tau^2) - 1)/2 of its limit, and E KL falls short of tau^2/2 by at most "
    "|p|^2 (e^(2 tau^2 a) - 1)/(4a), a = 1 + |p|^2. The estimates of 1 - cos and KL include the first "
    "correction.",
    status=Status.VALID,
    hypotheses=("entries of delta independent Gaussian, mean 0, variance tau^2",),
    claims=(
        between(
            at_least(mean_cosdist, _cosine_law - _cosine_room),
            at_most(mean_cosdist, 1 - _cosine_floor),
            estimate=_cosine_law - _e(-(noise**2) / 2) * gini_r * _cosine_correction,
        ),
        between(
            at_least(mean_kl, noise**2 / 2 - _kl_room),
            at_most(mean_kl, noise**2 / 2 * (1 - 1 / vocabulary)),
            estimate=noise**2 / 2 - gini_p * (_e(noise**2) - 1) / 2,
        ),
        between(
            at_least(mean_bc, _bc_floor),
            at_most(mean_bc, _e(-(noise**2) / 8) + _bc_room),
            estimate=_e(-(noise**2) / 8),
        ),
        between(
            at_least(mean_tv, _gaussian_tv - _bc_room / 2),
            at_most(mean_tv, _gaussian_tv + _bc_room / 2),
            estimate=_gaussian_tv,
        ),
    ),
    derivation=(
        symbolic("E e^(s delta) = e^(s^2 tau^2/2)", _gaussian_growth),
        symbolic("Var sum w_i L_i = |w|^2 Var L, V = 4", _variance_of_partition),
        argument(
            "With Z_s = E_r e^(s delta - s^2 tau^2/2): cos = e^(-tau^2/2) Z_1/sqrt(Z_2), so e^(-tau^2/2) "
            "Z_1 - cos = cos (sqrt(Z_2) - 1) and |E cos - e^(-tau^2/2)| <= E|Z_2 - 1| <= sd Z_2. BC and TV "
            "with Z_1 under p."
        ),
        symbolic("Weighting by e^(s delta_i) shifts delta_i by s tau^2", _girsanov),
        symbolic("x^(-1/2) and (1 + a x)^(-1/2) are convex", _convexity),
        argument(
            "Other side: E cos = e^(tau^2/2) sum_i r_i E (sum_j r_j e^(2 delta_j + 2 tau^2 [j = "
            "i]))^(-1/2), and Jensen twice, over the noise and over i under r. BC in the same way, with "
            "tau/2 for tau."
        ),
        identity(
            "The exponents of the first Jensen step: e^(tau^2/2) (e^(2 tau^2) y)^(-1/2) = e^(-tau^2/2) "
            "y^(-1/2)",
            sp.exp(noise**2 / 2) * (sp.exp(2 * noise**2) * _x) ** sp.Rational(-1, 2),
            sp.exp(-(noise**2) / 2) * _x ** sp.Rational(-1, 2),
        ),
        identity(
            "|sqrt(Z) - 1| <= |Z - 1| as (sqrt(Z) - 1)(sqrt(Z) + 1) = Z - 1",
            (sp.sqrt(_x) - 1) * (sp.sqrt(_x) + 1),
            _x - 1,
        ),
        identity(
            "KL: half the integral of e^(2ta), t from 0 to tau^2",
            sp.integrate(sp.exp(2 * _t * _a), (_t, 0, _x)) / 2,
            (sp.exp(2 * _x * _a) - 1) / (4 * _a),
        ),
        argument(
            "F2 with (sum p e^delta)^-2 <= e^(-2 sum p delta) gives E|q_t|^2 <= sum p_i^2 e^(2ta_i), "
            "a_i = 1 - 2p_i + |p|^2 <= a."
        ),
        *(
            concludes(text, lambda number=number: F5.claims[number], part, derived)  # type: ignore[misc]
            for number, part, text, derived in _DERIVED
        ),
        related("The rates for 1 - cos and KL against F3, five distributions, tau from 0.05 to 2", _rates),
        rarely("The rates for BC and TV, three distributions, 3000 draws", _average_rates),
        related("The first corrections on flat p leave an error of order 1/V^2", _corrections),
    ),
    limit=expansion(
        "tau^2/2 - tau^4/8: T2's mean for |r| -> 0, and its first correction",
        _cosine_law,
        noise,
        noise**2 / 2 - noise**4 / 8,
    ),
    source="new",
)


def _peaked() -> tuple[Any, Any]:
    p, tau = np.array([0.9, 0.05, 0.05]), 1.0
    return 1 - mpmath.exp(-(mpf(tau) ** 2) / 2), mpf(expected_cosdist(p, stats.norm(scale=tau)))


F5x = Theorem(
    id="F5x",
    name="universal-noise-law",
    title="Folklore: noise moves every next-token distribution by the same amount",
    statement="E(1 - cos) is about 1 - e^(-tau^2/2) for any p, in particular not much less. It needs |r|^2 "
    "e^(4 tau^2) << 1; confident steps have 1/|r|^2 between 1 and 3 and move far less. Use F3 or F4.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "p = (0.9, 0.05, 0.05), tau = 1: the law, and the exact mean of 1 - cos", _peaked
    ),
)

THEOREMS = (F5, F5x)
