"""Family A, continued: Rényi divergences, total variation, extreme log-ratios, symmetric cumulant series."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import Claim, at_most, equal
from theory.formulas.symbols import (
    chi2,
    hellinger_sq,
    oscillation,
    rho_minus,
    rho_plus,
    tv,
)
from theory.instances.instance import Instance, cumulant, mean, moderate, softmax, variance
from theory.instances.series import cumulant_series, cumulants, epsilon
from theory.instances.two_atom_laws import two_atoms
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.theorems.theorem import Counterexample, Status, Theorem

_s = sp.Symbol("s", positive=True)
_K = sp.Function("K")


def _slope(x: Instance, s: Any) -> Any:
    """k(s) = K_p(s)/s."""
    return cumulant(x.p, x.delta, s) / s


def _renyi(x: Instance) -> list[Relation]:
    relations: list[Relation] = []
    for order in map(mpf, ("0.1", "0.5", "0.9", "1.5", "2", "7")):
        relations += [
            (renyi_divergence(x.p, x.q, order), "=", _slope(x, mpf(1)) - _slope(x, 1 - order)),
            (
                renyi_divergence(x.q, x.p, order),
                "=",
                (cumulant(x.p, x.delta, order) - order * cumulant(x.p, x.delta)) / (order - 1),
            ),
        ]
    return relations


A2 = Theorem(
    id="A2",
    name="renyi-identity",
    title="Rényi divergences are differences of one function",
    statement="With k(s) = K_p(s)/s: D_alpha(p||q) = k(1) - k(1 - alpha), and D_alpha(q||p) = (K_p(alpha) "
    "- alpha K_p(1))/(alpha - 1). "
    "Order 1 gives A1, order 1/2 gives -2 log BC, order infinity the largest log-ratio.",
    status=Status.EXACT,
    derivation=(
        argument("sum p^alpha q^(1-alpha) = E_p e^((1-alpha)(delta - K(1)))."),
        sampled("both directions, orders 0.1 .. 7", _renyi, instances=moderate),
    ),
    source="exponential families",
)


def _threshold_event(x: Instance) -> list[Relation]:
    K1 = cumulant(x.p, x.delta)
    gain = mpmath.fsum(b - a for a, b, d in zip(x.p, x.q, x.delta, strict=True) if d > K1)
    top = max(x.delta)
    y = [mpmath.exp(d - top) for d in x.delta]
    half = cumulant(x.p, x.delta, mpf(1) / 2)
    return [
        (x.column("tv"), "=", gain),
        (x.column("chi2"), "=", variance(x.p, y) / mean(x.p, y) ** 2),
        (x.column("chi2"), "=", mpmath.expm1(cumulant(x.p, x.delta, 2) - 2 * K1)),
        (-mpmath.log1p(-x.column("hellinger_sq")), "=", K1 / 2 - half),
    ]


A4 = Theorem(
    id="A4",
    name="threshold-identities",
    title="Total variation, chi-squared and Hellinger through K",
    statement="TV = q(A) - p(A) with A = {delta > K_p(1)}: the log-partition function is the exact "
    "threshold. chi^2(q||p) is the "
    "squared coefficient of variation of e^delta, e^(K(2) - 2K(1)) - 1. -log BC = K(1)/2 - K(1/2).",
    status=Status.EXACT,
    claims=(Claim(tv), Claim(chi2), Claim(hellinger_sq)),
    derivation=(
        argument("q_i > p_i exactly when delta_i > K_p(1)."),
        sampled("the four identities", _threshold_event, tolerance=mpf(10) ** -20),
    ),
    source="exponential families",
)


def _extreme_ratios(x: Instance) -> list[Relation]:
    K1 = cumulant(x.p, x.delta)
    ratios = [mpmath.log(b / a) for a, b in zip(x.p, x.q, strict=True)]
    return [
        (max(ratios), "=", max(x.delta) - K1),
        (-min(ratios), "=", K1 - min(x.delta)),
        (max(abs(ratio) for ratio in ratios), "<=", x.column("oscillation")),
    ]


A5 = Theorem(
    id="A5",
    name="extreme-ratios",
    title="The extreme log-ratios add up to the oscillation",
    statement="max log(q/p) = max delta - K_p(1) = rho_+, max log(p/q) = K_p(1) - min delta = rho_-, and "
    "rho_+ + rho_- = R, both "
    "positive when R > 0. So |log(q/p)| < R strictly: R is approached by p -> (0, 1), never attained.",
    status=Status.EXACT,
    claims=(
        equal(rho_plus + rho_minus, oscillation),
        at_most(rho_plus, oscillation, increasing=("oscillation",)),
        at_most(rho_minus, oscillation, increasing=("oscillation",)),
    ),
    derivation=(
        argument(
            "log(q_i/p_i) = delta_i - K(1), and K(1) lies strictly between min delta and max delta: p has "
            "full support."
        ),
        sampled("the extremes of log(q/p)", _extreme_ratios, tolerance=mpf(10) ** -20),
    ),
    source="corrects: every oscillation bound is attained by two atoms",
)


def _never_attained() -> tuple[Any, Any]:
    """R against the largest log-ratio of an extreme pair: the claim R <= max log(q/p) fails for every
    pair.
    """
    x = Instance(*two_atoms(mpmath.log(mpf(10) ** -30), mpf(5)))
    return x.column("oscillation"), x.column("rho_plus")


A5x = Theorem(
    id="A5x",
    name="folklore-ratio-attained",
    title="False: the log-ratio bound is attained",
    statement="Since TV, KL and the cosine attain their oscillation bounds at two atoms, one expects the "
    "largest log-ratio to attain R "
    "too. It never does: R exceeds it for every pair with full support.",
    status=Status.FALSE,
    counterexample=Counterexample("p = (1e-30, 1 - 1e-30), R = 5: R > max log(q/p)", _never_attained),
    source="corrects a natural guess",
)


def _symmetric_weights(x: Instance) -> list[Relation]:
    w = softmax([2 * z + d for z, d in zip(x.z, x.delta, strict=True)])
    g = softmax([z + d / 2 for z, d in zip(x.z, x.delta, strict=True)])
    half = mpf(1) / 2

    def product(weights: list[Any], s: Any) -> Any:
        return cumulant(weights, x.delta, s) + cumulant(weights, x.delta, -s)

    return [
        (-2 * mpmath.log1p(-x.column("cosdist_p")), "=", product(w, mpf(1))),
        (-2 * mpmath.log1p(-x.column("hellinger_sq")), "=", product(g, half)),
    ]


_k = cumulants(6)

A7 = Theorem(
    id="A7",
    name="product-weights",
    title="Product weights: the cosine without odd cumulants",
    statement="With w proportional to p q and g to sqrt(pq): cos(p,q)^-2 = E_w e^delta E_w e^-delta and "
    "BC^-2 = E_g e^(delta/2) "
    "E_g e^(-delta/2). In cumulants, KL = sum kappa_k(p)/k!, -log cos = sum (2^(k-1) - 1) kappa_k(r)/k! = "
    "sum kappa_2j(w)/(2j)!: T2's leading error, from the skewness, is three times T3's, and product "
    "weights have none.",
    status=Status.EXACT,
    derivation=(
        argument("E_w e^delta E_w e^-delta = |q|^2 |p|^2 / <p,q>^2; the normalisation of q cancels."),
        sampled("both product forms", _symmetric_weights),
        identity(
            "KL in cumulants of any law, to order 6",
            cumulant_series(6),
            sum(epsilon**n * kappa / sp.factorial(n) for n, kappa in enumerate(_k, 2)),
        ),
        identity(
            "-log cos = K_r(2)/2 - K_r(1) in cumulants",
            cumulant_series(6, scale=2) / 2 - cumulant_series(6),
            sum((2 ** (n - 1) - 1) * epsilon**n * kappa / sp.factorial(n) for n, kappa in enumerate(_k, 2)),
        ),
        identity(
            "[K_w(1) + K_w(-1)]/2 has the even cumulants only",
            (cumulant_series(6) + cumulant_series(6, scale=-1)) / 2,
            sum(epsilon**n * kappa / sp.factorial(n) for n, kappa in enumerate(_k, 2) if n % 2 == 0),
        ),
    ),
    source="new",
)

THEOREMS = (A2, A4, A5, A5x, A7)


def renyi_divergence(p: list[Any], q: list[Any], order: Any) -> Any:
    """D_order(p||q) for order other than 1."""
    total = mpmath.fsum(a**order * b ** (1 - order) for a, b in zip(p, q, strict=True))
    return mpmath.log(total) / (order - 1)
