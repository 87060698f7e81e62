"""The tightest interval for a quantity that all proved claims together give, and who gave it (theorem C9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.certify import certify
from theory.claims import Claim, Side
from theory.families import catalogue
from theory.instances import DIGITS, adversarial
from theory.interval_arithmetic import interval, lower_float, upper_float
from theory.names import lookup
from theory.steps import StepFailedError
from theory.symbols import COLUMNS, QUANTITIES
from theory.theorem import Status, on_drift

if TYPE_CHECKING:
    from theory.drift import Drift


class Winners(NamedTuple):
    """Ids of the theorems that gave each end; arrays of text of the drift's shape, empty where no theorem
    did.
    """

    lower: NDArray[np.str_]
    upper: NDArray[np.str_]


class BestInterval(NamedTuple):
    """Intersection of every applicable interval: float64 tensors ``(...)`` and the winners' ids."""

    lower: Tensor
    upper: Tensor
    winners: Winners


def best_interval(statistics: Drift | Mapping[str, Any], quantity: str = "cosdist_p") -> BestInterval:
    """The tightest proved interval of a quantity.

    Parameters
    ----------
    statistics
        A ``Drift``: bounds evaluated in float64, subject to rounding. An ``Enclosure``, or any mapping from a
        statistic's name to (lower, upper): certified bounds, from the statistics that it has.
    quantity
        A divergence column, such as ``"cosdist_p"`` or ``"kl"``. Bounds by other divergences are not used.

    Raises
    ------
    UnknownNameError
        If ``quantity`` is not a divergence.
    """
    lookup("quantity", quantity, dict.fromkeys(sorted(QUANTITIES)))
    ends: dict[Side, list[tuple[str, Tensor]]] = {"lower": [], "upper": []}
    for name, claim in proved_claims(quantity):
        for side, values in _ends(claim, statistics).items():
            ends[side].append((name, values))
    lower, lower_names = _extreme(ends["lower"], "lower")
    upper, upper_names = _extreme(ends["upper"], "upper")
    lower, upper = torch.broadcast_tensors(lower, upper)  # type: ignore[no-untyped-call]
    return BestInterval(lower, upper, Winners(lower_names, upper_names))


def proved_claims(quantity: str) -> Iterator[tuple[str, Claim]]:
    """Claims that bound the quantity by statistics alone, with their theorem's id."""
    for theorem in catalogue:
        if theorem.status not in (Status.SHARP, Status.VALID):
            continue
        for claim in theorem.claims:
            if claim.name == quantity and claim.measurable and claim.bounds:
                yield theorem.id, claim


def _ends(claim: Claim, statistics: Drift | Mapping[str, Any]) -> dict[Side, Tensor]:
    usable: dict[Side, Any] = {
        bound.side: bound
        for bound in claim.bounds
        if not set(bound.statistics) & QUANTITIES
        and (not isinstance(statistics, Mapping) or set(bound.statistics) <= set(statistics))
    }
    if not isinstance(statistics, Mapping):
        return {side: on_drift(bound, bound.statistics, statistics) for side, bound in usable.items()}
    if not usable:
        return {}
    certified = certify(Claim(claim.quantity, usable.get("lower"), usable.get("upper")), statistics)
    return {side: getattr(certified, side) for side in usable}


def _extreme(ends: list[tuple[str, Tensor]], side: Side) -> tuple[Tensor, NDArray[np.str_]]:
    trivial = 0.0 if side == "lower" else torch.inf
    columns = [torch.full((), trivial, dtype=torch.float64), *(values for _, values in ends)]
    stacked = torch.stack(torch.broadcast_tensors(*columns))  # type: ignore[no-untyped-call]
    stacked = torch.where(stacked.isnan(), torch.full_like(stacked, trivial), stacked)
    best = stacked.max(0) if side == "lower" else stacked.min(0)
    names = np.array(["", *(name for name, _ in ends)])
    return best.values, names[best.indices.cpu().numpy()]


def contains_truth(stride: int = 3) -> str:
    """Certified best intervals contain the exact KL and cosine distance on adversarial instances (a step
    of C9).
    """
    widest = 0.0
    chosen = adversarial()[::stride]
    for instance in chosen:
        with mpmath.workdps(DIGITS):
            names = sorted(COLUMNS - QUANTITIES)
            values = {name: interval(instance.column(name)) for name in names}
            exact = {name: instance.column(name) for name in ("kl", "cosdist_p")}
        enclosed = {name: (lower_float(value), upper_float(value)) for name, value in values.items()}
        for quantity, value in exact.items():
            lower, upper, _ = best_interval(enclosed, quantity)
            if not lower.item() <= value <= upper.item():
                raise StepFailedError(f"{quantity} = {value} is outside [{lower.item()}, {upper.item()}]")
            if instance.column("oscillation") <= 0.5:
                widest = max(widest, upper.item() / lower.item())
    return f"{len(chosen)} instances; for R <= 0.5 upper/lower is at most {widest:.4f}"
