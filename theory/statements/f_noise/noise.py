"""Family F: means and variances under independent noise, and the heat-flow identities."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.arrays import Array
from theory.formulas.claims import at_most, equal
from theory.formulas.symbols import gini_p, parameter, vocabulary
from theory.instances.instance import Number, variance
from theory.instances.random_vectors import noise_mean, zipf
from theory.proofs.enumerated import on_rows
from theory.proofs.relations import related, simulated
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import symbolic
from theory.statements.parameters import noise
from theory.theorems.theorem import Status, Theorem

kurtosis = parameter("kurtosis", r"\kappa_4", "E delta^4/tau^4 of the noise: 3 for a Gaussian")
cubes_p = parameter("cubes_p", r"S_3(p)", "sum of p cubed")
mean_var_p = parameter("mean_var_p", r"\mathbb{E}\,\mathrm{Var}_p", "mean of Var_p(delta) over the noise")
var_var_p = parameter("var_var_p", r"\mathrm{Var}(\mathrm{Var}_p)", "variance of Var_p(delta) over the noise")
mean_kl = parameter("mean_kl", r"\mathbb{E}\,\mathrm{KL}(p\|q)", "mean of KL(p||q) over the noise")
mean_jeffreys = parameter(
    "mean_jeffreys",
    r"\mathbb{E}\,[\mathrm{KL}(p\|q)+\mathrm{KL}(q\|p)]",
    "mean of both KL divergences together",
)
mean_gini_q = parameter("mean_gini_q", r"\mathbb{E}\,\|q\|^2", "mean of sum q^2 over the noise")
self_gini = parameter("self_gini", r"\sum_i (p_i - p_i^2)^2", "sum of squared p_i - p_i^2")

trace_square = gini_p - 2 * cubes_p + gini_p**2
"""tr Sigma^2 of Sigma = diag(p) - p p^T."""

Mean = Callable[[Callable[[Number], Number]], Number]


def two_token_mean(f: Callable[[Number], Number], tau: Number) -> Number:
    """Mean of f(delta_1 - delta_2) under Gaussian noise, to all digits: trapezoidal rule, f analytic."""
    sigma = tau * mpmath.sqrt(2)
    step = min(mpf(1) / 4, sigma / 2)
    count = int(mpmath.ceil(14 * sigma / step))
    nodes = [k * step for k in range(-count, count + 1)]
    weights = [mpmath.exp(-((u / sigma) ** 2) / 2) for u in nodes]
    return mpmath.fsum(w * f(u) for w, u in zip(weights, nodes, strict=True)) / mpmath.fsum(weights)


def two_token_kl(mass: Number) -> Callable[[Number], Number]:
    """KL(p||q) of two tokens as a function of delta_1 - delta_2."""
    return lambda u: mpmath.log(1 - mass + mass * mpmath.exp(u)) - mass * u


def _quadratic_form(size: int) -> tuple[list[sp.Symbol], list[sp.Symbol], Any]:
    w, x = list(sp.symbols(f"w1:{size + 1}", positive=True)), list(sp.symbols(f"x1:{size + 1}", real=True))
    square = sum(a * b**2 for a, b in zip(w, x, strict=True))
    return w, x, sp.expand(square - sum(a * b for a, b in zip(w, x, strict=True)) ** 2)


def _mean_of_variance() -> bool:
    tau = sp.Symbol("tau", positive=True)
    w, x, form = _quadratic_form(4)
    trace = sum(a - a**2 for a in w)
    return bool(sp.expand(noise_mean(form, x, [1, 0, tau**2]) - tau**2 * trace) == 0)


def _variance_of_variance() -> bool:
    tau, k4, m3 = sp.symbols("tau k4 m3", positive=True)
    w, x, form = _quadratic_form(3)
    moments = [1, 0, tau**2, m3, k4 * tau**4]
    spread = noise_mean(sp.expand(form**2), x, moments) - noise_mean(form, x, moments) ** 2
    G, cubes = sum(a**2 for a in w), sum(a**3 for a in w)
    square = G - 2 * cubes + G**2
    claimed = tau**4 * (2 * square + (k4 - 3) * sum((a - a**2) ** 2 for a in w))
    return bool(sp.expand(spread - claimed) == 0)


def _trace_of_square() -> bool:
    w = sp.symbols("w1:5", positive=True)
    matrix = sp.diag(*w) - sp.Matrix(w) * sp.Matrix(w).T
    G, cubes = sum(a**2 for a in w), sum(a**3 for a in w)
    return bool(sp.expand((matrix * matrix).trace() - (G - 2 * cubes + G**2)) == 0)


_KINDS: tuple[tuple[Callable[[np.random.Generator, tuple[int, int]], Array], float], ...] = (
    (lambda rng, shape: rng.normal(size=shape), 3.0),
    (lambda rng, shape: rng.uniform(-1, 1, shape) * 3**0.5, 1.8),
    (lambda rng, shape: rng.laplace(size=shape) / 2**0.5, 6.0),
    (lambda rng, shape: rng.choice([-1.0, 1.0], shape), 1.0),
)


def _variances() -> Iterator[tuple[Array, float]]:
    rng, p, tau = np.random.default_rng(61), zipf(30), 0.7
    moments = {"noise": tau, "gini_p": float(p @ p), "cubes_p": float((p**3).sum())}
    moments["self_gini"] = float(((p - p * p) ** 2).sum())
    for draw, fourth in _KINDS:
        delta = tau * draw(rng, (60_000, 30))
        sample = (delta * delta) @ p - (delta @ p) ** 2
        mean, spread = (claim.bounds[0](**moments, kurtosis=fourth) for claim in F1.claims)
        yield sample, float(mean)
        yield (sample - float(mean)) ** 2, float(spread)


def _enumerated_noise() -> Iterator[Mapping[str, Number]]:
    """Three tokens under noise of few values: every outcome, exactly."""
    p = [mpf(x) for x in ("0.5", "0.3", "0.2")]
    for law in ({-1: mpf(1) / 2, 1: mpf(1) / 2}, {-3: mpf(1) / 18, 0: mpf(8) / 9, 3: mpf(1) / 18}):
        tau = mpmath.sqrt(mpmath.fsum(w * x**2 for x, w in law.items()))
        outcomes = [
            (mpmath.fprod(law[x] for x in delta), variance(p, [mpf(x) for x in delta]))
            for delta in itertools.product(law, repeat=3)
        ]
        mean = mpmath.fsum(w * v for w, v in outcomes)
        yield {
            "noise": tau,
            "kurtosis": mpmath.fsum(w * x**4 for x, w in law.items()) / tau**4,
            "gini_p": mpmath.fsum(x**2 for x in p),
            "cubes_p": mpmath.fsum(x**3 for x in p),
            "self_gini": mpmath.fsum((x - x**2) ** 2 for x in p),
            "mean_var_p": mean,
            "var_var_p": mpmath.fsum(w * (v - mean) ** 2 for w, v in outcomes),
        }


_mean_law = equal(mean_var_p, noise**2 * (1 - gini_p))
_variance_law = equal(var_var_p, 2 * noise**4 * trace_square + (kurtosis - 3) * noise**4 * self_gini)

F1 = Theorem(
    id="F1",
    name="noise-variance",
    title="Mean and variance of the quadratic estimate under any independent noise",
    statement="For independent entries of variance tau^2, E Var_p = tau^2(1 - |p|^2), whatever the law. The "
    "variance of Var_p is 2 tau^4 tr Sigma^2 + (kurtosis - 3) tau^4 sum (p_i - p_i^2)^2, with Sigma = "
    "diag(p) - p p^T and tr Sigma^2 = |p|^2 - 2 S_3 + |p|^4. The same with r for p.",
    status=Status.EXACT,
    hypotheses=("entries of delta independent, identically distributed, mean 0, finite fourth moment",),
    claims=(_mean_law, _variance_law),
    derivation=(
        argument("Var_p(delta) = delta^T Sigma delta: mean and variance of a quadratic form."),
        symbolic("The mean, V = 4 with symbolic weights", _mean_of_variance),
        symbolic("The variance, V = 3 with symbolic weights and moments", _variance_of_variance),
        symbolic("tr Sigma^2, V = 4 with symbolic weights", _trace_of_square),
        on_rows(
            "Two laws on few values, V = 3: every outcome", (_mean_law, _variance_law), _enumerated_noise
        ),
        simulated("Gaussian, uniform, Laplace and two-point noise, V = 30", _variances),
    ),
    source="known; quadratic forms",
)


def _laplacian() -> bool:
    """Laplacian of log sum w e^(s x) is s^2 (1 - |w_s|^2), V = 3."""
    w, x, s = sp.symbols("w1:4", positive=True), sp.symbols("x1:4", real=True), sp.Symbol("s", positive=True)
    weights = [a * sp.exp(s * b) for a, b in zip(w, x, strict=True)]
    total = sum(weights)
    laplacian = sum(sp.diff(sp.log(total), b, 2) for b in x)
    return bool(sp.simplify(laplacian - s**2 * (1 - sum((a / total) ** 2 for a in weights))) == 0)


def _softmax_slope() -> bool:
    """d q_i/d delta_i = q_i (1 - q_i), V = 3: with Stein's lemma E q_i delta_i = tau^2 E q_i (1 - q_i)."""
    w, x = sp.symbols("w1:4", positive=True), sp.symbols("x1:4", real=True)
    q = w[0] * sp.exp(x[0]) / sum(a * sp.exp(b) for a, b in zip(w, x, strict=True))
    return bool(sp.simplify(sp.diff(q, x[0]) - q * (1 - q)) == 0)


def _heat_flow() -> Iterator[Relation]:
    for mass_text, tau_text in (("0.3", "0.8"), ("0.9", "2"), ("0.5", "0.05")):
        mass, tau = mpf(mass_text), mpf(tau_text)
        odds = mpmath.log(mass / (1 - mass))

        def perturbed(u: Number, odds: Number = odds) -> Number:
            return 1 / (1 + mpmath.exp(-odds - u))

        def impurity(s: Number, perturbed: Callable[[Number], Number] = perturbed) -> Number:
            return 2 * two_token_mean(lambda u: perturbed(u) * (1 - perturbed(u)), s)

        with mpmath.workdps(20):
            flow = mpmath.quad(lambda s, impurity=impurity: s * impurity(s), [tau / 10**6, tau])
        value = two_token_mean(two_token_kl(mass), tau)
        yield abs(flow - value), "<=", value * mpf(10) ** -10


def _jeffreys() -> Iterator[tuple[Array, float]]:
    rng, p, tau = np.random.default_rng(62), zipf(12), 1.3
    delta = tau * rng.normal(size=(100_000, 12))
    q = p * np.exp(delta)
    q /= q.sum(1, keepdims=True)
    yield (q * delta).sum(1) - delta @ p - tau**2 * (1 - (q * q).sum(1)), 0.0


def _jeffreys_of_two_tokens() -> Iterator[Mapping[str, Number]]:
    for mass_text, tau_text in (("0.3", "0.8"), ("0.9", "2"), ("0.5", "0.05")):
        mass, tau = mpf(mass_text), mpf(tau_text)
        odds = mpmath.log(mass / (1 - mass))

        def perturbed(u: Number, odds: Number = odds) -> Number:
            return 1 / (1 + mpmath.exp(-odds - u))

        def gini(u: Number, perturbed: Callable[[Number], Number] = perturbed) -> Number:
            return perturbed(u) ** 2 + (1 - perturbed(u)) ** 2

        yield {
            "mean_jeffreys": two_token_mean(lambda u, m=mass, q=perturbed: (q(u) - m) * u, tau),  # type: ignore[misc]
            "mean_gini_q": two_token_mean(gini, tau),
            "noise": tau,
        }


def _kl_of_two_tokens() -> Iterator[Mapping[str, Number]]:
    """A fair coin under weak noise comes close to the bound."""
    for mass, tau in (("0.5", "1e-4"), ("0.5", "0.5"), ("0.9", "2"), ("0.01", "1")):
        mean = two_token_mean(two_token_kl(mpf(mass)), mpf(tau))
        yield {"mean_kl": mean, "noise": mpf(tau), "vocabulary": mpf(2)}


_jeffreys_law = equal(mean_jeffreys, noise**2 * (1 - mean_gini_q))
_kl_ceiling = at_most(mean_kl, noise**2 / 2 * (1 - 1 / vocabulary), increasing=("noise", "vocabulary"))

F2 = Theorem(
    id="F2",
    name="noise-heat-flow",
    title="Heat-flow identities: the mean drift at all orders",
    statement="For Gaussian noise E[KL(p||q) + KL(q||p)] = tau^2 (1 - E|q|^2) exactly: T3's mean with the "
    "Gini impurity of q instead of p, a free self-test of any simulation. Also E KL(p||q) is half the "
    "integral of 1 - E|q_t|^2 over the noise variance t from 0 to tau^2, so E KL(p||q) <= tau^2 (1 - 1/V)/2.",
    status=Status.EXACT,
    hypotheses=("entries of delta independent Gaussian, mean 0, variance tau^2",),
    claims=(_jeffreys_law, _kl_ceiling),
    derivation=(
        argument("d/dt E F(sqrt(t) g) = E Laplacian(F)/2 for standard Gaussian g; E sum p delta = 0."),
        symbolic("The Laplacian of log sum w e^(s delta) is s^2(1 - |w_s|^2), V = 3", _laplacian),
        symbolic("d q_i/d delta_i = q_i(1 - q_i), V = 3; then Stein's lemma", _softmax_slope),
        argument("sum q^2 >= 1/V bounds the integrand."),
        on_rows(
            "The first identity for two tokens, by integration", (_jeffreys_law,), _jeffreys_of_two_tokens
        ),
        related("The second for two tokens, by integration at high precision", _heat_flow),
        on_rows("The bound for two tokens, by integration", (_kl_ceiling,), _kl_of_two_tokens),
        simulated("The Jeffreys identity at V = 12, tau = 1.3, 100,000 draws", _jeffreys),
    ),
    source="new; Stein's lemma, heat equation",
)

THEOREMS = (F1, F2)
