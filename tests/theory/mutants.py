"""Small corruptions of the catalogue's claims: constants by 1 %, hypotheses widened, flags flipped.

A mutant changes one bound or estimate in place, so that proof steps which read the claim see it too, and puts
it back. ``notice`` says what ``verify`` finds wrong, or "" where it finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any
from unittest import mock

import sympy as sp

from theory import catalogue
from theory.formulas.claims import Bound, Claim
from theory.formulas.formula import Formula
from theory.proofs.conclusion import Conclusion
from theory.proofs.step import Step
from theory.theorems.theorem import Theorem
from theory.theorems.verify import findings

PERCENT = sp.Rational(1, 100)


@dataclass(frozen=True)
class Mutant:
    """One field of one formula with another value."""

    theorem: str
    claim: int
    part: str
    """``lower``, ``upper``, ``estimate``, or ``both`` for an equality, which is one formula."""
    field: str
    value: Any
    change: str

    @property
    def key(self) -> str:
        """A name that stays the same between runs: ``"B5.0 upper: times 1.01"``."""
        return f"{self.theorem}.{self.claim} {self.part}: {self.change}"

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """What it changes."""
        return _parts(catalogue[self.theorem].claims[self.claim])[self.part]


def mutants(theorem: Theorem) -> Iterator[Mutant]:
    """Every mutant of one theorem."""
    for number, claim in enumerate(theorem.claims):
        for part, formulas in _parts(claim).items():
            for field, value, change in _changes(formulas[0]):
                yield Mutant(theorem.id, number, part, field, value, change)


def _parts(claim: Claim) -> dict[str, tuple[Formula, ...]]:
    if claim.exact and claim.lower and claim.upper:
        return {"both": (claim.lower, claim.upper)}
    named = {"lower": claim.lower, "upper": claim.upper, "estimate": claim.estimate}
    return {part: (formula,) for part, formula in named.items() if formula is not None}


def _changes(formula: Formula) -> Iterator[tuple[str, Any, str]]:
    for factor in (1 + PERCENT, 1 - PERCENT):
        shown = f"{float(factor):g}"
        yield "expression", formula.expression * factor, f"times {shown}"
        for place, number in _numbers(formula.expression):
            path = ".".join(map(str, place)) or "whole"
            yield (
                "expression",
                _replaced(formula.expression, place, number * factor),
                f"{number} at {path} x {shown}",
            )
    if isinstance(formula, Bound):
        if formula.when is not None:
            yield "when", _widened(formula.when), "hypothesis widened"
            yield "when", None, "hypothesis dropped"
        for here, there in (("increasing", "decreasing"), ("decreasing", "increasing")):
            for name in getattr(formula, here):
                yield "flags", (name, here, there), f"{name} {there}"


def _numbers(expression: Any, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    if expression.is_Number and expression != 0:
        yield place, expression
    for index, part in enumerate(expression.args):
        yield from _numbers(part, (*place, index))


def _replaced(expression: Any, place: tuple[int, ...], value: Any) -> Any:
    if not place:
        return value
    parts = list(expression.args)
    parts[place[0]] = _replaced(parts[place[0]], place[1:], value)
    return expression.func(*parts)


def _widened(condition: Any) -> Any:
    right = condition.rhs * (1 + PERCENT) if condition.rhs != 0 else -PERCENT
    return condition.func(condition.lhs, right)


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The catalogue with the mutant in it."""
    changed = mutant.formulas
    new = {mutant.field: mutant.value}
    if mutant.field == "flags":
        name, here, there = mutant.value
        stay = tuple(x for x in getattr(changed[0], here) if x != name)
        new = {here: stay, there: (*getattr(changed[0], there), name)}
    old = {field: getattr(changed[0], field) for field in new}
    try:
        for formula in changed:
            _set(formula, new)
        yield
    finally:
        for formula in changed:
            _set(formula, old)


def _set(formula: Formula, fields: dict[str, Any]) -> None:
    for field, value in fields.items():
        object.__setattr__(formula, field, value)
    for cached in ("symbols", "statistics"):
        vars(formula).pop(cached, None)
    for claim in _claims():
        if any(formula is part for part in (claim.lower, claim.upper, claim.estimate)):
            vars(claim).pop("columns", None)


@cache
def _claims() -> tuple[Claim, ...]:
    return tuple(claim for theorem in catalogue for claim in theorem.claims)


@cache
def _readers(key: str) -> dict[int, list[Step]]:
    """The steps of a theorem that evaluate a formula of one of its claims, by the formula's identity."""
    theorem = catalogue[key]
    known = {id(formula) for claim in theorem.claims for part in _parts(claim).values() for formula in part}
    readers: dict[int, list[Step]] = {}
    seen: set[int] = set()

    def recording(method: Any) -> Any:
        def call(self: Formula, *arguments: Any, **values: Any) -> Any:
            seen.add(id(self))
            return method(self, *arguments, **values)

        return call

    with (
        mock.patch.object(Formula, "exact", recording(Formula.exact)),
        mock.patch.object(Formula, "__call__", recording(Formula.__call__)),
        mock.patch.object(Formula, "enclosure", recording(Formula.enclosure)),
    ):
        for step in (*theorem.derivation, *((theorem.limit,) if theorem.limit else ())):
            seen.clear()
            step.check()
            if isinstance(step, Conclusion) and step.claim is not None:
                seen |= {id(formula) for part in _parts(step.claim()).values() for formula in part}
            for formula in seen & known:
                readers.setdefault(formula, []).append(step)
    return readers


def notice(mutant: Mutant) -> str:
    """What of ``verify`` fails under the mutant: kind and text of the first finding; "" if nothing does."""
    theorem = catalogue[mutant.theorem]
    readers = _readers(theorem.id)
    with applied(mutant):
        for finding in findings(replace(theorem, derivation=(), limit=None)):
            if not finding.passed:
                return f"{finding.kind}: {finding.text} ({finding.detail})"
        steps = chain.from_iterable(readers.get(id(formula), []) for formula in mutant.formulas)
        for step in dict.fromkeys(steps):
            try:
                step.check()
            except (ArithmeticError, ValueError, TypeError) as error:  # TypeError: a root became complex
                return f"step: {step.text} ({error})"
    return ""
