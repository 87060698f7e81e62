"""Family G, runs: certificates for how long two coupled models keep producing the same tokens."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most
from theory.formulas.functions.elementary import log_cosh
from theory.formulas.symbols import oscillation
from theory.instances.trees import Tree, one_drifting_step, swap_tree, total_variation
from theory.proofs.enumerated import enumerated, on_trees
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.parameters import (
    half_life,
    identical_tokens,
    kl_total,
    step_tv,
    steps,
    survival,
    tv_total,
)
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

R = oscillation

_decay = R / 4 + log_cosh(R / 4)
"""-log(2/(1 + e^(R/2))), in a form that neither cancels nor overflows."""


def _telescoping(tree: Tree) -> Iterator[Relation]:
    inner = (x for level in tree.levels[:-1] for x in level)
    lost = mpmath.fsum(x.agree * total_variation(*tree.law(x.prefix)) for x in inner)
    yield 1 - tree["survival"], "=", lost


def _product_of_suprema(tree: Tree) -> Iterator[Relation]:
    kept = mpmath.fprod(1 - tv for tv in tree.largest(total_variation))
    yield kept, "<=", tree["survival"]


def _loss_of_likelihood(x: Any) -> list[tuple[Any, str, Any]]:
    terms = [a * max(mpmath.log(a / b), mpf(0)) for a, b in zip(x.p, x.q, strict=True)]
    return [(mpmath.fsum(terms), "<=", x.column("kl") + x.column("tv"))]


_union = at_most(1 - survival, tv_total)
_exponential = at_least(survival, sp.exp(-(kl_total + tv_total)))
_suprema = at_least(survival, (1 - step_tv) ** steps)

G3 = Theorem(
    id="G3",
    name="survival-teacher-forced",
    title="Survival from teacher-forced drift",
    statement="1 - S_n <= sum_t E_P TV_t; S_n >= exp(-sum_t E_P[KL_t + TV_t]); S_n >= prod_t (1 - sup "
    "TV_t) with suprema over prefixes. A product of teacher-forced means instead of suprema is false: "
    "G3x.",
    status=Status.SHARP,
    claims=(_union, _exponential, _suprema),
    derivation=(
        enumerated("1 - S_n = sum_t sum_x (prod_(s<t) min) TV_t", _telescoping),
        on_trees("prod min <= P, so the sum is at most the teacher-forced one", _union),
        argument("Jensen: log S_n = log E_P e^(sum log min(1, rho)) >= -sum_t E_P (log p_t/q_t)_+."),
        argument(
            "E_p (log p/q)_+ = KL + E_p (log q/p)_+ <= KL + E_p (q/p - 1)_+ = KL + TV, by log x <= x - 1."
        ),
        sampled("E_p (log p/q)_+ <= KL + TV", _loss_of_likelihood),
        on_trees("the exponential form", _exponential),
        enumerated("prod_t (1 - sup TV_t) <= S_n", _product_of_suprema),
        on_trees("with one supremum over all steps", _suprema),
    ),
    witnesses=(
        Witness("two tokens of which only the first drifts", values=one_drifting_step),
        Witness("independent swap pairs", values=swap_tree(3), side="lower", claim=2),
    ),
    source="union bound over the first divergence; Jensen",
)


def _infinite_prefix(x: Any) -> dict[str, Any]:
    stay = 2 / (1 + mpmath.exp(x / 2))
    return {"oscillation": x, "half_life": mpmath.log(2) / -mpmath.log(stay)}


_survives = at_least(survival, sp.exp(-steps * _decay), decreasing=("oscillation", "steps"))
_prefix = at_least(
    identical_tokens,
    2 * (1 - sp.exp(-steps * _decay)) / (sp.exp(R / 2) - 1),
    decreasing=("oscillation",),
    increasing=("steps",),
)

G4 = Theorem(
    id="G4",
    name="survival-oscillation",
    title="Certified survival, identical prefix and half-life from the oscillation",
    statement="If no step's oscillation exceeds R, coupled runs still agree after n tokens with "
    "probability at least (2/(1+e^(R/2)))^n = e^(-n(R/4 + log cosh(R/4))); with budgets R_t, prod_t "
    "2/(1+e^(R_t/2)). The expected identical prefix is at least 2/(e^(R/2)-1), about 4/R tokens, and the "
    "half-life at least log 2/(R/4 + log cosh(R/4)), about 2.77/R.",
    status=Status.SHARP,
    claims=(
        _survives,
        _prefix,
        at_least(half_life, sp.log(2) / _decay, decreasing=("oscillation",)),
    ),
    hypotheses=("R is the supremum of the oscillation over steps and prefixes",),
    derivation=(
        identity("1 - tanh(R/4) = 2/(1+e^(R/2)) (B1)", 1 - sp.tanh(R / 4), 2 / (1 + sp.exp(R / 2))),
        identity("-log of it is R/4 + log cosh(R/4)", sp.exp(-_decay), 2 / (1 + sp.exp(R / 2))),
        on_trees("the product over steps", _survives, _prefix),
        identity(
            "a/(1-a) = 2/(e^(R/2)-1) sums the geometric series of a = 2/(1+e^(R/2))",
            (2 / (1 + sp.exp(R / 2))) / (1 - 2 / (1 + sp.exp(R / 2))),
            2 / (sp.exp(R / 2) - 1),
        ),
    ),
    witnesses=(
        Witness("independent swap pairs, 4 tokens", values=swap_tree(4), side="lower"),
        Witness("independent swap pairs, 4 tokens", values=swap_tree(4), side="lower", claim=1),
        Witness("independent swap pairs for ever", values=_infinite_prefix, side="lower", claim=2),
    ),
    limit=expansion("the loss per token is R/4 to leading order", _decay, R, R / 4 + R**2 / 32),
    source="B1 and G2",
)


def _opposite_after_zero() -> tuple[Any, Any]:
    small = Fraction(1, 10**6)
    half = Fraction(1, 2)
    first = [half, half], [1 - small, small]
    opposite, equal = ([1 - small, small], [small, 1 - small]), ([half, half], [half, half])
    drift = [total_variation_exact(*pair) for pair in (opposite, equal)]
    kept = sum(min(a, b) * (1 - tv) for a, b, tv in zip(*first, drift, strict=True))
    claimed = (1 - total_variation_exact(*first)) * (
        1 - sum(a * tv for a, tv in zip(first[0], drift, strict=True))
    )
    return mpf(claimed.numerator) / claimed.denominator, mpf(kept.numerator) / kept.denominator


def total_variation_exact(p: list[Fraction], q: list[Fraction]) -> Fraction:
    """Half the l1 distance of rational laws."""
    return sum((abs(a - b) for a, b in zip(p, q, strict=True)), Fraction(0)) / 2


G3x = Theorem(
    id="G3x",
    name="survival-product-of-means",
    title="Folklore: multiply the teacher-forced means",
    statement="FALSE: S_n >= prod_t (1 - E_P TV_t), let alone (1 - mean)^n. Drift that sits where "
    "agreeing runs go is not averaged away by prefixes they avoid. True are the sum of means, the product "
    "of suprema (G3), and the mean of products (G2).",
    status=Status.FALSE,
    claims=(at_least(survival, (1 - tv_total / steps) ** steps),),
    counterexample=Counterexample(
        "p_1 = (1/2, 1/2), q_1 = (1-e, e), e = 1e-6; after token 0 the models are opposite, after token 1 "
        "equal: the product of means is 1/4, S_2 = 2e-6",
        _opposite_after_zero,
    ),
    source="exact rational arithmetic",
)

THEOREMS = (G3, G3x, G4)
