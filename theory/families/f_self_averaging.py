"""Family F: flat distributions average the noise: a Gaussian channel, or another law for other noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from scipy import stats

from theory.expectations import expected_cosdist, expected_kl, moments
from theory.families.cases import Relation, escort, noise_mean, rarely, related, within, zipf
from theory.families.f_curves import mean_cosdist, mean_log_cos
from theory.families.f_noise import mean_kl, noise
from theory.functions import coth_excess, kl_max, log_cosh, log_sinhc
from theory.steps import argument, expansion, identity, symbolic
from theory.symbols import gini_p, gini_r, oscillation, parameter, vocabulary
from theory.theorem import (
    Bound,
    Claim,
    Counterexample,
    Estimate,
    Status,
    Theorem,
    about,
    at_least,
    at_most,
    between,
)

mean_bc = parameter(
    "mean_bc", r"\mathbb{E}\,\mathrm{BC}(p,q)", "mean Bhattacharyya coefficient over the noise"
)
mean_tv = parameter("mean_tv", r"\mathbb{E}\,\mathrm{TV}(p,q)", "mean total variation over the noise")
half_width = parameter("half_width", "c", "uniform noise is on [-c, c]")
laplace_scale = parameter("laplace_scale", r"b_{\mathrm{L}}", "scale of Laplace noise, variance 2 b^2")

_e = sp.exp
_cosine_room = sp.sqrt(gini_r * (_e(4 * noise**2) - 1))
_bc_room = sp.sqrt(gini_p * (_e(noise**2) - 1))
_ceiling = 1 + gini_p
_kl_room = gini_p * (_e(2 * noise**2 * _ceiling) - 1) / (4 * _ceiling)
_gaussian_tv = sp.erf(noise / (2 * sp.sqrt(2)))
_cosine_law = 1 - _e(-(noise**2) / 2)
_cosine_correction = (3 * _e(4 * noise**2) - 4 * _e(2 * noise**2) + 1) / 8
_x, _t, _a = sp.symbols("x t a", positive=True)


def _around(quantity: Any, law: Any, room: Any, estimate: Any) -> Claim:
    return between(at_least(quantity, law - room), at_most(quantity, law + room), estimate=estimate)


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


F5 = Theorem(
    id="F5",
    name="self-averaging",
    title="Self-averaging: flat distributions see a Gaussian channel with d' = s/T",
    statement="As |p| and |r| tend to 0, (p,q) has the divergences of N(0,1) and N(tau,1): KL -> tau^2/2, "
    "BC -> e^(-tau^2/8), 1 - cos -> 1 - e^(-tau^2/2), TV -> 2 Phi(tau/2) - 1. The bounds hold for every p: "
    "|E cos - e^(-tau^2/2)| <= |r| sqrt(e^(4 tau^2) - 1), |E BC - e^(-tau^2/8)| <= |p| sqrt(e^(tau^2) - 1), "
    "half of that for TV, and KL falls short of tau^2/2 by at most |p|^2 (e^(2 tau^2 a) - 1)/(4a), a = 1 + "
    "|p|^2. The estimates include the first correction.",
    status=Status.VALID,
    hypotheses=("entries of delta independent Gaussian, mean 0, variance tau^2",),
    claims=(
        _around(
            mean_cosdist,
            _cosine_law,
            _cosine_room,
            _cosine_law - _e(-(noise**2) / 2) * gini_r * _cosine_correction,
        ),
        between(
            at_least(mean_kl, noise**2 / 2 - _kl_room),
            at_most(mean_kl, noise**2 / 2 * (1 - 1 / vocabulary)),
            estimate=noise**2 / 2 - gini_p * (_e(noise**2) - 1) / 2,
        ),
        _around(mean_bc, _e(-(noise**2) / 8), _bc_room, _e(-(noise**2) / 8)),
        _around(mean_tv, _gaussian_tv, _bc_room / 2, _gaussian_tv),
    ),
    derivation=(
        symbolic("E e^(s delta) = e^(s^2 tau^2/2)", _gaussian_growth),
        symbolic("Var sum w_i L_i = |w|^2 Var L, V = 4", _variance_of_partition),
        argument(
            "With Z_s = E_r e^(s delta - s^2 tau^2/2): cos = e^(-tau^2/2) Z_1/sqrt(Z_2), so e^(-tau^2/2) "
            "Z_1 - cos = cos (sqrt(Z_2) - 1) and |E cos - e^(-tau^2/2)| <= E|Z_2 - 1| <= sd Z_2. BC and TV "
            "with Z_1 under p."
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


def _growth_functions() -> bool:
    """Moment generating functions of uniform and Laplace noise."""
    u, s, c = sp.symbols("u s c", positive=True)
    uniform = sp.integrate(sp.exp(s * u), (u, -c, c)) / (2 * c) - sp.sinh(s * c) / (s * c)
    rate = sp.Symbol("rate", positive=True)  # 1/b - s, positive where the integral exists
    upper = sp.integrate(sp.exp(-rate * u), (u, 0, sp.oo)) - 1 / rate
    two_sided = (1 / (1 / c - s) + 1 / (1 / c + s)) / (2 * c) - 1 / (1 - (c * s) ** 2)
    return bool(sp.simplify(uniform.rewrite(sp.exp)) == 0 and upper == 0 and sp.simplify(two_sided) == 0)


def _jensen() -> Iterator[Relation]:
    for p in (zipf(3), zipf(60), np.full(500, 1 / 500)):
        for c in (0.1, 1.2, 4.0):
            law = stats.uniform(-c, 2 * c)
            yield from within(F8.claims[0], mpf(expected_kl(p, law)), half_width=mpf(c))
        for scale in (0.1, 0.5, 0.8):
            value = mpf(expected_kl(p, stats.laplace(scale=scale)))
            yield from within(F8.claims[1], value, laplace_scale=mpf(scale))


def _flat_limits() -> Iterator[Relation]:
    size, c = 4000, 1.2
    p, law = np.full(size, 1 / size), stats.uniform(-c, 2 * c)
    for exact, limit in (
        (expected_kl(p, law), F8.claims[0].estimate),
        (-np.log1p(-expected_cosdist(p, law)), F8.claims[2].estimate),
    ):
        assert limit is not None
        value = float(limit(half_width=c))
        yield mpf(abs(exact - value)), "<=", mpf(10 * np.exp(2 * c) / size)


F8 = Theorem(
    id="F8",
    name="noise-beyond-gauss",
    title="Other noise: the limit law is the cumulant generating function",
    statement="For noise with Lambda(s) = log E e^(s delta), E KL(p||q) <= Lambda(1) - E delta for every p, "
    "with equality in the limit of flat p; -log cos -> Lambda(2)/2 - Lambda(1). Uniform on [-c,c]: KL -> "
    "log(sinh c/c), to be compared with the worst case KL_max(2c), larger by c coth c - 1. Laplace: "
    "Lambda(s) = -log(1 - b^2 s^2), infinite from b s = 1 on, so the cosine is dominated by outliers for b "
    ">= 1/2. If |delta_i| <= c then R <= 2c.",
    status=Status.VALID,
    hypotheses=("entries of delta independent, identically distributed, mean 0", "b < 1 for Laplace noise"),
    claims=(
        Claim(mean_kl, None, Bound(log_sinhc(half_width), "upper"), Estimate(log_sinhc(half_width))),
        Claim(
            mean_kl,
            None,
            Bound(-sp.log(1 - laplace_scale**2), "upper"),
            Estimate(-sp.log(1 - laplace_scale**2)),
        ),
        about(mean_log_cos, log_sinhc(2 * half_width) / 2 - log_sinhc(half_width)),
        at_most(oscillation, 2 * half_width),
    ),
    derivation=(
        argument(
            "Jensen: E log sum p e^delta <= log E e^delta; the law of large numbers makes it an equality."
        ),
        symbolic("The moment generating functions of uniform and Laplace noise", _growth_functions),
        related("E KL from F3 is below Lambda(1): uniform and Laplace noise, three distributions", _jensen),
        related("Flat p, V = 4000, uniform noise: both limits within O(1/V)", _flat_limits),
        identity(
            "The worst case at the same R = 2c is larger by c coth c - 1",
            kl_max(2 * half_width) - log_sinhc(half_width),
            coth_excess(half_width),
        ),
    ),
    limit=expansion("log(sinh c/c) = c^2/6 - ...: tau^2/2 with tau^2 = c^2/3", log_sinhc(_x), _x, _x**2 / 6),
    source="new",
)

F8x = Theorem(
    id="F8x",
    name="noise-variance-is-enough",
    title="Folklore: only the variance of the noise matters",
    statement="Noise of equal variance gives equal mean drift. To second order only: on flat p, Gaussian "
    "noise gives tau^2/2, two-point noise log cosh tau, Laplace noise -log(1 - tau^2/2).",
    status=Status.FALSE,
    counterexample=Counterexample(
        "tau = 1.2, V -> infinity: Gaussian tau^2/2 against two-point noise log cosh tau",
        lambda: (mpf("0.72"), mpmath.log(mpmath.cosh(mpf("1.2")))),
    ),
    limit=expansion("log cosh tau = tau^2/2 - tau^4/12", log_cosh(_x), _x, _x**2 / 2 - _x**4 / 12),
)

THEOREMS = (F5, F5x, F8, F8x)
