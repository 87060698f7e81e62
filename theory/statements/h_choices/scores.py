"""Family H: scores that add log-probabilities of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import Side, at_least, at_most, between
from theory.formulas.symbols import oscillation, parameter
from theory.instances.instance import Number
from theory.instances.two_atom_laws import two_atoms
from theory.proofs.relations import within
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.statements.shared_steps import Instance
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
log_ratio = parameter("log_ratio", r"\log(q_i/p_i)", "change of one token's log-probability", positive=False)
token_mass = parameter("token_mass", r"p_i", "dense probability of that token")

_lowest = -sp.log(token_mass + (1 - token_mass) * sp.exp(R))
_highest = -sp.log(token_mass + (1 - token_mass) * sp.exp(-R))


def _every_token(x: Instance) -> Iterator[Relation]:
    R_value = x.column("oscillation")
    for p, q in zip(x.p, x.q, strict=True):
        change = mpmath.log(q) - mpmath.log(p)
        for left, sign, right in within(H3.claims[0], change, token_mass=p, oscillation=R_value):
            yield left, sign, right + mpf(10) ** -60
        yield abs(change), "<=", R_value


def _token_values(up: bool, probability: str) -> Any:
    """log(q/p) of the token of this probability, two atoms, delta = R on it (up) or on the other."""

    def values(x: Number) -> dict[str, Number]:
        p = mpf(probability)
        odds = mpmath.log(p / (1 - p))
        pair = Instance(*(two_atoms(odds, x) if up else two_atoms(-odds, x)))
        k = 0 if up else 1
        return {
            "log_ratio": mpmath.log(pair.q[k]) - mpmath.log(pair.p[k]),
            "token_mass": pair.p[k],
            "oscillation": x,
        }

    return values


def _single_token() -> bool:
    """q_1/p_1 = 1/(p_1 + (1 - p_1) m), m the mean of e^(delta_j - delta_1) over the other two tokens."""
    p1, p2, p3 = sp.symbols("p1:4", positive=True)
    x = sp.symbols("x1:4", real=True)
    total = p1 * sp.exp(x[0]) + p2 * sp.exp(x[1]) + p3 * sp.exp(x[2])
    others = (p2 * sp.exp(x[1] - x[0]) + p3 * sp.exp(x[2] - x[0])) / (p2 + p3)
    claimed = 1 / (p1 + (p2 + p3) * others)
    return bool(sp.simplify(sp.exp(x[0]) / total - claimed) == 0)


_SIDES: tuple[tuple[str, Side, bool], ...] = (("it", "upper", True), ("the other", "lower", False))

H3 = Theorem(
    id="H3",
    name="sum-of-log-probabilities",
    title="Scores that add log-probabilities",
    statement="The log-probability of a token of dense probability p moves by a number between -log(p + "
    "(1-p) e^R) and -log(p + (1-p) e^-R), inside (-R, R); confident tokens hardly move. Sums over a "
    "continuation move by sums of these. A ranking of two continuations is unchanged if the margin exceeds "
    "the upper sum of the loser less the lower sum of the winner (each divided by its length for normalised "
    "scores).",
    status=Status.SHARP,
    claims=(
        between(
            at_least(log_ratio, _lowest, increasing=("token_mass",), decreasing=("oscillation",)),
            at_most(log_ratio, _highest, increasing=("oscillation",), decreasing=("token_mass",)),
        ),
    ),
    derivation=(
        symbolic("q_i/p_i = 1/(p_i + (1-p_i) m), m a mean of e^(delta_j - delta_i), V = 3", _single_token),
        argument("m lies in [e^-R, e^R], and every value in between occurs."),
        identity(
            "The width is below 2R: the band at p -> 0 is (-R, R)",
            sp.limit(_highest - _lowest, token_mass, 0),
            2 * R,
        ),
        sampled("Every token of every instance", _every_token),
    ),
    witnesses=tuple(
        Witness(f"two atoms, p = {p}, delta = R on {where}", side=side, values=_token_values(up, p))
        for p in ("0.01", "0.5", "0.99")
        for where, side, up in _SIDES
    ),
    limit=expansion("-log(p + (1-p) e^-R) = (1-p) R - ...", _highest, R, (1 - token_mass) * R),
    source="new; B1 for one token",
)

THEOREMS = (H3,)
