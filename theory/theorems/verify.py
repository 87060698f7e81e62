"""Re-run every derivation, try every claim on hard instances, and evaluate every witness."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from typing import Any

import mpmath
from mpmath import mpf

from theory.formulas.claims import Claim
from theory.instances.instance import DIGITS
from theory.proofs.enumerated import Rows
from theory.proofs.step import Method, StepFailedError
from theory.theorems.claim_checks import (
    ATTAINED,
    Values,
    check_claim,
    check_estimate,
    check_monotone,
    columns_of,
    exact_bound,
    within_hypothesis,
)
from theory.theorems.theorem import Edge, Status, Theorem, Witness


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: a step, a claim, a witness, a counterexample."""

    kind: str
    text: str
    method: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Record:
    """What ``verify`` found about one theorem."""

    id: str
    name: str
    status: str
    passed: bool
    seconds: float
    """Processor time."""
    witness_slack: float | None
    """Largest 1 - attained/bound over the witnesses and their parameters."""
    attained: tuple[str, ...]
    """Bounds that a witness attains, as ``"kl upper"``."""
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def verify(theorems: Iterable[Theorem]) -> Iterator[Record]:
    """Check theorems one by one."""
    for theorem in theorems:
        yield verify_one(theorem)


def verify_one(theorem: Theorem) -> Record:
    """Check one theorem."""
    start = time.process_time()
    slacks: list[float] = []
    found = tuple(findings(theorem, slacks))
    return Record(
        theorem.id,
        theorem.name,
        str(theorem.status),
        all(finding.passed for finding in found),
        time.process_time() - start,
        max(slacks) if slacks else None,
        tuple(
            f"{claim.name} {bound.side}"
            for number, claim in enumerate(theorem.claims)
            for bound in claim.bounds
            if theorem.attained(number, bound.side)
        ),
        found,
    )


def findings(theorem: Theorem, slacks: list[float] | None = None) -> Iterator[Finding]:
    """What is checked of one theorem, one by one; the slacks of its witnesses are added to ``slacks``."""
    slacks = [] if slacks is None else slacks
    for witness in theorem.witnesses:
        yield _attempt("witness", witness.text, Method.SAMPLED, partial(_witness, theorem, witness, slacks))
    for number, claim in enumerate(theorem.claims):
        yield from _of_claim(theorem, number, claim)
    for edge in theorem.edges:
        yield _attempt("edge", edge.text, Method.SAMPLED, partial(_edge, theorem, edge))
    steps = (*theorem.derivation, *((theorem.limit,) if theorem.limit else ()))
    for step in steps:
        yield _attempt("step", step.text, step.method, step.check)
    if theorem.counterexample is not None:
        yield _attempt(
            "counterexample", theorem.counterexample.text, Method.SAMPLED, lambda: _refute(theorem)
        )
    if theorem.status is Status.SHARP and not theorem.witnesses:
        yield Finding("witness", "a sharp bound needs a witness", Method.SAMPLED, False, "none given")
    if theorem.status is Status.FALSE and theorem.counterexample is None:
        yield Finding("counterexample", "a false statement needs one", Method.SAMPLED, False, "none given")


def _of_claim(theorem: Theorem, number: int, claim: Claim) -> Iterator[Finding]:
    if theorem.status is Status.FALSE:
        return
    if claim.bounds and _tables(theorem, claim):
        yield _attempt("claim", claim.name, Method.SAMPLED, partial(_tried, theorem, number))
    if any(bound.increasing or bound.decreasing for bound in claim.bounds):
        yield _attempt("monotone", claim.name, Method.SAMPLED, partial(_monotone, theorem, number))
    if claim.estimate is not None and claim.measurable:
        yield _attempt("estimate", claim.name, Method.SAMPLED, partial(check_estimate, claim))
    for bound in claim.bounds:
        if bound.when is not None and not any(number in edge.claims for edge in theorem.edges):
            yield Finding("edge", f"{bound.when} needs a reason", Method.SAMPLED, False, "none given")


def _tables(theorem: Theorem, claim: Claim) -> list[Iterable[Values]]:
    """Values on which a claim is tried: columns of hard instances, rows of its own steps."""
    steps = (step for step in theorem.derivation if isinstance(step, Rows))
    tables: list[Iterable[Values]] = [step.rows for step in steps if any(claim is x for x in step.claims)]
    return [*tables, columns_of(claim)] if claim.measurable else tables


def _rows(theorem: Theorem, number: int) -> Iterator[Values]:
    return chain.from_iterable(_tables(theorem, theorem.claims[number]))


def _tried(theorem: Theorem, number: int) -> str:
    claim = theorem.claims[number]
    count, closest = check_claim(claim, _rows(theorem, number))
    for side, ratio in closest.items():
        if theorem.attained(number, side) or claim.exact:
            continue
        near = ratio >= 1 - ATTAINED
        if near == theorem.called_loose(number, side):
            what = "is called loose, and comes" if near else "is not called loose, and comes no closer than"
            raise StepFailedError(f"the {side} bound {what} {mpmath.nstr(ratio, 8)}")
    best = ", ".join(f"{side} {mpmath.nstr(ratio, 8)}" for side, ratio in closest.items())
    return f"{count} cases, closest ratio: {best}"


def _monotone(theorem: Theorem, number: int) -> str:
    claim = theorem.claims[number]
    with mpmath.workdps(DIGITS):
        rows = [*_rows(theorem, number)][::5]
        for witness in theorem.witnesses:
            if witness.claim == number and not claim.measurable:
                rows += [witness.evaluate(parameter, claim.columns) for parameter in witness.parameters]
    if not rows:
        raise StepFailedError("nothing to try the declared signs on")
    return check_monotone(claim, rows)


def _edge(theorem: Theorem, edge: Edge) -> str:
    with mpmath.workdps(DIGITS):
        values, left, right = edge.beyond()
        for number in edge.claims:
            conditional = [bound for bound in theorem.claims[number].bounds if bound.when is not None]
            if not conditional or any(within_hypothesis(bound, values) for bound in conditional):
                raise StepFailedError(f"claim {number} has no hypothesis that ends there")
    if not left > right:
        raise StepFailedError(
            f"{mpmath.nstr(left, 8)} > {mpmath.nstr(right, 8)} is false: nothing fails there"
        )
    return f"just beyond, {mpmath.nstr(left, 8)} > {mpmath.nstr(right, 8)}"


def _attempt(kind: str, text: str, method: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(kind, text, str(method), True, check())
    except (StepFailedError, ArithmeticError, ValueError) as error:
        return Finding(kind, text, str(method), False, str(error))


def witness_slack(theorem: Theorem, witness: Witness) -> float:
    """Largest 1 - attained/bound over the witness's parameters; raises ``StepFailedError`` if it exceeds
    1e-6.
    """
    claim = theorem.claims[witness.claim]
    bound = claim.upper if witness.side == "upper" else claim.lower
    if bound is None:
        raise StepFailedError(f"claim {claim.name} has no {witness.side} bound to attain")
    worst = mpf(0)
    with mpmath.workdps(DIGITS):
        for parameter in witness.parameters:
            values = witness.evaluate(parameter, claim.columns)
            value = claim.measured.exact(**values)
            limit = exact_bound(bound, values)
            if limit is None:
                raise StepFailedError(f"the witness at {parameter} misses the bound's hypothesis")
            slack = abs(1 - (value / limit if witness.side == "upper" else limit / value))
            worst = max(worst, slack)
    if worst > ATTAINED:
        raise StepFailedError(f"1 - attained/bound = {mpmath.nstr(worst, 3)} at one of {witness.parameters}")
    return float(worst)


def _witness(theorem: Theorem, witness: Witness, slacks: list[float]) -> str:
    slacks.append(witness_slack(theorem, witness))
    return f"1 - attained/bound = {slacks[-1]:.1e}"


def _refute(theorem: Theorem) -> str:
    assert theorem.counterexample is not None
    with mpmath.workdps(DIGITS):
        left, right = theorem.counterexample.show()
    if not left > right:
        raise StepFailedError(
            f"{mpmath.nstr(left, 8)} > {mpmath.nstr(right, 8)} is false: it refutes nothing"
        )
    return f"{mpmath.nstr(left, 8)} > {mpmath.nstr(right, 8)}"
