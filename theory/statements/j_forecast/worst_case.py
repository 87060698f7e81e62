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

from theory.formulas.claims import about, at_most
from theory.formulas.functions.elementary import sech_deficit
from theory.formulas.symbols import oscillation
from theory.instances.trees import Prefix, Tree, hilbert_distance
from theory.proofs.conclusion import concludes
from theory.proofs.enumerated import enumerated
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import expansion, identity
from theory.sequences.worst_case import worst_case, worst_case_tv
from theory.statements.parameters import first_budget, second_budget, sequence_tv, steps, two_token_tv
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

R = oscillation

R1, R2 = first_budget, second_budget
_s, _r, _e, _x, _k, _t, _lam = sp.symbols("s r e x k t lambda", positive=True)


def _last(e: sp.Expr) -> sp.Expr:
    """f_1 as a function of e = e^(y/2), for |y| <= R_2, with r = e^(R_2/2)."""
    return (_r - e) ** 2 / (_r**2 - 1)


_up = (_x**2 - 1) / (_s**2 - 1)
_peak = ((_s**2 - 1) * (_r**2 + 1) - 4 * _r * (_s - 1) * sp.sqrt(_s)) / ((_s**2 - 1) * (_r**2 - 1))


def two_tokens(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """Worst total variation of two tokens with budgets ``second >= first/2``."""
    return sp.tanh(second / 4) + sech_deficit(first / 4) / sp.sinh(second / 2)


def _optimal_pair(share: str) -> Any:
    """The adversary of two tokens: a swap pair, then from log-ratio y the move u = (R_2 + y)/2."""

    def values(x: Any) -> dict[str, Any]:
        first, second = x, mpf(share) * x

        def law(prefix: Prefix) -> tuple[list[Any], list[Any]]:
            if prefix and second < first / 2:
                return [mpf(1) / 2] * 2, [mpf(1) / 2] * 2
            budget = second if prefix else first
            y = mpf(0) if not prefix else (first / 2 if prefix[0] == 0 else -first / 2)
            u = (budget + y) / 2
            up = mpmath.expm1(u) / mpmath.expm1(budget)
            return [up, 1 - up], [up * mpmath.exp(budget - u), (1 - up) * mpmath.exp(-u)]

        return {"first_budget": first, "second_budget": second, "two_token_tv": Tree(2, law)["sequence_tv"]}

    return values


def _below_the_game(tree: Tree) -> Iterator[Relation]:
    """No pair of models exceeds the rigorous upper value for its own budgets."""
    budgets = [float(x) * (1 + 1e-12) for x in tree.largest(hilbert_distance)]
    yield tree["sequence_tv"], "<=", mpf(worst_case(budgets, cells=16).tv[1])


def _enclosed() -> str:
    """The grid values around the closed forms, and the gap shrinking like the square of the cell."""
    widest = 0.0
    for first, second in ((1e-3, 1e-3), (0.1, 0.3), (1.0, 1.0), (4.0, 2.5), (4.0, 1.0), (20.0, 20.0)):
        value = float(_two.upper(first_budget=first, second_budget=second)) if _two.upper else math.nan
        lower, upper = worst_case([first, second]).tv
        coarse = 0.0 if first == second else 0.03  # unequal budgets are rounded down for the lower value
        if not lower - 1e-12 <= value <= upper + 1e-12 or lower < value - coarse - 1e-10:
            raise StepFailedError(f"budgets {first}, {second}: {value} is outside [{lower}, {upper}]")
        widest = max(widest, upper - value)
    gaps = [float(np.subtract(*worst_case_tv(1.0, 8, cells)[::-1])[-1]) for cells in (8, 16, 32)]
    if not (gaps[0] > 3 * gaps[1] > 9 * gaps[2]):
        raise StepFailedError(f"gaps {gaps} do not fall like the square of the cell")
    return (
        f"upper value at most {widest:.1e} too large for two tokens; gaps at n = 8 with 8, 16, 32 cells: "
        + (", ".join(f"{gap:.1e}" for gap in gaps))
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


_two = at_most(two_token_tv, two_tokens(R1, sp.Max(R2, R1 / 2)), increasing=("first_budget", "second_budget"))

_many = about(sequence_tv, sp.erf(R * sp.sqrt(steps) / (4 * sp.sqrt(2))))

J2 = Theorem(
    id="J2",
    name="worst-sequence-tv",
    title="The largest total variation of n tokens for a budget of oscillation per step",
    statement="Over all pairs of models whose step t has oscillation at most R_t, sup TV(P_n,Q_n) = "
    "f_n(0) with f_0(y) = (1 - e^y)_+ and f_n(y) = max_(0<=u<=R) [w f_(n-1)(y+R-u) + (1-w) f_(n-1)(y-u)], "
    "w = (e^u-1)/(e^R-1), the last step first. One token: tanh(R/4). Two tokens, exactly: tanh(R_2/4) + "
    "(1 - sech(R_1/4))/sinh(R_2/2) if R_2 >= R_1/2, else tanh(R_1/4): a second budget below half of the "
    "first is free. With equal budgets tanh(R/4) + tanh(R/8) sech^2(R/4)/2. Many small steps: erf(R "
    "sqrt(n/32)). theory.sequences.worst_case encloses f_n with a gap of second order.",
    status=Status.SHARP,
    claims=(_two, _many),
    hypotheses=("R_t is the supremum over prefixes of the oscillation of step t",),
    derivation=(
        concludes(
            "Many small swaps: G13's erf(sqrt(KL)/2) at KL = n R^2/8 (B5)",
            lambda: _many,
            "estimate",
            sp.erf(sp.sqrt(steps * R**2 / 8) / 2),
        ),
        argument(
            "TV = E_P (1 - e^y)_+ with y = log Q/P; backward induction. f is convex in e^y, so for a "
            "given range of q/p the law on its two end points is extremal (chord), and E_p q/p = 1 fixes its "
            "mass w."
        ),
        identity(
            "One step from e^y = lambda, with k = e^R and t = e^u: the gain is a square below its maximum",
            (_k - _t) * (1 - _lam / _t),
            (sp.sqrt(_k) - sp.sqrt(_lam)) ** 2 - (_t - sp.sqrt(_k * _lam)) ** 2 / _t,
        ),
        argument("so f_1(y) = (e^(R/2) - e^(y/2))^2/(e^R - 1) for |y| <= R, attained at u = (R+y)/2."),
        identity(
            "Beyond |y| = R_2, where f_1 = (1 - e^y)_+, this expression is larger; r = e^(R_2/2), e = "
            "e^(y/2)",
            _last(_e) - (1 - _e**2),
            (1 - _r * _e) ** 2 / (_r**2 - 1),
        ),
        identity(
            "Two steps with it: x = e^(u/2), s = e^(R_1/2)",
            _up * _last(_s / _x) + (1 - _up) * _last(1 / _x),
            ((_s**2 - 1) * (_r**2 + 1) - 2 * _r * (_s - 1) * (_x + _s / _x)) / ((_s**2 - 1) * (_r**2 - 1)),
        ),
        identity(
            "x + s/x is least at x = sqrt s, the swap pair, where |y| = R_1/2: allowed if R_2 >= R_1/2",
            _x + _s / _x,
            2 * sp.sqrt(_s) + (_x - sp.sqrt(_s)) ** 2 / _x,
        ),
        identity(
            "and the value there is tanh(R_2/4) + (1 - sech(R_1/4))/sinh(R_2/2)",
            _peak.subs({_s: sp.exp(R1 / 2), _r: sp.exp(R2 / 2)}),
            two_tokens(R1, R2),
        ),
        identity(
            "at R_2 = R_1/2 it is tanh(R_1/4), what the first token alone reaches",
            two_tokens(R1, R1 / 2),
            sp.tanh(R1 / 4),
        ),
        argument("The value increases in each budget, so it is tanh(R_1/4) for every R_2 <= R_1/2."),
        identity(
            "Equal budgets", two_tokens(R, R), sp.tanh(R / 4) + sp.tanh(R / 8) / (2 * sp.cosh(R / 4) ** 2)
        ),
        computed("grid values enclose the closed forms", Method.ENUMERATED, _enclosed),
        enumerated("no pair of models exceeds the upper value of its budgets", _below_the_game),
        argument(
            "Small steps: log Q/P becomes a martingale with variance R^2/4 per step, TV = 2 Phi(R "
            "sqrt(n)/4) - 1."
        ),
        computed("the limit law", Method.ENUMERATED, _continuum),
    ),
    witnesses=(
        Witness("equal budgets: a swap pair, then the move u = (R+y)/2", values=_optimal_pair("1")),
        Witness("R_2 = 3R_1/4", values=_optimal_pair("0.75")),
        Witness("R_2 = 2R_1", values=_optimal_pair("2")),
        Witness("R_2 = R_1/4: a swap pair, then nothing", values=_optimal_pair("0.25")),
    ),
    limit=expansion("two equal budgets reach 5R/16 to leading order", two_tokens(R, R), R, 5 * R / 16),
    source="adaptive composition of bounded-range mechanisms (Dong, Durfee, Rogers 2020); closed forms new",
)


def _apart(worse: list[float], better: list[float]) -> str:
    """Achieved value of one order above the rigorous upper value of the other."""
    low, high = worst_case(worse).tv[0], worst_case(better).tv[1]
    if low <= high:
        raise StepFailedError(f"{worse} achieves {low}, {better} at most {high}")
    return f"{worse} achieves {low:.6f}, {better} at most {high:.6f}"


def _orders() -> tuple[Any, Any]:
    formula = _two.upper
    assert formula is not None
    return tuple(
        formula.exact(first_budget=mpf(first), second_budget=mpf(second))
        for first, second in (("0.5", 2), (2, "0.5"))
    )


J2x = Theorem(
    id="J2x",
    name="worst-case-order",
    title="Folklore: only the set of budgets matters, not their order",
    statement="FALSE: the worst case of budgets R_1, .., R_n is symmetric in them, like every product "
    "bound. A budget of 0.5 after one of 2 adds nothing (tanh(1/2) = 0.4621); before it, it does "
    "(0.4687).",
    status=Status.FALSE,
    derivation=(
        computed(
            "the grid enclosure confirms the gap", Method.ENUMERATED, lambda: _apart([0.5, 2.0], [2.0, 0.5])
        ),
    ),
    counterexample=Counterexample("the exact values for (0.5, 2) and for (2, 0.5)", _orders),
    hypotheses=("an adversary who knows the prefix chooses the laws",),
    source="J2",
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
