"""Relations enumerated in full on small trees, and claims on rows of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import mpmath

from theory.formulas.claims import Claim
from theory.instances.instance import DIGITS
from theory.instances.trees import (
    Number,
    Tree,
    trees,
)
from theory.proofs.relations import asserted
from theory.proofs.step import TOLERANCE, Method, Relation, Step, computed, hold, require


def enumerated(text: str, sides: Callable[[Tree], Iterable[Relation]]) -> Step:
    """The relations on every tree."""

    def check() -> str:
        count = hold(lambda: (relation for tree in trees() for relation in sides(tree)))
        return f"{count} cases on {len(trees())} pairs of models"

    return computed(text, Method.ENUMERATED, check)


@dataclass(frozen=True)
class Rows(Step):
    """A step that tries claims on rows of exact values for their symbols."""

    claims: tuple[Claim, ...] = ()
    make: Callable[[], Iterable[Mapping[str, Number]]] = field(default=tuple, repr=False)

    @cached_property
    def rows(self) -> tuple[Mapping[str, Number], ...]:
        """The values, made once."""
        with mpmath.workdps(DIGITS):
            return tuple(self.make())


def on_rows(
    text: str,
    claims: Iterable[Claim],
    rows: Callable[[], Iterable[Mapping[str, Number]]],
    method: Method = Method.SAMPLED,
    tolerance: Number = TOLERANCE,
) -> Rows:
    """The claims on rows of values for their symbols."""

    def check() -> str:
        count = hold(
            lambda: (
                relation for row in step.rows for claim in step.claims for relation in asserted(claim, row)
            ),
            tolerance,
        )
        return f"{count} cases"

    step = Rows(text, method, check, claims=tuple(claims), make=rows)
    return step


def near(
    text: str,
    claims: Iterable[Claim],
    rows: Callable[[], Iterable[Mapping[str, Number]]],
    error: float,
    method: Method = Method.SAMPLED,
) -> Rows:
    """Estimates on rows of exact values near their limit: within this relative error."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for row in step.rows:
                for claim in step.claims:
                    assert claim.estimate is not None
                    value = claim.measured.exact(**row)
                    guess = claim.estimate.exact(**row)
                    require(abs(value - guess), "<=", error * abs(guess))
                    count += 1
        return f"{count} cases, relative error at most {error:g}"

    step = Rows(text, method, check, claims=tuple(claims), make=rows)
    return step


def on_trees(text: str, *claims: Claim) -> Rows:
    """The claims, on every tree."""
    return on_rows(text, claims, trees, Method.ENUMERATED)
