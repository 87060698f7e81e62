"""Family J, worst cases: the largest drift that a budget of oscillation allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.families.sequence_symbols import sequence_tv, steps, two_token_tv
from theory.steps import Method, StepFailedError, argument, computed, expansion, identity
from theory.symbols import oscillation
from theory.theorem import Counterexample, Status, Theorem, Witness, about, at_most
from theory.trees import Prefix, Tree, enumerated, hilbert_distance
from theory.worst_case import worst_case, worst_case_tv

R = oscillation
Relations = Iterator[tuple[Any, str, Any]]

_s, _x, _k, _t, _lam = sp.symbols("s x k t lambda", positive=True)


def _first(e: sp.Expr) -> sp.Expr:
    """f_1 as a function of e = e^(y/2), for |y| <= R, with s = e^(R/2)."""
    return (_s - e) ** 2 / (_s**2 - 1)


_up = (_x**2 - 1) / (_s**2 - 1)
_two_tokens = sp.tanh(R / 4) + sp.tanh(R / 8) / (2 * sp.cosh(R / 4) ** 2)


def _optimal_pair(x: Any) -> dict[str, Any]:
    """The adversary of two tokens: a swap pair, then from log-ratio y the move u = (R + y)/2."""

    def law(prefix: Prefix) -> tuple[list[Any], list[Any]]:
        y = mpf(0) if not prefix else (x / 2 if prefix[0] == 0 else -x / 2)
        u = (x + y) / 2
        up = mpmath.expm1(u) / mpmath.expm1(x)
        return [up, 1 - up], [up * mpmath.exp(x - u), (1 - up) * mpmath.exp(-u)]

    tree = Tree(2, law)
    return {"oscillation": tree["oscillation"], "two_token_tv": tree["sequence_tv"]}


def _below_the_game(tree: Tree) -> Relations:
    """No pair of models exceeds the rigorous upper value for its own budgets."""
    budgets = [float(x) * (1 + 1e-12) for x in tree.largest(hilbert_distance)]
    yield tree["sequence_tv"], "<=", mpf(worst_case(budgets, cells=16).tv[1])


def _enclosed() -> str:
    """The grid values around both closed forms, and the gap shrinking like the square of the cell."""
    widest = 0.0
    for budget in (1e-3, 0.1, 1.0, 4.0, 20.0):
        lower, upper = worst_case_tv(budget, 2)
        one = math.tanh(budget / 4)
        two = one + math.tanh(budget / 8) / (2 * math.cosh(budget / 4) ** 2)
        for k, value in ((1, one), (2, two)):
            if not lower[k] - 1e-12 <= value <= upper[k] + 1e-12:
                raise StepFailedError(f"R = {budget}: {value} is outside [{lower[k]}, {upper[k]}]")
        widest = max(widest, upper[2] - lower[2])
    gaps = [float(np.subtract(*worst_case_tv(1.0, 8, cells)[::-1])[-1]) for cells in (8, 16, 32)]
    if not (gaps[0] > 3 * gaps[1] > 9 * gaps[2]):
        raise StepFailedError(f"gaps {gaps} do not fall like the square of the cell")
    return f"widest gap at n = 2: {widest:.1e}; at R = 1, n = 8 with 8, 16, 32 cells: " + ", ".join(
        f"{gap:.1e}" for gap in gaps
    )


def _continuum() -> str:
    """R = 2/sqrt(n): the enclosure tends to erf(2/(4 sqrt 2))."""
    law, errors = math.erf(2 / (4 * math.sqrt(2))), []
    for n in (4, 16, 64):
        lower, upper = worst_case_tv(2 / math.sqrt(n), n, cells=16)
        errors.append(max(abs(lower[-1] - law), abs(upper[-1] - law)))
    if not errors[2] < errors[1] < errors[0]:
        raise StepFailedError(f"errors {errors} do not fall")
    return "distance to the law at n = 4, 16, 64: " + ", ".join(f"{e:.1e}" for e in errors)


J2 = Theorem(
    id="J2",
    name="worst-sequence-tv",
    title="The largest total variation of n tokens for a budget of oscillation per step",
    statement="Over all pairs of models whose step t has oscillation at most R_t, sup TV(P_n,Q_n) = "
    "f_n(0) with f_0(y) = (1 - e^y)_+ and f_n(y) = max_(0<=u<=R) [w f_(n-1)(y+R-u) + (1-w) f_(n-1)(y-u)], "
    "w = (e^u-1)/(e^R-1), the last step first. One token: tanh(R/4). Two tokens: tanh(R/4) + tanh(R/8) "
    "sech^2(R/4)/2, exactly. Small steps: erf(R sqrt(n/32)). theory.worst_case encloses f_n by grid "
    "values with a gap of second order.",
    status=Status.SHARP,
    claims=(
        at_most(two_token_tv, _two_tokens, increasing=("oscillation",)),
        about(sequence_tv, sp.erf(R * sp.sqrt(steps) / (4 * sp.sqrt(2)))),
    ),
    hypotheses=("R is the supremum of the oscillation over steps and prefixes",),
    derivation=(
        argument(
            "TV = E_P (1 - e^y)_+ with y = log Q/P; backward induction. f is convex in e^y, so for a "
            "given range of q/p the law on its two end points is extremal (chord), and E_p q/p = 1 fixes "
            "its mass w."
        ),
        identity(
            "One step from e^y = lambda, with k = e^R and t = e^u: the gain is a square below its maximum",
            (_k - _t) * (1 - _lam / _t),
            (sp.sqrt(_k) - sp.sqrt(_lam)) ** 2 - (_t - sp.sqrt(_k * _lam)) ** 2 / _t,
        ),
        argument("so f_1(y) = (e^(R/2) - e^(y/2))^2/(e^R - 1) for |y| <= R, attained at u = (R+y)/2."),
        identity(
            "Two steps, x = e^(u/2), s = e^(R/2)",
            _up * _first(_s / _x) + (1 - _up) * _first(1 / _x),
            (_s**4 - 1 - 2 * _s * (_s - 1) * (_x + _s / _x)) / (_s**2 - 1) ** 2,
        ),
        identity(
            "and x + s/x is least at x = sqrt s, the swap pair",
            _x + _s / _x,
            2 * sp.sqrt(_s) + (_x - sp.sqrt(_s)) ** 2 / _x,
        ),
        identity(
            "where the value is tanh(R/4) + tanh(R/8)/(2 cosh^2(R/4))",
            ((_s**4 - 1 - 4 * _s * (_s - 1) * sp.sqrt(_s)) / (_s**2 - 1) ** 2).subs(_s, sp.exp(R / 2)),
            _two_tokens,
        ),
        computed("grid values enclose both closed forms", Method.ENUMERATED, _enclosed),
        enumerated("no pair of models exceeds the upper value of its budgets", _below_the_game),
        argument(
            "Small steps: log Q/P becomes a martingale with variance R^2/4 per step, TV = 2 Phi(R "
            "sqrt(n)/4) - 1."
        ),
        computed("the limit law", Method.ENUMERATED, _continuum),
    ),
    witnesses=(Witness("a swap pair, then the move u = (R+y)/2", values=_optimal_pair),),
    limit=expansion("two tokens reach 5R/16 to leading order", _two_tokens, R, 5 * R / 16),
    source="adaptive composition of bounded-range mechanisms (Dong, Durfee, Rogers 2020)",
)

J2x = Theorem(
    id="J2x",
    name="worst-case-order",
    title="Folklore: only the set of budgets matters, not their order",
    statement="FALSE: the worst case of budgets R_1, .., R_n is symmetric in them, like every product "
    "bound. A small budget after a large one adds nothing (2 then 0.5: tanh(1/2), as for 2 alone), before "
    "it it does (0.5 then 2: 0.4687).",
    status=Status.FALSE,
    counterexample=Counterexample(
        "achieved for budgets (0.5, 2) against the rigorous upper value for (2, 0.5)",
        lambda: (mpf(worst_case([0.5, 2.0]).tv[0]), mpf(worst_case([2.0, 0.5]).tv[1])),
    ),
    hypotheses=("an adversary who knows the prefix chooses the laws",),
    source="theory.worst_case",
)


def _subsets(p: list[Any]) -> list[Any]:
    return [
        mpmath.fsum(a for a, keep in zip(p, mask, strict=True) if keep)
        for mask in product((False, True), repeat=len(p))
        if any(mask) and not all(mask)
    ]


def _extreme_points() -> str:
    """Five tokens: random and optimised moves inside the cube never beat the best {0, R}-valued one."""
    rng, tried = np.random.default_rng(11), 0
    for _ in range(8):
        weights = [mpf(float(a)) + mpf(10) ** -6 for a in rng.dirichlet(np.ones(5))]
        p = [a / mpmath.fsum(weights) for a in weights]
        budget = mpf(float(10 ** rng.uniform(-1, 1)))
        grow = mpmath.expm1(budget)
        best_kl = max(mpmath.log1p(a * grow) - a * budget for a in _subsets(p))
        best_tv = max(a * (1 + grow) / (1 + a * grow) - a for a in _subsets(p))
        for _ in range(40):
            delta = [budget * mpf(float(u)) for u in rng.random(5) ** rng.uniform(0.1, 3)]
            weights = [a * mpmath.exp(d) for a, d in zip(p, delta, strict=True)]
            total = mpmath.fsum(weights)
            kl = mpmath.log(total) - mpmath.fsum(a * d for a, d in zip(p, delta, strict=True))
            tv = mpmath.fsum(abs(a - w / total) for a, w in zip(p, weights, strict=True)) / 2
            if kl > best_kl or tv > best_tv:
                raise StepFailedError(f"an interior move beats the extreme points at R = {budget}")
            tried += 1
    return f"{tried} moves on 8 distributions"


_mass = sp.Symbol("m", positive=True)

J6 = Theorem(
    id="J6",
    name="worst-move",
    title="The worst perturbation of a given distribution",
    statement="For fixed p, sup over osc(delta) <= R of KL(p||q) is max_A [log(1 + p(A)(e^R - 1)) - p(A) "
    "R] and of TV is max_A [sigma(logit p(A) + R) - p(A)]: the worst moves raise a set A of tokens by R "
    "and leave the others.",
    status=Status.EXACT,
    derivation=(
        argument(
            "KL(p||q) = log E_p e^delta - E_p delta is convex in delta, so its maximum over a cube "
            "is at a corner."
        ),
        argument("TV = max_A q(A) - p(A), and q(A) is largest when delta = R on A and 0 off it."),
        identity(
            "At such a corner q(A) = sigma(logit p(A) + R)",
            _mass * sp.exp(R) / (1 + _mass * (sp.exp(R) - 1)),
            1 / (1 + (1 - _mass) / _mass * sp.exp(-R)),
        ),
        computed(
            "all 30 sets of five tokens against moves inside the cube", Method.ENUMERATED, _extreme_points
        ),
    ),
    source="extreme points of a cube",
)

THEOREMS = (J2, J2x, J6)
