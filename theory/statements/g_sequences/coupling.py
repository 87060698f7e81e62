"""Family G, couplings: survival of exact agreement is the best that causal couplings can do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf
from scipy.optimize import linprog

from theory.formulas.claims import at_most
from theory.instances.trees import Prefix, Tree, independent, one_drifting_step, total_variation
from theory.proofs.enumerated import enumerated, on_trees
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.statements.parameters import sequence_affinity, sequence_tv, survival
from theory.theorems.theorem import Status, Theorem, Witness


def _change_of_measure(tree: Tree) -> Iterator[Relation]:
    """S_n = E_P W_n, also with the last factor averaged out."""
    weights = mpmath.fsum(x.p * (x.agree / x.p) for x in tree.leaves)
    yield tree["survival"], "=", weights
    for length, level in enumerate(tree.levels[:-1]):
        averaged = mpmath.fsum(x.agree * (1 - total_variation(*tree.law(x.prefix))) for x in level)
        yield tree.survival_after(length + 1), "=", averaged


def _non_causal_flows(tree: Tree) -> Iterator[Relation]:
    """min(P_t, Q_t) can be the agreeing mass for all t at once: children fit, and the rest has room."""
    children = {x.prefix: list[Any]() for level in tree.levels[:-1] for x in level}
    for level in tree.levels[1:]:
        for x in level:
            children[x.prefix[:-1]].append(x)
    for level in tree.levels[:-1]:
        for x in level:
            kept = mpmath.fsum(min(y.p, y.q) for y in children[x.prefix])
            yield kept, "<=", min(x.p, x.q)
            for side in ("p", "q"):
                room = mpmath.fsum(getattr(y, side) for y in children[x.prefix]) - kept
                yield getattr(x, side) - min(x.p, x.q), "<=", room


def _causal_optimum(tree: Tree) -> float:
    """Largest chance of n equal tokens over all causal couplings, by linear programming."""
    symbols = range(len(tree.law(())[0]))
    paths = list(product(symbols, repeat=tree.steps))
    cells = list(product(paths, paths))
    rows, values = [np.ones(len(cells))], [1.0]
    for length in range(tree.steps):
        for x, y in product(product(symbols, repeat=length), repeat=2):
            here = np.array([a[:length] == x and b[:length] == y for a, b in cells], dtype=float)
            for token in symbols:
                for side, prefix in ((0, x), (1, y)):
                    next_is = np.array([cell[side][length] == token for cell in cells], dtype=float)
                    rows.append(here * (next_is - float(tree.law(prefix)[side][token])))
                    values.append(0.0)
    agree = -np.array([a == b for a, b in cells], dtype=float)
    result = linprog(agree, A_eq=np.array(rows), b_eq=values, bounds=(0, None), method="highs")
    return float(-result.fun)


def _check_causal_optimum() -> str:
    rng = np.random.default_rng(9)
    seen = []
    for symbols, length in ((2, 2), (3, 2), (2, 3)):
        laws: dict[Prefix, Any] = {
            prefix: tuple(rng.dirichlet(np.ones(symbols)) for _ in range(2))
            for t in range(length)
            for prefix in product(range(symbols), repeat=t)
        }
        tree = Tree(length, laws.__getitem__)
        best, survives = _causal_optimum(tree), float(tree["survival"])
        overlap = 1 - float(tree["sequence_tv"])
        if abs(best - survives) > 1e-8 or overlap < survives:
            raise StepFailedError(f"linear programme {best}, survival {survives}, 1 - TV {overlap}")
        seen.append(f"{best:.6f} = S_{length} (1 - TV = {overlap:.4f})")
    return "; ".join(seen)


def _disjoint_rests(b: Any) -> Tree:
    """One token: shared mass 1 - b, the rests on different tokens up to 1e-40."""
    least = mpf(10) ** -40
    return independent(1, [1 - b - least, b, least], [1 - b - least, least, b])


_MASSES = ("1e-6", "0.1", "0.5", "0.9")
_tv_by_survival = at_most(sequence_tv, 1 - survival)
_survival_by_affinity = at_most(survival, sequence_affinity)

G2 = Theorem(
    id="G2",
    name="survival",
    title="Survival of exact agreement",
    statement="S_n, the sum over sequences of the product of min(p_t, q_t), equals E_P prod min(1, "
    "q_t/p_t). It is the largest chance that n tokens of the two models agree, over all couplings in "
    "which neither run sees its future, for all n at once; the stepwise maximal coupling attains it. "
    "TV(P,Q) <= 1 - S_n, and S_n <= 1 - TV(P,Q) <= BC(P,Q). Couplings that see the future reach 1 - "
    "TV(P_n, Q_n) for all n at once.",
    status=Status.SHARP,
    claims=(_tv_by_survival, _survival_by_affinity, at_most(1 - sequence_tv, sequence_affinity)),
    hypotheses=("both models read the same prompt", "q_t has the support of p_t"),
    derivation=(
        enumerated(
            "S_n = E_P prod min(1, rho_t) = E_P[prod_(t<n) min(1, rho_t) (1 - TV_n)]", _change_of_measure
        ),
        on_trees("prod min <= min(prod, prod) <= sqrt(PQ)", _tv_by_survival, _survival_by_affinity),
        argument(
            "Given the joint past X_t ~ p_t and Y_t ~ q_t, so the agreeing mass obeys a_t <= a_(t-1) "
            "min(p_t, q_t)."
        ),
        computed(
            "S_n is the optimum over all causal couplings (linear programme)",
            Method.ENUMERATED,
            _check_causal_optimum,
        ),
        enumerated(
            "min(P_t, Q_t) is a consistent agreeing mass for couplings that see the future", _non_causal_flows
        ),
    ),
    witnesses=(
        Witness("two tokens of which only the first drifts, by a swap pair", values=one_drifting_step),
        Witness(
            "p = (1-b, b, 0), q = (1-b, 0, b) in the limit",
            values=_disjoint_rests,
            claim=1,
            parameters=_MASSES,
        ),
        Witness("the same, one token", values=_disjoint_rests, claim=2, parameters=_MASSES),
    ),
    source="maximal couplings; co-adapted couplings; MEXIT (Ernst, Kendall, Roberts, Rosenthal 2019)",
)

THEOREMS = (G2,)
