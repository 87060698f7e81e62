"""Family G, laws: how far the two laws of n tokens are from each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy.stats import binom
from sympy.codegen.cfunctions import expm1

from theory.formulas.claims import about, at_most, equal
from theory.formulas.functions.elementary import log_cosh
from theory.formulas.symbols import oscillation
from theory.instances.trees import Tree, hilbert_distance, independent, swap_tree
from theory.proofs.conclusion import concludes
from theory.proofs.enumerated import enumerated, near, on_trees
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import expansion, identity, positive, symbolic
from theory.statements.parameters import (
    kl_total,
    sequence_affinity,
    sequence_chi2,
    sequence_kl,
    sequence_tv,
    steps,
    survival,
    tv_total,
)
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation


def _chi2_tree(x: Any) -> Tree:
    """Three independent tokens with the law that attains B6: p(upper) = sigma(-R), q uniform."""
    p = [1 / (1 + mpmath.exp(x)), 1 / (1 + mpmath.exp(-x))]
    return independent(3, p, [mpmath.mpf(1) / 2] * 2)


def _importance_weights(tree: Tree) -> Iterator[Relation]:
    """1 + chi2 along the budgets of the steps."""
    growth = mpmath.fprod(mpmath.cosh(x / 2) ** 2 for x in tree.largest(hilbert_distance))
    yield 1 + tree["sequence_chi2"], "<=", growth


_chain = equal(sequence_kl, kl_total)
_weights = at_most(sequence_chi2, expm1(2 * steps * log_cosh(R / 2)), increasing=("oscillation", "steps"))

G1 = Theorem(
    id="G1",
    name="chain-rule",
    title="Chain rule and the price of importance sampling",
    statement="KL(P||Q) = sum_t E_P KL_t: n times the teacher-forced mean, exactly. The second moment of "
    "the importance weights, 1 + chi2(Q||P), is at most prod_t cosh^2(R_t/2): a bound on the variance of "
    "estimates of Q from dense samples. How many are needed is nearer e^(KL(Q||P)) (K6).",
    status=Status.SHARP,
    claims=(_chain, _weights),
    hypotheses=("R is the supremum of the oscillation over steps and prefixes",),
    derivation=(
        argument("log P/Q = sum_t log p_t/q_t; take the mean over dense text, step by step."),
        on_trees("both sides by enumeration", _chain),
        argument(
            "E_P prod rho_t^2 = E_P[prod_(t<n) rho_t^2 (1 + chi2(q_n||p_n))], and chi2 <= sinh^2(R/2) by B6."
        ),
        identity(
            "1 + sinh^2(R/2) = e^(2 log cosh(R/2))", 1 + sp.sinh(R / 2) ** 2, sp.exp(2 * log_cosh(R / 2))
        ),
        enumerated("1 + chi2(Q||P) <= prod_t cosh^2(R_t/2)", _importance_weights),
        on_trees("with one R for all steps", _weights),
    ),
    witnesses=(
        Witness("independent swap pairs", values=swap_tree(3)),
        Witness("independent tokens, p(upper) = sigma(-R), q uniform", values=_chi2_tree, claim=1),
    ),
    limit=expansion("n R^2/4 to leading order", sp.exp(2 * log_cosh(R / 2)) - 1, R, R**2 / 4 + R**4 / 48),
    source="chain rule of relative entropy; B6",
)


def _affinity(tree: Tree) -> Iterator[Relation]:
    kept = mpmath.fprod(1 / mpmath.cosh(x / 4) for x in tree.largest(hilbert_distance))
    yield kept, "<=", tree["sequence_affinity"]
    yield mpmath.exp(-tree["sequence_kl"]), "<=", tree["sequence_affinity"] ** 2


_x = sp.Symbol("x", positive=True)
_pinsker_gap = 1 - sp.exp(-_x) - _x / 2
_root_n = at_most(
    sequence_tv, sp.sqrt(-expm1(-2 * steps * log_cosh(R / 4))), increasing=("oscillation", "steps")
)
_linear = at_most(
    sequence_tv, -expm1(-steps * (R / 4 + log_cosh(R / 4))), increasing=("oscillation", "steps")
)
_hellinger = at_most(sequence_tv, sp.sqrt(1 - sequence_affinity**2))
_pinsker = at_most(sequence_tv, sp.sqrt(sequence_kl / 2))
_bretagnolle_huber = at_most(sequence_tv, sp.sqrt(1 - sp.exp(-sequence_kl)))


def _which_is_better() -> str:
    """Pinsker against Hellinger on two laws at R = 1: neither always wins."""
    signs = []
    for up in ("0.01", "0.99"):
        p = [mpmath.mpf(up), 1 - mpmath.mpf(up)]
        total = p[0] * mpmath.e + p[1]
        tree = independent(1, p, [p[0] * mpmath.e / total, p[1] / total])
        signs.append(mpmath.sqrt(tree["sequence_kl"] / 2) < mpmath.sqrt(1 - tree["sequence_affinity"] ** 2))
    if signs != [True, False]:
        raise StepFailedError(f"Pinsker smaller than Hellinger: {signs}")
    return "p(upper) = 0.01: Pinsker is smaller; 0.99: Hellinger is smaller"


G5 = Theorem(
    id="G5",
    name="sequence-tv-oscillation",
    title="Laws drift like the square root of n, runs like n",
    statement="TV(P,Q) <= sqrt(1 - prod_t sech^2(R_t/4)), about (R/4) sqrt(n), while coupled runs part "
    "like nR/4. Both bounds hold, sharp for one token; the sharp value for n tokens is J2. sqrt(1 - BC^2) "
    "<= sqrt(1 - e^(-KL)) always; Pinsker's sqrt(KL/2) beats the latter exactly for KL < 1.59362...",
    status=Status.VALID,
    claims=(_root_n, _linear, _hellinger, _pinsker, _bretagnolle_huber),
    hypotheses=("R is the supremum of the oscillation over steps and prefixes",),
    derivation=(
        argument("BC_n = sum sqrt(PQ) BC(p_n, q_n) >= sech(R_n/4) BC_(n-1) by B7."),
        enumerated("prod_t sech(R_t/4) <= BC(P,Q) and e^(-KL) <= BC^2", _affinity),
        argument("Cauchy-Schwarz on |P - Q| = |sqrt P - sqrt Q| (sqrt P + sqrt Q): TV <= sqrt(1 - BC^2)."),
        on_trees("all five bounds", _root_n, _linear, _hellinger, _pinsker, _bretagnolle_huber),
        concludes(
            "Insert BC^2 >= e^-KL",
            lambda: _bretagnolle_huber,
            "upper",
            sp.sqrt(1 - sequence_affinity**2).subs(sequence_affinity, sp.exp(-sequence_kl / 2)),
        ),
        positive("below the threshold x/2 < 1 - e^-x", _pinsker_gap / _x, {_x: ("1e-9", "1.593624")}),
        positive("above it x/2 > 1 - e^-x", -_pinsker_gap, {_x: ("1.593625", "60")}),
        computed("neither Pinsker nor Hellinger is always better", Method.ENUMERATED, _which_is_better),
    ),
    witnesses=(
        *(Witness("one token, a swap pair", values=swap_tree(1), claim=claim) for claim in (0, 1, 2)),
        Witness("one token, a small swap", values=swap_tree(1), claim=3, parameters=("1e-6", "1e-4")),
        Witness("one token, a large swap", values=swap_tree(1), claim=4, parameters=("60", "100")),
    ),
    limit=expansion("1 - sech^2(R/4) is R^2/16", 1 - sp.exp(-2 * log_cosh(R / 4)), R, R**2 / 16),
    source="Hellinger affinity; Bretagnolle and Huber 1979",
)

_sigma = sp.Symbol("sigma", positive=True)


def _gaussian_tv() -> bool:
    y = sp.Symbol("y", real=True)
    density = sp.exp(-(y**2) / 2) / sp.sqrt(2 * sp.pi)
    mass = sp.integrate(density, (y, -_sigma / 2, _sigma / 2))
    law = sp.erf(sp.sqrt(sequence_kl) / 2).subs(sequence_kl, _sigma**2 / 2)
    return bool(sp.simplify(mass - law) == 0)


def _small_drift() -> str:
    """Independent swap pairs, exact by the binomial law: R = 2/sqrt(n) for texts, R = 2/n for runs."""
    errors = []
    for n in (25, 100, 400, 1600):
        R = 2 / math.sqrt(n)
        up = 1 / (1 + math.exp(R / 2))
        counts = np.arange(n + 1)
        tv = 0.5 * np.abs(binom.pmf(counts, n, up) - binom.pmf(counts, n, 1 - up)).sum()
        kl = n * R * math.tanh(R / 4) / 2
        step = math.tanh(2 / n / 4)
        runs = 1 - (1 - step) ** n
        errors.append((abs(tv - math.erf(math.sqrt(kl) / 2)), abs(runs + math.expm1(-n * step))))
    for k in range(3):
        if not (errors[k + 1][0] < errors[k][0] / 1.8 and errors[k + 1][1] < errors[k][1] / 1.8):
            raise StepFailedError(f"errors do not fall: {errors}")
    return "errors at n = 25 .. 1600: " + ", ".join(f"{a:.1e}/{b:.1e}" for a, b in errors)


_y = sp.Symbol("y", real=True)
_text_law = about(sequence_tv, sp.erf(sp.sqrt(sequence_kl) / 2))
_run_law = about(1 - survival, -expm1(-tv_total))


def _short_runs() -> Iterator[Mapping[str, Any]]:
    for n in (10, 1000, 10_000_000):
        step = mpmath.tanh(mpmath.mpf("1e-3") * (1 if n < 10**7 else 1000) / n / 4)
        yield {"survival": (1 - step) ** n, "tv_total": n * step}


G13 = Theorem(
    id="G13",
    name="small-drift-laws",
    title="Small steps: an erf law for texts, an exponential law for runs",
    statement="As the steps get small, TV(P_n,Q_n) is about erf(sqrt(KL_n)/2), growing like sqrt(n), and "
    "the chance that coupled runs have parted is about 1 - exp(-sum_t E_P TV_t), growing like n.",
    status=Status.ASYMPTOTIC,
    claims=(_text_law, _run_law),
    hypotheses=(
        "every step's drift is small",
        "log-ratios along the text mix (a martingale central limit theorem)",
    ),
    derivation=(
        argument("log Q/P tends to N(-s^2/2, s^2) with s^2 = 2 KL: the pair becomes N(0,1) against N(s,1)."),
        symbolic(
            "whose total variation Phi(s/2) - Phi(-s/2) is erf(sqrt(KL)/2)",
            _gaussian_tv,
            sp.Eq(
                2 * sp.erf(_sigma / (2 * sp.sqrt(2))) / 2, sp.erf(sp.sqrt(_sigma**2 / 2) / 2), evaluate=False
            ),
        ),
        concludes(
            "and is the claim's",
            lambda: _text_law,
            "estimate",
            sp.integrate(sp.exp(-(_y**2) / 2) / sp.sqrt(2 * sp.pi), (_y, -_sigma / 2, _sigma / 2)).subs(
                _sigma, sp.sqrt(2 * sequence_kl)
            ),
        ),
        near("Runs of n independent swap pairs, R = 1e-3/n", (_run_law,), _short_runs, 1e-4),
        argument("prod_t (1 - TV_t) is exp(-sum TV_t) up to sum TV_t^2."),
        computed("independent swap pairs: the errors fall with n", Method.ENUMERATED, _small_drift),
    ),
    source="local asymptotic normality",
)

THEOREMS: tuple[Theorem, ...] = (G1, G5, G13)
