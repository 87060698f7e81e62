"""What several theorems together say of a quantity: their common interval, and who gave its ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.certify.certificate import certify
from theory.drift.record import Drift
from theory.formulas.claims import Bound, Claim, Side
from theory.formulas.safe_forms import Expression
from theory.formulas.symbols import QUANTITIES
from theory.names import lookup
from theory.theorems.theorem import Status, Theorem, column, on_drift


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


def intersection(
    theorems: Iterable[Theorem],
    statistics: Drift | Mapping[str, Any],
    quantity: str,
    *,
    through: bool = True,
) -> BestInterval:
    """The tightest interval of a quantity that the proved claims of ``theorems`` together give.

    Parameters
    ----------
    statistics
        A ``Drift``: bounds evaluated in float64, subject to rounding. An ``Enclosure``, or any mapping from a
        statistic's name to (lower, upper): certified bounds, from the statistics that it has.
    quantity
        A divergence column, such as ``"cosdist_p"`` or ``"kl"``. A bound by another divergence (JS by H^2) is
        used with the interval that statistics alone give of that one.
    through
        Whether bounds by other divergences are used.

    Raises
    ------
    UnknownNameError
        If ``quantity`` is not a divergence.
    """
    lookup("quantity", quantity, dict.fromkeys(sorted(QUANTITIES)))
    ends: dict[Side, list[tuple[str, Tensor]]] = {"lower": [], "upper": []}
    theorems = tuple(theorems)
    others: dict[str, tuple[Tensor, Tensor]] = {}
    for name, claim in proved_claims(theorems, quantity):
        for bound in claim.bounds:
            for other in _divergences(bound) - set(others) if through else ():
                others[other] = intersection(theorems, statistics, other, through=False)[:2]
            if _divergences(bound) <= set(others) and _known(bound, statistics):
                ends[bound.side].append((name, _end(claim.quantity, bound, statistics, others)))
    lower, lower_names = _extreme(ends["lower"], "lower")
    upper, upper_names = _extreme(ends["upper"], "upper")
    lower, upper = torch.broadcast_tensors(lower, upper)  # type: ignore[no-untyped-call]
    return BestInterval(lower, upper, Winners(lower_names, upper_names))


def proved_claims(theorems: Iterable[Theorem], quantity: str) -> Iterator[tuple[str, Claim]]:
    """Claims that bound the quantity by statistics alone, with their theorem's id."""
    for theorem in theorems:
        if theorem.status not in (Status.SHARP, Status.VALID):
            continue
        for claim in theorem.claims:
            if claim.name == quantity and claim.measurable and claim.bounds:
                yield theorem.id, claim


def _divergences(bound: Bound) -> set[str]:
    return set(bound.statistics) & QUANTITIES


def _known(bound: Bound, statistics: Drift | Mapping[str, Any]) -> bool:
    needed = set(bound.statistics) - QUANTITIES
    return not isinstance(statistics, Mapping) or needed <= set(statistics)


def _end(
    quantity: Expression,
    bound: Bound,
    statistics: Drift | Mapping[str, Any],
    others: Mapping[str, tuple[Tensor, Tensor]],
) -> Tensor:
    """The bound at the statistics, other divergences at the ends of their intervals that loosen it."""
    if isinstance(statistics, Mapping):
        lower, upper = (bound if bound.side == side else None for side in ("lower", "upper"))
        one_sided = Claim(quantity, lower, upper)
        certified: Tensor = getattr(certify(one_sided, {**statistics, **others}), bound.side)
        return certified
    columns = {name: column(statistics, name) for name in bound.statistics if name not in QUANTITIES}
    for name in _divergences(bound):
        columns[name] = others[name][(name in bound.increasing) == (bound.side == "upper")]
    return on_drift(bound, bound.statistics, columns)


def _extreme(ends: list[tuple[str, Tensor]], side: Side) -> tuple[Tensor, NDArray[np.str_]]:
    trivial = 0.0 if side == "lower" else torch.inf
    columns = [torch.full((), trivial, dtype=torch.float64), *(values for _, values in ends)]
    stacked = torch.stack(torch.broadcast_tensors(*columns))  # type: ignore[no-untyped-call]
    stacked = torch.where(stacked.isnan(), torch.full_like(stacked, trivial), stacked)
    best = stacked.max(0) if side == "lower" else stacked.min(0)
    names = np.array(["", *(name for name, _ in ends)])
    return best.values, names[best.indices.cpu().numpy()]
