"""Hold measured drifts against the catalogue: slack, tightness, violations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.arrays import Array
from theory.drift.record import Drift
from theory.formulas.claims import Bound, Claim
from theory.statements.catalogue import catalogue
from theory.theorems.theorem import Status, Theorem, column

ROUNDING = 1e-11
"""Allowance: a claim counts as violated only if it still fails when the quantity and every statistic are
moved by this relative amount towards agreement.  ``measure`` is accurate to about 1e-13; the margin covers
ill-conditioned formulas."""

UNDERFLOW = 1e-300
"""Absolute allowance: a mass below it may have been rounded to zero, and with it a variance below its product
with R^2."""


@dataclass(frozen=True)
class Check:
    """One claim on every element of a drift; tensors of the drift's shape."""

    theorem: str
    quantity: str
    lower_slack: Tensor | None
    """quantity - lower bound; None without one."""
    upper_slack: Tensor | None
    """upper bound - quantity; None without one."""
    tightness: Tensor | None
    """quantity / upper bound, 1 where both are 0; None without an upper bound."""
    violated: Tensor
    """Whether the claim fails beyond the rounding allowance (bool); never where the quantity itself is
    undefined.
    """


def check(
    drift: Drift | Mapping[str, Tensor], theorems: Iterable[Theorem | str] | None = None
) -> dict[str, Check]:
    """Check every proved claim whose symbols are columns of ``drift``.

    Parameters
    ----------
    drift
        Measured drift, or a mapping from column name to float64 tensor.
    theorems
        Theorems, ids or names; all that apply by default.

    Returns
    -------
    dict
        Claim key -> Check: the theorem's id for its main claim, ``"B5.kl_reverse"`` for a further one.

    Raises
    ------
    UnknownNameError
        For an unknown id or name.
    """
    chosen = (
        catalogue if theorems is None else [t if isinstance(t, Theorem) else catalogue[t] for t in theorems]
    )
    return {key: _check(key, claim, drift) for theorem in chosen for key, claim in claims_on_drift(theorem)}


def claims_on_drift(theorem: Theorem) -> list[tuple[str, Claim]]:
    """Keys and claims of a theorem that a drift can be checked against, proved ones only; a second claim
    about one quantity is numbered, as ``"C7.tv.2"``.
    """
    if theorem.status in (Status.FALSE, Status.ASYMPTOTIC, Status.NUMERICAL):
        return []
    seen: Counter[str] = Counter()
    keyed = []
    for number, claim in enumerate(theorem.claims):
        if claim.measurable and claim.bounds:
            key = theorem.id if number == 0 else f"{theorem.id}.{claim.name}"
            seen[key] += 1
            keyed.append((key if seen[key] == 1 else f"{key}.{seen[key]}", claim))
    return keyed


def _check(key: str, claim: Claim, drift: Drift | Mapping[str, Tensor]) -> Check:
    tensors = {name: column(drift, name) for name in claim.columns}
    first = next(iter(tensors.values()))
    values = {name: tensor.detach().cpu().numpy().astype(np.float64) for name, tensor in tensors.items()}
    quantity = claim.measured(**values)
    unit = {name: np.ones(quantity.size) for name in values}
    if "oscillation" in drift if isinstance(drift, Mapping) else hasattr(drift, "oscillation"):
        squared = column(drift, "oscillation").detach().cpu().double().numpy().reshape(-1).clip(1.0) ** 2
        unit |= {name: squared for name in values if name.startswith("var_")}

    def back(array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(first.device)

    slacks: dict[str, Array] = {}
    violated = np.zeros(quantity.shape, dtype=bool)
    tightness = None
    with np.errstate(all="ignore"):
        for bound in claim.bounds:
            limit = np.broadcast_to(bound(**values), quantity.shape)
            gap = limit - quantity if bound.side == "upper" else quantity - limit
            slacks[bound.side] = slack = np.where(limit == quantity, 0.0, gap)  # also where both overflow
            violated |= _violated(bound, claim, values, unit, ~(slack >= 0) & ~np.isnan(quantity))
            if bound.side == "upper":
                tightness = np.where(limit == quantity, 1.0, quantity / limit)
    return Check(
        key,
        claim.name,
        back(slacks["lower"]) if "lower" in slacks else None,
        back(slacks["upper"]) if "upper" in slacks else None,
        None if tightness is None else back(tightness),
        back(violated),
    )


def _violated(
    bound: Bound,
    claim: Claim,
    values: Mapping[str, Array],
    unit: Mapping[str, Array],
    suspect: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Among the suspect elements, those that fail at every corner of the allowance box; ``unit`` is the size
    of what UNDERFLOW is a part of.
    """
    failed = np.array(suspect, dtype=bool)
    where = np.flatnonzero(failed)
    if where.size == 0:
        return failed
    rows = {name: np.broadcast_to(value, failed.shape).reshape(-1)[where] for name, value in values.items()}
    still = np.ones(where.size, dtype=bool)
    for corner in _corners(bound):
        moved = {
            name: rows[name] + sign * (ROUNDING * np.abs(rows[name]) + UNDERFLOW * unit[name][where])
            for name, sign in corner.items()
        }
        limit = bound(**{**rows, **moved})
        quantity = claim.measured(**rows)
        allowed = ROUNDING * np.abs(quantity) + UNDERFLOW
        holds = quantity <= limit + allowed if bound.side == "upper" else quantity >= limit - allowed
        still &= ~(holds | (limit == quantity))
    failed.reshape(-1)[where] = still
    return failed


def _corners(bound: Bound) -> list[dict[str, int]]:
    """Directions in which to move the statistics: loosening where monotone, both where not."""
    loosening = 1 if bound.side == "upper" else -1
    choices: list[tuple[int, ...]] = []
    for name in bound.symbols:
        if name in bound.increasing:
            choices.append((loosening,))
        elif name in bound.decreasing:
            choices.append((-loosening,))
        else:
            choices.append((1, -1))
    return [dict(zip(bound.symbols, corner, strict=True)) for corner in product(*choices)]


def violations(checks: Mapping[str, Check]) -> dict[str, Any]:
    """Keys of the violated claims and how often; empty if all hold."""
    counts = {key: int(check.violated.sum()) for key, check in checks.items()}
    return {key: count for key, count in counts.items() if count}
