"""Relations enumerated in full on small trees, and claims on rows of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mpmath

from theory.formulas.claims import Claim
from theory.instances.instance import DIGITS
from theory.instances.trees import (
    Number,
    Tree,
    trees,
)
from theory.proofs.step import Method, Step, computed, require


def enumerated(text: str, sides: Callable[[Tree], Iterable[tuple[Any, str, Any]]]) -> Step:
    """Relations ``(left, "=" or "<=", right)`` at ``DIGITS`` digits on every tree."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for tree in trees():
                for left, relation, right in sides(tree):
                    count += 1
                    require(left, relation, right)
        return f"{count} cases on {len(trees())} pairs of models"

    return computed(text, Method.ENUMERATED, check)


def on_rows(
    text: str,
    claims: Iterable[Claim],
    rows: Callable[[], Iterable[Mapping[str, Number]]],
    method: Method = Method.SAMPLED,
) -> Step:
    """The claims at ``DIGITS`` digits on rows of values for their symbols."""

    def check() -> str:
        count = 0
        with mpmath.workdps(DIGITS):
            for row in rows():
                for claim in claims:
                    value = claim.measured.exact(**{name: row[name] for name in claim.measured.symbols})
                    for bound in claim.bounds:
                        count += 1
                        limit = bound.exact(**{name: row[name] for name in bound.symbols})
                        require(*((value, "<=", limit) if bound.side == "upper" else (limit, "<=", value)))
        return f"{count} cases"

    return computed(text, method, check)


def on_trees(text: str, *claims: Claim) -> Step:
    """The claims, on every tree."""
    return on_rows(text, claims, trees, Method.ENUMERATED)
