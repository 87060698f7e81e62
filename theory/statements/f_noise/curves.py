"""Family F: the mean drift as a curve in the noise: exact integrals, and the fourth order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from scipy import stats

from theory.arrays import Array
from theory.effects.expectations import expected_cosdist, expected_kl, moments
from theory.formulas.claims import about
from theory.formulas.symbols import gini_p, gini_r, parameter
from theory.instances.instance import Number
from theory.instances.random_vectors import escort, gaussian_moments, noise_mean, zipf
from theory.proofs.enumerated import near
from theory.proofs.relations import related, simulated
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, symbolic
from theory.statements.f_noise.noise import cubes_p, mean_kl, two_token_kl, two_token_mean
from theory.statements.parameters import noise
from theory.theorems.theorem import Status, Theorem

cubes_r = parameter("cubes_r", r"S_3(r)", "sum of r cubed")
mean_cosdist = parameter("mean_cosdist", r"\mathbb{E}(1-\cos(p,q))", "mean of 1 - cos(p,q) over the noise")
mean_log_cos = parameter(
    "mean_log_cos", r"\mathbb{E}(-\log\cos(p,q))", "mean of -log cos(p,q) over the noise"
)


def drift_rows(p: Array, delta: Array) -> tuple[Array, Array]:
    """KL(p||q) and cos(p,q) for each row of delta (n, V)."""
    lifted = delta - delta.max(1, keepdims=True)
    r = escort(p)
    kl = np.log(np.exp(lifted) @ p) - lifted @ p
    return kl, np.exp(lifted) @ r / np.sqrt(np.exp(2 * lifted) @ r)


def _laplace_integrals() -> bool:
    x, rate = sp.symbols("x A", positive=True)
    frullani = sp.integrate(sp.exp(-x * rate), (x, 0, sp.oo)) - 1 / rate
    root = sp.integrate(sp.exp(-x * rate) / sp.sqrt(x), (x, 0, sp.oo)) - sp.sqrt(sp.pi / rate)
    return bool(sp.simplify(frullani) == 0 and sp.simplify(root) == 0)


def _two_token_cosine(mass: Number) -> Any:
    first, second = mass**2 / (mass**2 + (1 - mass) ** 2), (1 - mass) ** 2 / (mass**2 + (1 - mass) ** 2)

    def distance(u: Number) -> Number:
        tangent_sq = first * second * (mpmath.expm1(u) / (second + first * mpmath.exp(u))) ** 2
        length = mpmath.sqrt(1 + tangent_sq)
        return tangent_sq / (length * (1 + length))

    return distance


def _two_tokens() -> Iterator[Relation]:
    with mpmath.workdps(25):
        for mass, tau in ((0.3, 0.8), (0.9, 2.0), (0.999, 1.0), (0.5, 0.01)):
            law = stats.norm(scale=tau)
            yield (
                mpf(expected_kl([mass, 1 - mass], law)),
                "=",
                two_token_mean(two_token_kl(mpf(mass)), mpf(tau)),
            )
            exact = two_token_mean(_two_token_cosine(mpf(mass)), mpf(tau))
            yield mpf(expected_cosdist([mass, 1 - mass], law)), "=", exact


_LAWS = (stats.norm(scale=1.0), stats.uniform(-1.5, 3), stats.t(9, scale=0.5))


def _monte_carlo() -> Iterator[tuple[Array, float]]:
    rng, p = np.random.default_rng(63), zipf(25)
    for law in _LAWS:
        kl, cosine = drift_rows(p, law.rvs(size=(30_000, 25), random_state=rng))
        yield kl, expected_kl(p, law)
        yield 1 - cosine, expected_cosdist(p, law)


F3 = Theorem(
    id="F3",
    name="noise-exact-curves",
    title="Mean drift under any independent noise, as one-dimensional integrals",
    statement="With f(x) = E e^(-x e^delta), g(x) = E e^(-x e^(2 delta)) and h(x) = E e^(delta - x e^(2 "
    "delta)): E KL(p||q) = int_0^oo (e^-x - prod_j f(p_j x)) dx/x - E delta, and "
    "E cos(p,q) = pi^(-1/2) int_0^oo x^(-1/2) sum_i r_i h(r_i x)/g(r_i x) prod_j g(r_j x) dx. "
    "This holds for heavy tails and any vocabulary; theory.effects.expectations evaluates it.",
    status=Status.EXACT,
    hypotheses=("entries of delta independent, identically distributed", "finite mean, for KL"),
    derivation=(
        symbolic(
            "int e^(-xA) dx = 1/A (the derivative of Frullani) and int x^(-1/2) e^(-xB) dx",
            _laplace_integrals,
        ),
        argument("log A = int (e^-x - e^(-xA)) dx/x: both sides vanish at A = 1 and have derivative 1/A."),
        argument(
            "cos = E_r e^delta (E_r e^(2 delta))^(-1/2) by A3; independence turns each mean into a product."
        ),
        related(
            "The numerical integrals for two tokens against integration at 25 digits, relative 1e-9",
            _two_tokens,
            tolerance=mpf(10) ** -9,
        ),
        simulated("Gaussian, uniform and Student-t noise at V = 25", _monte_carlo),
    ),
    source="new; Frullani's integral",
)


def _fourth_cumulant(size: int) -> tuple[list[Any], Any, Sequence[sp.Symbol]]:
    """Masses (the last eliminated), kappa_4 of delta under them, and the values of delta."""
    free, x = list(sp.symbols(f"w1:{size}", positive=True)), sp.symbols(f"x1:{size + 1}", real=True)
    w = [*free, 1 - sum(free)]
    raw = [sum(a * b**k for a, b in zip(w, x, strict=True)) for k in range(5)]
    cumulant = raw[4] - 4 * raw[3] * raw[1] - 3 * raw[2] ** 2 + 12 * raw[2] * raw[1] ** 2 - 6 * raw[1] ** 4
    return w, sp.expand(cumulant), x


def _mean_fourth_cumulant() -> bool:
    """E kappa_4 = -6 tau^4 (G - 4 S_3 + 3 G^2), V = 3."""
    tau = sp.Symbol("tau", positive=True)
    w, cumulant, x = _fourth_cumulant(3)
    G, cubes = sum(a**2 for a in w), sum(a**3 for a in w)
    mean = noise_mean(cumulant, x, gaussian_moments(tau**2, 4))
    return bool(sp.expand(mean + 6 * tau**4 * (G - 4 * cubes + 3 * G**2)) == 0)


def _mean_squared_variance() -> bool:
    """E Var^2 = tau^4 [(1 - G)^2 + 2 tr Sigma^2], V = 3."""
    tau = sp.Symbol("tau", positive=True)
    w, _, x = _fourth_cumulant(3)
    mean = sum(a * b for a, b in zip(w, x, strict=True))
    spread = sp.expand(sum(a * b**2 for a, b in zip(w, x, strict=True)) - mean**2)
    G, cubes = sum(a**2 for a in w), sum(a**3 for a in w)
    claimed = tau**4 * ((1 - G) ** 2 + 2 * (G - 2 * cubes + G**2))
    return bool(sp.expand(noise_mean(sp.expand(spread**2), x, gaussian_moments(tau**2, 4)) - claimed) == 0)


def _sixth_order_error() -> Iterator[Relation]:
    """Halving tau divides the error by about 2^6."""
    for size in (3, 12):
        p = zipf(size)
        powers = moments(p, "p") | moments(escort(p), "r")
        for exact, claim in ((expected_kl, F4.claims[0]), (expected_cosdist, F4.claims[1])):
            errors = []
            for tau in (0.08, 0.04):
                assert claim.estimate is not None
                errors.append(
                    mpf(exact(p, stats.norm(scale=tau)) - float(claim.estimate(noise=tau, **powers)))
                )
            yield mpf(55), "<=", errors[0] / errors[1]
            yield errors[0] / errors[1], "<=", mpf(73)


_c_p = gini_p - 4 * cubes_p + 3 * gini_p**2
_c_r = gini_r - 4 * cubes_r + 3 * gini_r**2
_trace_r = gini_r - 2 * cubes_r + gini_r**2
_seven_quarters = sp.Rational(7, 4)
_kl_fourth = noise**2 * (1 - gini_p) / 2 - noise**4 * _c_p / 4
_log_cos_fourth = noise**2 * (1 - gini_r) / 2 - _seven_quarters * noise**4 * _c_r
_cosine_fourth = noise**2 * (1 - gini_r) / 2 - noise**4 * (
    _seven_quarters * _c_r + ((1 - gini_r) ** 2 + 2 * _trace_r) / 8
)

_kl_law, _cosine_law = about(mean_kl, _kl_fourth), about(mean_cosdist, _cosine_fourth)
_log_cos_law = about(mean_log_cos, _log_cos_fourth)


def _two_tokens_weakly() -> Iterator[Mapping[str, Number]]:
    tau = mpf("0.02")
    for text in ("0.3", "0.9"):
        mass = mpf(text)
        first, second = (w / (mass**2 + (1 - mass) ** 2) for w in (mass**2, (1 - mass) ** 2))
        cosine = _two_token_cosine(mass)
        yield {
            "noise": tau,
            "gini_p": mass**2 + (1 - mass) ** 2,
            "cubes_p": mass**3 + (1 - mass) ** 3,
            "gini_r": first**2 + second**2,
            "cubes_r": first**3 + second**3,
            "mean_kl": two_token_mean(two_token_kl(mass), tau),
            "mean_cosdist": two_token_mean(cosine, tau),
            "mean_log_cos": two_token_mean(lambda u, c=cosine: -mpmath.log1p(-c(u)), tau),  # type: ignore[misc]
        }


F4 = Theorem(
    id="F4",
    name="noise-fourth-order",
    title="Mean drift to fourth order in the noise",
    statement="With c = |w|^2 - 4 S_3 + 3 |w|^4 for w = p or r: E KL = tau^2(1 - |p|^2)/2 - tau^4 c_p/4, "
    "E(-log cos) = tau^2(1 - |r|^2)/2 - 7 tau^4 c_r/4 and E(1 - cos) = tau^2(1 - |r|^2)/2 - tau^4 [7 c_r/4 "
    "+ ((1 - |r|^2)^2 + 2 tr Sigma_r^2)/8], each with an error of order tau^6.",
    status=Status.ASYMPTOTIC,
    hypotheses=("entries of delta independent Gaussian, mean 0, variance tau^2", "tau is small"),
    claims=(_kl_law, _cosine_law, _log_cos_law),
    derivation=(
        argument(
            "A7: KL = sum kappa_k/k! under p and -log cos = sum (2^(k-1) - 1) kappa_k/k! under r; kappa_3 "
            "has mean 0 by symmetry and 1 - cos = y - y^2/2 + ... with y = -log cos."
        ),
        symbolic("E kappa_4 = -6 tau^4 c, V = 3 with symbolic masses", _mean_fourth_cumulant),
        symbolic("E Var^2 = tau^4 [(1 - |w|^2)^2 + 2 tr Sigma^2], V = 3", _mean_squared_variance),
        near(
            "Two tokens at tau = 0.02, by integration",
            (_kl_law, _cosine_law, _log_cos_law),
            _two_tokens_weakly,
            3e-6,
        ),
        related("The error against F3 falls by 2^6 when tau is halved", _sixth_order_error),
    ),
    limit=expansion(
        "tau^2(1 - |p|^2)/2 is the mean of T3's estimate (F1)", _kl_fourth, noise, noise**2 * (1 - gini_p) / 2
    ),
    source="new",
)

THEOREMS = (F3, F4)
