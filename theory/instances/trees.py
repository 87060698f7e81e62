"""Small pairs of autoregressive models, enumerated in full at high precision: the truth about sequences.

A ``Tree`` answers ``column(name)`` like an ``Instance``, for the sequence quantities of family G, so claims
about sequences are tried on trees just as claims about distributions are tried on instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from theory.instances.instance import DIGITS

Number = Any  # mpmath.mpf
Prefix = tuple[int, ...]
Law = Sequence[Number]
NextTokens = Callable[[Prefix], tuple[Law, Law]]


@dataclass(frozen=True)
class Prefixes:
    """A prefix with its probability under both models, and the product of the minima along it."""

    prefix: Prefix
    p: Number
    q: Number
    agree: Number


class Tree(Mapping[str, Any]):
    """Two models of ``steps`` tokens; ``law(prefix)`` gives the dense and the perturbed next-token law."""

    def __init__(self, steps: int, law: NextTokens) -> None:
        self.steps, self.law = steps, law
        self._found: dict[str, Number] = {"steps": mpf(steps)}

    @cached_property
    def levels(self) -> list[list[Prefixes]]:
        """All prefixes by length, 0 .. steps."""
        with mpmath.workdps(DIGITS):
            levels = [[Prefixes((), mpf(1), mpf(1), mpf(1))]]
            for _ in range(self.steps):
                grown = []
                for node in levels[-1]:
                    for token, (a, b) in enumerate(zip(*self.law(node.prefix), strict=True)):
                        grown.append(
                            Prefixes((*node.prefix, token), node.p * a, node.q * b, node.agree * min(a, b))
                        )
                levels.append(grown)
        return levels

    @property
    def leaves(self) -> list[Prefixes]:
        """All sequences of ``steps`` tokens."""
        return self.levels[-1]

    def survival_after(self, steps: int) -> Number:
        """S after so many tokens."""
        return mpmath.fsum(node.agree for node in self.levels[steps])

    def teacher_forced(self, value: Callable[[Law, Law], Number]) -> Number:
        """Sum over steps of the mean, over dense prefixes, of a function of the two next-token laws."""
        return mpmath.fsum(
            node.p * value(*self.law(node.prefix)) for level in self.levels[:-1] for node in level
        )

    def largest(self, value: Callable[[Law, Law], Number]) -> list[Number]:
        """For every step the supremum over prefixes of a function of the two next-token laws."""
        return [max(value(*self.law(node.prefix)) for node in level) for level in self.levels[:-1]]

    def __getitem__(self, name: str) -> Number:
        """A sequence quantity at ``DIGITS`` digits; names as in ``theory.statements.parameters``."""
        if name not in self._found:
            with mpmath.workdps(DIGITS):
                self._found[name] = _COLUMNS[name](self)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("steps", *_COLUMNS))

    def __len__(self) -> int:
        return 1 + len(_COLUMNS)


def total_variation(p: Law, q: Law) -> Number:
    """Half the l1 distance."""
    return mpmath.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def kl_divergence(p: Law, q: Law) -> Number:
    """KL(p||q) in nats."""
    return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))


def hilbert_distance(p: Law, q: Law) -> Number:
    """Oscillation R of log q/p."""
    logs = [mpmath.log(b / a) for a, b in zip(p, q, strict=True)]
    return max(logs) - min(logs)


def _answers(tree: Tree) -> list[Prefixes]:
    """The prefixes of the answer 0, 0, 0, .."""
    return [level[0] for level in tree.levels]


_COLUMNS: Mapping[str, Callable[[Tree], Number]] = {
    "survival": lambda t: t.survival_after(t.steps),
    "identical_tokens": lambda t: mpmath.fsum(t.survival_after(k) for k in range(1, t.steps + 1)),
    "sequence_tv": lambda t: mpmath.fsum(abs(x.p - x.q) for x in t.leaves) / 2,
    "sequence_kl": lambda t: mpmath.fsum(x.p * mpmath.log(x.p / x.q) for x in t.leaves),
    "sequence_affinity": lambda t: mpmath.fsum(mpmath.sqrt(x.p * x.q) for x in t.leaves),
    "sequence_chi2": lambda t: mpmath.fsum(x.q**2 / x.p for x in t.leaves) - 1,
    "tv_total": lambda t: t.teacher_forced(total_variation),
    "kl_total": lambda t: t.teacher_forced(kl_divergence),
    "step_tv": lambda t: max(t.largest(total_variation)),
    "oscillation": lambda t: max(t.largest(hilbert_distance)),
    "exact_match": lambda t: _answers(t)[-1].q,
    "exact_match_change": lambda t: abs(_answers(t)[-1].q - _answers(t)[-1].p),
    "token_probability": lambda t: min(t.law(x.prefix)[0][0] for x in _answers(t)[:-1]),
}


def independent(steps: int, p: Law, q: Law) -> Tree:
    """The same pair of laws at every step."""
    return Tree(steps, lambda prefix: (p, q))


def tilted(p: Law, delta: Law) -> list[Number]:
    """q proportional to p e^delta."""
    weights = [a * mpmath.exp(d) for a, d in zip(p, delta, strict=True)]
    total = mpmath.fsum(weights)
    return [w / total for w in weights]


def swap_law(x: Any) -> list[Any]:
    """p of the swap pair W(x)."""
    return [1 / (1 + mpmath.exp(x / 2)), 1 / (1 + mpmath.exp(-x / 2))]


def swap_tree(length: int) -> Any:
    """Independent swap pairs, ``length`` tokens, as a function of R."""
    return lambda x: independent(length, swap_law(x), swap_law(x)[::-1])


def one_drifting_step(x: Any) -> Tree:
    """Only the first of two tokens drifts."""
    p = swap_law(x)
    half = [mpf(1) / 2] * 2
    return Tree(2, lambda prefix: (half, half) if prefix else (p, p[::-1]))


@cache
def trees() -> tuple[Tree, ...]:
    """A fixed set of pairs: 2 to 4 symbols, 1 to 6 steps, weak and strong drift, peaked and flat, swaps."""
    rng = np.random.default_rng(20261123)
    shapes = [(2, 6, 0.6), (3, 4, 0.3), (3, 4, 2.0), (2, 6, 1e-4), (4, 3, 1.0), (2, 5, 6.0), (3, 1, 1.0)]
    with mpmath.workdps(DIGITS):
        drawn = [_random_tree(rng, *shape) for shape in shapes]
        return (*drawn, swap_tree(5)(mpf(1)))


def _random_tree(rng: np.random.Generator, symbols: int, steps: int, scale: float) -> Tree:
    laws: dict[Prefix, tuple[Law, Law]] = {}
    for length in range(steps):
        for prefix in product(range(symbols), repeat=length):
            raw = [mpf(float(x)) + mpf(10) ** -9 for x in rng.dirichlet(np.full(symbols, 0.8))]
            p = [x / mpmath.fsum(raw) for x in raw]
            laws[prefix] = p, tilted(p, [mpf(scale * float(x)) for x in rng.normal(size=symbols)])
    return Tree(steps, laws.__getitem__)
