"""Relations enumerated in full on small trees, and claims on rows of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from theory.formulas.claims import Claim
from theory.instances.trees import (
    Number,
    Tree,
    trees,
)
from theory.proofs.relations import asserted
from theory.proofs.step import Method, Relation, Step, computed, hold


def enumerated(text: str, sides: Callable[[Tree], Iterable[Relation]]) -> Step:
    """The relations on every tree."""

    def check() -> str:
        count = hold(lambda: (relation for tree in trees() for relation in sides(tree)))
        return f"{count} cases on {len(trees())} pairs of models"

    return computed(text, Method.ENUMERATED, check)


def on_rows(
    text: str,
    claims: Iterable[Claim],
    rows: Callable[[], Iterable[Mapping[str, Number]]],
    method: Method = Method.SAMPLED,
) -> Step:
    """The claims on rows of values for their symbols."""

    def check() -> str:
        count = hold(
            lambda: (relation for row in rows() for claim in claims for relation in asserted(claim, row))
        )
        return f"{count} cases"

    return computed(text, method, check)


def on_trees(text: str, *claims: Claim) -> Step:
    """The claims, on every tree."""
    return on_rows(text, claims, trees, Method.ENUMERATED)
