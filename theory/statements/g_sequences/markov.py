"""Family G, finite memory: drift of Markov chains saturates, agreement decays at a Perron rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from mpmath import mpf
from scipy.stats import binom

from theory.formulas.claims import at_most
from theory.instances.trees import swap_law
from theory.proofs.step import Method, StepFailedError, argument, computed
from theory.proofs.symbolic import identity
from theory.sequences import markov
from theory.statements.parameters import (
    chernoff_rate,
    contraction,
    marginal_tv,
    row_distance,
    row_tv,
    step_tv,
    steps,
    survival_rate,
)
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

Matrix = list[list[Fraction]]
Vector = list[Fraction]
Triple = tuple[Vector, Matrix, Matrix]
_LENGTH = 6


def _chains() -> Iterator[Triple]:
    """Start and two kernels with small rational entries: everything about them is exact."""
    rng = np.random.default_rng(7)

    def law(size: int) -> Vector:
        weights = [int(x) for x in rng.integers(1, 9, size)]
        return [Fraction(w, sum(weights)) for w in weights]

    for size in (2, 2, 3, 3, 4):
        yield law(size), [law(size) for _ in range(size)], [law(size) for _ in range(size)]


def _times(v: Vector, matrix: Matrix) -> Vector:
    return [sum((v[x] * matrix[x][y] for x in range(len(v))), Fraction(0)) for y in range(len(v))]


def _distance(p: Vector, q: Vector) -> Fraction:
    return sum((abs(a - b) for a, b in zip(p, q, strict=True)), Fraction(0)) / 2


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailedError(f"false: {what}")


def _recursion() -> str:
    """TV_t <= eps + min(kappa, 1 - eps) TV_(t-1), with the Dobrushin coefficient of either kernel."""
    count = 0
    for start, dense, perturbed in _chains():
        eps = max(_distance(a, b) for a, b in zip(dense, perturbed, strict=True))
        for kernel in (dense, perturbed):
            kappa = max(_distance(a, b) for a in kernel for b in kernel)
            p, q, before = start, start, Fraction(0)
            for _ in range(_LENGTH):
                p, q = _times(p, dense), _times(q, perturbed)
                _require(_distance(p, q) <= eps + min(kappa, 1 - eps) * before, "the recursion")
                before, count = _distance(p, q), count + 1
    return f"{count} steps in exact rationals"


def _telescoping() -> str:
    """mu Q^t - mu P^t = sum_s mu Q^s (Q - P) P^(t-1-s)."""
    count = 0
    for start, dense, perturbed in _chains():
        drift = [[b - a for a, b in zip(*rows, strict=True)] for rows in zip(dense, perturbed, strict=True)]
        for length in range(1, _LENGTH):
            total = [Fraction(0)] * len(start)
            for early in range(length):
                term = start
                for matrix in [perturbed] * early + [drift] + [dense] * (length - 1 - early):
                    term = _times(term, matrix)
                total = [a + b for a, b in zip(total, term, strict=True)]
            p, q = start, start
            for _ in range(length):
                p, q = _times(p, dense), _times(q, perturbed)
            _require(total == [b - a for a, b in zip(p, q, strict=True)], "the telescoping sum")
            count += 1
    return f"{count} identities in exact rationals"


def _agreement() -> str:
    """mu M^n 1, mu (I-M)^-1 1 and the shift of the stationary law, against sympy's exact linear algebra."""
    for start, dense, perturbed in _chains():
        size = len(start)
        P, Q = sp.Matrix(dense), sp.Matrix(perturbed)
        mu, one = sp.Matrix([start]), sp.ones(size, 1)
        M = sp.Matrix(size, size, lambda x, y, P=P, Q=Q: sp.Min(P[x, y], Q[x, y]))
        survives = [float((mu * M**n * one)[0]) for n in range(_LENGTH)]
        arrays = [np.array(part, dtype=np.float64) for part in (start, dense, perturbed)]
        found = markov.survival(arrays[0], arrays[1], arrays[2], steps=_LENGTH - 1)
        _require(bool(np.allclose(found, survives, rtol=1e-13)), "survival by powers of M")
        mean = float((mu * (sp.eye(size) - M).inv() * one)[0])
        found_mean = markov.mean_first_divergence(arrays[0], arrays[1], arrays[2])
        _require(math.isclose(found_mean, mean, rel_tol=1e-12), "the mean divergence time")
        laws = [_stationary(kernel) for kernel in (P, Q)]
        fundamental = (sp.eye(size) - P + one * laws[0]).inv()
        _require(laws[1] * (Q - P) * fundamental == laws[1] - laws[0], "the stationary identity")
    return "5 pairs of chains in exact rationals, and the float64 solvers against them"


def _stationary(kernel: sp.Matrix) -> sp.Matrix:
    size = kernel.shape[0]
    return sp.ones(1, size) * (sp.eye(size) - kernel + sp.ones(size, size)).inv()


def _steady_push(x: Any) -> dict[str, Any]:
    """Two states, both rows pushed by eps the same way: the differences add up without loss."""
    kappa, eps, length = mpf(1) / 2, x / 4, 5
    p, q, rows = mpf(1) / 2, mpf(1) / 2, (mpf(5) / 8, mpf(1) / 8)
    for _ in range(length):
        p = p * rows[0] + (1 - p) * rows[1]
        q = q * (rows[0] + eps) + (1 - q) * (rows[1] + eps)
    return {
        "steps": mpf(length),
        "step_tv": eps,
        "contraction": min(kappa, 1 - eps),
        "marginal_tv": abs(q - p),
    }


def _absorbed(x: Any) -> dict[str, Any]:
    """The dense chain never moves; the perturbed one leaves state 0 with chance eps: 1 - (1 - eps)^n."""
    length = 5
    return {
        "steps": mpf(length),
        "step_tv": x,
        "contraction": 1 - x,
        "marginal_tv": 1 - (1 - x) ** length,
    }


def _first_half_depends_on_the_start() -> str:
    """P = (.9 .1; .1 .9), Q = (.2 .8; .11 .89), start in 0: S_1 = .3, yet the asymptotic half-life is 6.9."""
    dense, perturbed = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.2, 0.8], [0.11, 0.89]])
    survives = [(sp.Matrix(np.minimum(dense, perturbed)) ** n * sp.ones(2, 1))[0] for n in (1, 60, 61)]
    half, late = markov.half_life(dense, perturbed), math.log(2) / math.log(survives[1] / survives[2])
    _require(math.isclose(survives[0], 0.3) and math.isclose(late, half, rel_tol=1e-9), f"{survives}, {half}")
    return f"S_1 = 0.3; late survival is halved every {half:.2f} tokens"


G7 = Theorem(
    id="G7",
    name="markov-drift",
    title="Dobrushin saturation and the asymptotic Perron half-life",
    statement="TV_t <= eps + min(kappa, 1 - eps) TV_(t-1), so TV_n <= eps (1 - k^n)/(1 - k) with k = "
    "min(kappa, 1 - eps): a mixing chain forgets, and even without mixing TV_n <= 1 - (1 - eps)^n. "
    "Exactly: mu Q^n - mu P^n = sum_s mu Q^s (Q-P) P^(n-1-s); S_n = mu M^n 1 with M = min(P,Q); the mean "
    "first divergence is mu (I-M)^-1 1; pi_Q - pi_P = pi_Q (Q-P) (I - P + 1 pi_P)^-1. In the long run S_n "
    "is halved every log 2/(-log rho(M)) tokens; how long the first half takes depends on the start.",
    status=Status.SHARP,
    claims=(
        at_most(
            marginal_tv,
            step_tv * (1 - contraction**steps) / (1 - contraction),
            increasing=("step_tv", "steps", "contraction"),
        ),
    ),
    hypotheses=("the next token depends on the last one only", "eps is the supremum over states"),
    derivation=(
        argument(
            "Couple tokens t-1 maximally, a = TV_(t-1): TV_t <= (1-a) eps + a min(1, kappa + eps), "
            "because from different states the next laws differ by at most kappa + eps."
        ),
        identity(
            "which is eps + a min(kappa, 1 - eps); unrolled it is a geometric sum, as at n = 4",
            sum(step_tv * contraction**k for k in range(4)),
            step_tv * (1 - contraction**4) / (1 - contraction),
        ),
        computed("the recursion, with kappa of either kernel", Method.ENUMERATED, _recursion),
        computed("the telescoping identity", Method.ENUMERATED, _telescoping),
        computed("survival, divergence time, stationary shift", Method.ENUMERATED, _agreement),
        computed("the half-life is asymptotic", Method.ENUMERATED, _first_half_depends_on_the_start),
    ),
    witnesses=(
        Witness(
            "two states, kappa = 1/2, both rows pushed by eps the same way",
            values=_steady_push,
            parameters=("1e-6", "0.1", "0.5", "1"),
        ),
        Witness(
            "a chain that never moves against one that leaves with chance eps: k = 1 - eps",
            values=_absorbed,
            parameters=("1e-6", "0.1", "0.5", "0.9"),
        ),
    ),
    source="Dobrushin 1956; Seneta's perturbation identities",
)


def _rates() -> str:
    """Perron root of the minimum against geometric means, and the distance of rows, on random chains."""
    rng = np.random.default_rng(40)
    for size in (2, 3, 4, 5) * 3:
        dense = rng.dirichlet(np.full(size, 1.5), size=size) + 1e-4
        dense /= dense.sum(1, keepdims=True)
        perturbed = dense * np.exp(0.5 * rng.normal(size=(size, size)))
        perturbed /= perturbed.sum(1, keepdims=True)
        _require(
            markov.decay_rate(dense, perturbed) >= markov.chernoff_exponent(dense, perturbed) - 1e-9,
            "survival decays at least as fast as overlap",
        )
        bound = math.tanh(markov.hilbert_diameter(dense) / 4)
        _require(markov.dobrushin(dense) <= bound + 1e-12, "kappa <= tanh(Delta/4)")
    return "12 pairs of chains"


def _coins(n: int) -> tuple[Any, Any]:
    """1 - TV of n tosses of coins 0.3 and 0.7 (Fractions: exact), and the survival 0.6^n."""
    p, overlap = Fraction(3, 10), Fraction(0)
    for heads in range(n + 1):
        ways = math.comb(n, heads)
        overlap += ways * min(p**heads * (1 - p) ** (n - heads), (1 - p) ** heads * p ** (n - heads))
    return mpf(overlap.numerator) / overlap.denominator, mpf(3) ** n / mpf(5) ** n


def _chernoff_limit() -> str:
    rate = -math.log(2 * math.sqrt(0.21))
    errors = []
    for n in (100, 1000, 10000):
        counts = np.arange(n + 1)
        logs = np.minimum(binom.logpmf(counts, n, 0.3), binom.logpmf(counts, n, 0.7))
        errors.append(abs(-np.logaddexp.reduce(logs) / n - rate))
    _require(errors[2] < 1e-3 and errors[2] < errors[1] < errors[0], f"Chernoff's rate: {errors}")
    return "errors of the rate at n = 100, 1000, 10000: " + ", ".join(f"{e:.1e}" for e in errors)


_p, _q, _s = sp.symbols("p q s", positive=True)


def _swap_rows(x: Any) -> dict[str, Any]:
    law = swap_law(x)
    return {"row_distance": x, "row_tv": abs(law[0] - law[1])}


G14 = Theorem(
    id="G14",
    name="markov-exponents",
    title="Exponents of agreement and of overlap; mixing from the distance of rows",
    statement="Survival decays like rho(min(P,Q))^n, the overlap 1 - TV of the two text laws like e^(-nC) "
    "with Chernoff's C = -log min_s rho(P^(1-s) Q^s), and rho(min(P,Q)) <= e^(-C): agreement never "
    "outlives overlap. The Dobrushin coefficient is at most tanh(Delta/4), Delta the largest Hilbert "
    "distance of two rows.",
    status=Status.SHARP,
    claims=(
        at_most(row_tv, sp.tanh(row_distance / 4), increasing=("row_distance",)),
        at_most(survival_rate, chernoff_rate),
    ),
    hypotheses=("the next token depends on the last one only", "min(P,Q) is irreducible"),
    derivation=(
        argument("Rows are pairs p, q: apply B1 to each two of them."),
        argument("min(a,b) <= a^(1-s) b^s entrywise, and the Perron root is monotone in the entries."),
        identity(
            "for p <= q the ratio p/(p^(1-s) q^s) is (p/q)^s <= 1",
            _p / (_p ** (1 - _s) * _q**_s),
            (_p / _q) ** _s,
        ),
        computed("both inequalities on random chains", Method.SIMULATED, _rates),
        computed("Chernoff's rate for coins 0.3 and 0.7", Method.ENUMERATED, _chernoff_limit),
    ),
    witnesses=(Witness("the two rows are a swap pair", values=_swap_rows),),
    source="Chernoff 1952; Birkhoff-Hopf; Nussbaum and Szkola for chains",
)

G14x = Theorem(
    id="G14x",
    name="survival-is-overlap",
    title="Folklore: texts part as fast as runs",
    statement="FALSE: 1 - TV(P_n,Q_n) <= S_n, so that the decay of exact agreement would measure how "
    "distinguishable the texts are. Runs part at rate -log rho(min(P,Q)), laws at Chernoff's smaller "
    "rate: for coins 0.3 and 0.7, 0.511 against 0.087 nats per token. Runs that no longer agree word for "
    "word still sample nearly the same text.",
    status=Status.FALSE,
    claims=(at_most(chernoff_rate, survival_rate),),
    counterexample=Counterexample(
        "20 tosses of coins 0.3 and 0.7: overlap 0.065, survival 0.00004", lambda: _coins(20)
    ),
    source="exact rational arithmetic",
)

THEOREMS = (G7, G14, G14x)
