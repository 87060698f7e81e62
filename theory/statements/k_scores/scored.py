"""Scores on the small pairs of models, and every sample of a few texts: what family K is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import mpmath
import numpy as np
import torch
from mpmath import mpf
from torch import Tensor

from theory.arrays import Array
from theory.instances.instance import DIGITS
from theory.instances.trees import Law, Number, Prefix, Prefixes, Tree, trees
from theory.proofs.step import Method, Relation, Step, StepFailedError, computed, hold
from theory.sequences.betting import lower_limit


def positive_part(value: Number) -> Number:
    """max(value, 0)."""
    return max(value, mpf(0))


@dataclass(frozen=True)
class Scored:
    """A pair of models and a score in [0, 1] of every text, in the order of the tree's leaves."""

    tree: Tree
    scores: tuple[Number, ...]

    @property
    def texts(self) -> list[tuple[Prefixes, Number]]:
        """The texts that P can write, with their scores."""
        return [(x, f) for x, f in zip(self.tree.leaves, self.scores, strict=True) if x.p > 0]

    @property
    def right(self) -> Number:
        """E_Q f, over all texts that Q can write."""
        return mpmath.fsum(x.q * f for x, f in zip(self.tree.leaves, self.scores, strict=True))

    @property
    def change(self) -> Number:
        """E_Q f - E_P f."""
        return self.right - self.mean(lambda w, f: f)

    @property
    def tv(self) -> Number:
        """Total variation of the texts."""
        return mpmath.fsum(abs(x.p - x.q) for x in self.tree.leaves) / 2

    def mean(self, value: Callable[[Number, Number], Number]) -> Number:
        """E_P of a function of the weight w = Q/P and the score."""
        return mpmath.fsum(x.p * value(x.q / x.p, f) for x, f in self.texts)

    def capped(self, height: Number) -> tuple[Number, Number]:
        """E_P min(M,w) f and E_P min(M,w)(1-f)."""
        return (
            self.mean(lambda w, f: min(w, height) * f),
            self.mean(lambda w, f: min(w, height) * (1 - f)),
        )

    def excess(self, height: Number, power: int = 1) -> Number:
        """E_P (w-M)_+^power."""
        return self.mean(lambda w, f: positive_part(w - height) ** power)

    def continued(self) -> dict[Prefix, Number]:
        """E_Q[f | prefix] of every prefix that Q can write."""
        found = {x.prefix: f for x, f in zip(self.tree.leaves, self.scores, strict=True)}
        for level in reversed(self.tree.levels[:-1]):
            for node in level:
                _, q = self.tree.law(node.prefix)
                found[node.prefix] = mpmath.fsum(b * found[(*node.prefix, v)] for v, b in enumerate(q))
        return found


def with_scores(models: Iterable[Tree], seed: int) -> tuple[Scored, ...]:
    """Every pair with a score of 0 and 1 and one of fractions; fixed seed."""
    rng, found = np.random.default_rng(seed), []
    for tree in models:
        drawn = rng.random(len(tree.leaves))
        found.append(Scored(tree, tuple(mpf(int(u < 0.5)) for u in drawn)))
        found.append(Scored(tree, tuple(mpf(float(u)) for u in rng.random(len(tree.leaves)))))
    return tuple(found)


@cache
def scored() -> tuple[Scored, ...]:
    """Scores on the pairs of ``trees()``."""
    return with_scores(trees(), 20261125)


@cache
def truncated() -> tuple[Scored, ...]:
    """Scores on pairs from which samplers have cut tokens, of P, of Q or of both (top-k, top-p)."""
    rng, models = np.random.default_rng(20261126), []
    for symbols, steps in ((3, 3), (2, 5), (4, 2), (3, 4)):
        laws = {
            prefix: (_cut(rng, symbols), _cut(rng, symbols))
            for length in range(steps)
            for prefix in product(range(symbols), repeat=length)
        }
        models.append(Tree(steps, laws.__getitem__))
    return with_scores(models, 20261127)


def _cut(rng: np.random.Generator, symbols: int) -> Law:
    with mpmath.workdps(DIGITS):
        raw = [mpf(float(u)) for u in rng.dirichlet(np.ones(symbols))]
        if rng.random() < 0.5:
            raw[int(rng.integers(symbols))] = mpf(0)
        return [u / mpmath.fsum(raw) for u in raw]


def on_scores(
    text: str,
    sides: Callable[[Scored], Iterable[Relation]],
    instances: Callable[[], Sequence[Scored]] = scored,
) -> Step:
    """The relations on every scored pair of models."""

    def check() -> str:
        count = hold(lambda: (relation for one in instances() for relation in sides(one)))
        return f"{count} cases on {len(instances())} scored pairs of models"

    return computed(text, Method.ENUMERATED, check)


Limit = Callable[[Tensor], Tensor]
"""Which samples, columns of ``(rows, N)``, a limit gets wrong: bool ``(N,)``."""


def every_sample(laws: Sequence[Array], values: Sequence[Array]) -> tuple[Tensor, Tensor]:
    """All samples ``(rows, N)`` of independent rows from ``laws`` over ``values``; their masses ``(N,)``."""
    index = np.array(list(product(*(range(len(law)) for law in laws))))
    mass = np.prod([law[index[:, i]] for i, law in enumerate(laws)], axis=0)
    return torch.tensor(np.stack([x[index[:, i]] for i, x in enumerate(values)])), torch.tensor(mass)


def above(mean: float, alpha: float) -> Limit:
    """Whether the lower limit (K4) exceeds the true mean, by more than rounding."""
    return lambda sample: lower_limit(sample, alpha) > mean * (1 + 1e-12)


def exact_error(text: str, alpha: float, cases: Callable[[], Iterator[tuple[Tensor, Tensor, Limit]]]) -> Step:
    """The probability of a wrong limit, summed over every sample, is at most ``alpha`` in every case."""

    def check() -> str:
        count, largest = 0, 0.0
        for sample, mass, wrong in cases():
            error = float(mass[wrong(sample)].sum())
            if error > alpha * (1 + 1e-9):
                raise StepFailedError(f"error {error} exceeds {alpha}")
            count, largest = count + 1, max(largest, error)
        return f"{count} laws, largest error {largest:.4f} of {alpha}"

    return computed(text, Method.ENUMERATED, check)


def random_values(rng: np.random.Generator) -> tuple[Array, Array]:
    """A law of three values >= 0 of any size, some of them 0."""
    values = np.exp(rng.choice([0.3, 1.5, 4.0]) * rng.normal(size=3)) * (rng.random(3) < 0.8)
    return rng.dirichlet(np.ones(3)), values
