"""Family G, free-running curves: what two models show when each reads its own text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import mpmath
from mpmath import mpf

from theory.instances.trees import Prefix, Tree, total_variation
from theory.proofs.enumerated import enumerated
from theory.proofs.step import argument
from theory.theorems.theorem import Status, Theorem


def _coupled_law(tree: Tree) -> dict[tuple[Prefix, Prefix], Any]:
    """Joint law of the stepwise maximal coupling after ``steps - 1`` tokens, built by its rule."""
    joint: dict[tuple[Prefix, Prefix], Any] = {((), ()): mpf(1)}
    for _ in range(tree.steps - 1):
        grown: dict[tuple[Prefix, Prefix], Any] = {}
        for (x, y), mass in joint.items():
            p, q = tree.law(x)[0], tree.law(y)[1]
            shared = [min(a, b) if x == y else mpf(0) for a, b in zip(p, q, strict=True)]
            rest = 1 - mpmath.fsum(shared)
            for i, j in product(range(len(p)), repeat=2):
                split = (p[i] - shared[i]) * (q[j] - shared[j]) / rest if rest > 0 else mpf(0)
                key = ((*x, i), (*y, j))
                grown[key] = grown.get(key, 0) + mass * (split + (shared[i] if i == j else 0))
        joint = grown
    return joint


def _mixture_law(tree: Tree) -> Iterator[tuple[Any, str, Any]]:
    """Free-running discrepancy against its two parts, and the marginals of the coupling."""
    joint, level = _coupled_law(tree), tree.levels[tree.steps - 1]
    for node in level:
        yield mpmath.fsum(mass for (x, _), mass in joint.items() if x == node.prefix), "=", node.p
        yield mpmath.fsum(mass for (_, y), mass in joint.items() if y == node.prefix), "=", node.q

    def gap(x: Prefix, y: Prefix) -> Any:
        return total_variation(tree.law(x)[0], tree.law(y)[1])

    free = mpmath.fsum(mass * gap(*pair) for pair, mass in joint.items())
    apart = {pair: mass for pair, mass in joint.items() if pair[0] != pair[1]}
    agreed = mpmath.fsum(node.agree * gap(node.prefix, node.prefix) for node in level)
    yield free, "=", agreed + mpmath.fsum(mass * gap(*pair) for pair, mass in apart.items())
    yield mpmath.fsum(apart.values()), "=", 1 - tree.survival_after(tree.steps - 1)


G8 = Theorem(
    id="G8",
    name="free-running-mixture",
    title="Free-running curves are mixtures",
    statement="For the stepwise maximal coupling and any discrepancy D of the next-token laws, E "
    "D_free(t) = sum_x (prod_(s<t) min) D(x,x) + (1 - S_(t-1)) E[D | diverged]. Teacher-forced curves see "
    "only the first kind of term; free-running curves rise to the level E[D | diverged] with weight 1 - "
    "S.",
    status=Status.EXACT,
    derivation=(
        argument("Split on whether the runs still agree; agreeing at x has mass prod min(p_s, q_s)."),
        enumerated(
            "both sides from the joint law of the coupling, whose marginals are P and Q", _mixture_law
        ),
    ),
    source="law of total expectation",
)


THEOREMS = (G8,)
