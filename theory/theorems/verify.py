"""Re-run every derivation, try every claim on hard instances, and evaluate every witness."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import mpmath
from mpmath import mpf

from theory.formulas.claims import Bound, Claim
from theory.formulas.safe_forms import elementary
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.proofs.step import Method, StepFailedError, require
from theory.theorems.theorem import Status, Theorem, Witness

ATTAINED = mpf(10) ** -6
"""A witness must come this close to its bound."""


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
    steps = (*theorem.derivation, *((theorem.limit,) if theorem.limit else ()))
    for step in steps:
        yield _attempt("step", step.text, step.method, step.check)
    for claim in theorem.claims:
        if claim.measurable and claim.bounds and theorem.status is not Status.FALSE:
            yield _attempt("claim", claim.name, Method.SAMPLED, partial(check_claim, claim))
            if any(bound.increasing or bound.decreasing for bound in claim.bounds):
                yield _attempt("monotone", claim.name, Method.SAMPLED, partial(check_monotone, claim))
    for witness in theorem.witnesses:
        yield _attempt("witness", witness.text, Method.SAMPLED, partial(_witness, theorem, witness, slacks))
    if theorem.counterexample is not None:
        yield _attempt(
            "counterexample", theorem.counterexample.text, Method.SAMPLED, lambda: _refute(theorem)
        )
    if theorem.status is Status.SHARP and not theorem.witnesses:
        yield Finding("witness", "a sharp bound needs a witness", Method.SAMPLED, False, "none given")
    if theorem.status is Status.FALSE and theorem.counterexample is None:
        yield Finding("counterexample", "a false statement needs one", Method.SAMPLED, False, "none given")


def _attempt(kind: str, text: str, method: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(kind, text, str(method), True, check())
    except (StepFailedError, ArithmeticError, ValueError) as error:
        return Finding(kind, text, str(method), False, str(error))


def check_claim(claim: Claim, instances: Callable[[], Iterable[Instance]] = adversarial) -> str:
    """Both bounds of a claim at high precision on every instance; raises ``StepFailedError`` on a
    violation.
    """
    count, closest = 0, mpf(0)
    with mpmath.workdps(DIGITS):
        for instance in instances():
            value = claim.measured.exact(**instance.columns(claim.measured.symbols))
            for bound in claim.bounds:
                limit = exact_bound(bound, instance.columns(bound.statistics))
                if limit is None:
                    continue
                count += 1
                pair = (value, limit) if bound.side == "upper" else (limit, value)
                require(pair[0], "<=", pair[1])
                if pair[1] > 0:
                    closest = max(closest, pair[0] / pair[1])
    return f"{count} cases, closest ratio {mpmath.nstr(closest, 8)}"


NUDGE = mpf(10) ** -6


def check_monotone(claim: Claim) -> str:
    """The declared signs: nudge one statistic at a time, on every fifth instance."""
    count = 0
    with mpmath.workdps(DIGITS):
        for instance in adversarial()[::5]:
            for bound in claim.bounds:
                here = instance.columns(bound.statistics)
                for name in (*bound.increasing, *bound.decreasing):
                    # A wider range or a smaller other statistic is always possible.
                    factor = 1 + NUDGE if name in ("oscillation", "rho_plus", "rho_minus") else 1 - NUDGE
                    there = {**here, name: here[name] * factor}
                    low, high = sorted((here, there), key=lambda values: values[name])
                    if name in bound.decreasing:
                        low, high = high, low
                    pair = exact_bound(bound, low), exact_bound(bound, high)
                    if pair[0] is not None and pair[1] is not None:
                        count += 1
                        require(pair[0], "<=", pair[1])
    return f"{count} nudges of a statistic"


def exact_bound(bound: Bound, values: Mapping[str, Any]) -> Any | None:
    """The bound at high precision, or None where its hypothesis fails."""
    if bound.when is not None:
        condition = {symbol: values[symbol.name] for symbol in bound.when.free_symbols}
        if not bool(elementary(bound.when).subs(condition)):
            return None
    with mpmath.workdps(3 * DIGITS):  # masses of 1e-174 must survive a difference from 1
        return mpmath.re(bound.exact(**values))


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
