"""A theorem: what it claims, how it is proved, what attains it or refutes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from mpmath import mpf
from torch import Tensor

from theory.certify.certificate import Statistics, certify
from theory.drift.record import Drift
from theory.formulas.claims import Bound, CertifiedBound, Claim, Estimate, Side
from theory.formulas.formula import Formula
from theory.formulas.symbols import COLUMNS
from theory.instances.instance import Instance
from theory.proofs.step import Step


class Status(StrEnum):
    """What is known about a statement."""

    EXACT = "exact"
    """An identity, or a decision that needs no bound."""
    SHARP = "sharp"
    """A proved bound that a witness attains or approaches to within 1e-6."""
    VALID = "valid"
    """A proved bound without a claim of sharpness."""
    ASYMPTOTIC = "asymptotic"
    """A limit law or an estimate: true to leading order, neither side guaranteed."""
    NUMERICAL = "numerical"
    """Supported by numerical evidence only; never used in a certificate."""
    FALSE = "false"
    """Folklore that a counterexample refutes."""


@dataclass(frozen=True)
class Witness:
    """What attains a bound, or comes within 1e-6 of it, for some values of a parameter, usually R.

    ``build(x)`` returns (logits, perturbation) as exact numbers: the columns of ``Drift`` are measured on
    them. ``values(x)`` returns exact values of the claim's other symbols, for statements about more than
    one pair.
    """

    text: str
    build: Callable[[Any], tuple[Sequence[Any], Sequence[Any]]] | None = field(default=None, repr=False)
    side: Side = "upper"
    claim: int = 0
    parameters: tuple[str, ...] = ("1e-6", "0.1", "1", "3", "10", "50")
    values: Callable[[Any], Mapping[str, Any]] | None = field(default=None, repr=False)

    def evaluate(self, parameter: Any, names: Sequence[str]) -> dict[str, Any]:
        """Values of the named symbols at one parameter, at mpmath's current precision."""
        given = dict(self.values(mpf(parameter))) if self.values is not None else {}
        measured = [name for name in names if name not in given]
        if measured:
            if self.build is None:
                raise ValueError(f"witness must give a value for {', '.join(measured)}")
            given |= Instance(*self.build(mpf(parameter))).columns(measured)
        return {name: given[name] for name in names}


@dataclass(frozen=True)
class Loose:
    """Why no instance comes close to one side of a claim: it is a bound, and not claimed to be sharp."""

    text: str
    side: Side = "upper"
    claim: int = 0


@dataclass(frozen=True)
class Edge:
    """Why a hypothesis on statistics cannot be wider.

    ``beyond`` returns values of its symbols just outside, and (left, right) where what the statement needs is
    ``left <= right``: there it fails.
    """

    text: str
    beyond: Callable[[], tuple[Mapping[str, Any], Any, Any]] = field(repr=False)
    claims: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Counterexample:
    """Why a folklore statement is false: ``show`` returns (left, right) where ``left <= right`` was
    claimed.
    """

    text: str
    show: Callable[[], tuple[Any, Any]] = field(repr=False)


@dataclass(frozen=True)
class Theorem:
    """One statement of the catalogue; its formulas stand in ``claims`` and nowhere else."""

    id: str
    name: str
    title: str
    statement: str
    status: Status
    claims: tuple[Claim, ...] = ()
    hypotheses: tuple[str, ...] = ("p, q have full support (finite logits)",)
    derivation: tuple[Step, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    edges: tuple[Edge, ...] = ()
    loose: tuple[Loose, ...] = ()
    counterexample: Counterexample | None = None
    limit: Step | None = None
    """Second-order limit: the step that ties the bound to the paper's estimates."""
    source: str = ""

    @property
    def family(self) -> str:
        """First letter of the id; ``T`` is the paper."""
        return self.id[0]

    @property
    def claim(self) -> Claim | None:
        """The main claim."""
        return self.claims[0] if self.claims else None

    @property
    def quantity(self) -> str | None:
        """Column of the main claim, or None if it is not a single column."""
        return self.claim.name if self.claim is not None and self.claim.name in COLUMNS else None

    @property
    def statistics(self) -> tuple[str, ...]:
        """Columns that the main claim's formulas need."""
        if self.claim is None:
            return ()
        return tuple(name for name in self.claim.columns if name not in self.claim.measured.symbols)

    @property
    def lower(self) -> Bound | None:
        """Lower bound of the main claim."""
        return self.claim.lower if self.claim else None

    @property
    def upper(self) -> Bound | None:
        """Upper bound of the main claim."""
        return self.claim.upper if self.claim else None

    @property
    def estimate(self) -> Estimate | None:
        """Estimate of the main claim."""
        return self.claim.estimate if self.claim else None

    @property
    def witness(self) -> Witness | None:
        """The first witness."""
        return self.witnesses[0] if self.witnesses else None

    def attained(self, claim: int, side: Side) -> bool:
        """Whether a witness attains that side of that claim; the others are bounds without a claim of
        sharpness.
        """
        return any(witness.claim == claim and witness.side == side for witness in self.witnesses)

    def called_loose(self, claim: int, side: Side) -> bool:
        """Whether that side of that claim says why nothing attains it."""
        return any(loose.claim == claim and loose.side == side for loose in self.loose)

    def bounds(self, drift: Drift | Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Uncertified float64 bounds of the main claim, each of the drift's shape."""
        sides = (self.lower, self.upper)
        lower, upper = (None if side is None else on_drift(side, side.statistics, drift) for side in sides)
        return lower, upper

    def approximate(self, drift: Drift | Mapping[str, Tensor]) -> Tensor:
        """Float64 value of the estimate.

        Raises
        ------
        ValueError
            If the theorem has no estimate.
        """
        if self.estimate is None:
            raise ValueError(f"theorem must have an estimate, got {self.id} ({self.name})")
        return on_drift(self.estimate, self.estimate.symbols, drift)

    def certify(self, statistics: Statistics, claim: int = 0) -> CertifiedBound:
        """Bounds that hold for the exact value; ``statistics`` is an ``Enclosure`` or name -> (lower,
        upper).
        """
        if self.status in (Status.ASYMPTOTIC, Status.NUMERICAL, Status.FALSE):
            raise ValueError(f"theorem must be proved to certify, got {self.id} with status {self.status}")
        return certify(self.claims[claim], statistics)

    def javascript(self) -> str:
        """An object literal with the main claim's lower, upper and estimate as arrow functions, or null."""
        parts = [
            f"{side}: {'null' if formula is None else formula.javascript()}"
            for side, formula in (("lower", self.lower), ("upper", self.upper), ("estimate", self.estimate))
        ]
        return "{" + ", ".join(parts) + "}"


def on_drift(formula: Formula, names: Sequence[str], drift: Drift | Mapping[str, Tensor]) -> Tensor:
    """Evaluate on the columns of a drift (or a mapping of tensors); result on the columns' device."""
    tensors = [column(drift, name) for name in names]
    device = tensors[0].device if tensors else torch.device("cpu")
    values = {name: tensor.detach().cpu().numpy() for name, tensor in zip(names, tensors, strict=True)}
    return torch.from_numpy(np.ascontiguousarray(formula(**values))).to(device)


def column(drift: Drift | Mapping[str, Tensor], name: str) -> Tensor:
    """One column of a drift or of a mapping."""
    value: Tensor = drift[name] if isinstance(drift, Mapping) else getattr(drift, name)
    return value
