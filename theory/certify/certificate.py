"""Certified evaluation: floats that are on the right side of the exact value in spite of rounding.

The statistics come as intervals that contain their exact values.  A formula is evaluated in interval
arithmetic, at the outward end point of each statistic in which it is declared monotone and on the whole
interval of the others, at a precision raised until cancellation no longer matters; the result is rounded
outward to float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

import sympy as sp
import torch
from mpmath import iv
from torch import Tensor

from theory.formulas.claims import Bound, CertifiedBound, Claim
from theory.formulas.formula import interval_code, interval_function
from theory.formulas.interval_arithmetic import MpInterval, interval, lower_float, upper_float
from theory.formulas.safe_forms import elementary
from theory.formulas.symbols import QUANTITIES

Statistics: TypeAlias = Mapping[str, Any]

PRECISIONS = (256, 768, 2304)
"""Working precisions in bits, tried until the enclosure is narrow."""
NARROW = 2.0**-60
_ANY = (0.0, math.inf)


def certify(claim: Claim, statistics: Statistics) -> CertifiedBound:
    """Certified bounds of ``claim``'s quantity.

    Parameters
    ----------
    statistics
        Name -> (lower, upper), each a float or float64 tensor ``(...)``; a bare number stands for itself
        exactly.

    Returns
    -------
    CertifiedBound
        Tensors of the statistics' common shape.  Where a bound's hypothesis is not certain, or the claim
        has no bound on a side, the answer there is infinity, or 0 below (-infinity for quantities that may be
        negative).

    Raises
    ------
    ValueError
        If a statistic is missing.
    """
    names = sorted({name for bound in claim.bounds for name in bound.statistics})
    rows, shape = _rows(names, statistics)
    least = 0.0 if claim.measurable and claim.quantity.is_nonnegative else -math.inf
    lower = [max(least, certified_value(claim.lower, row)) if claim.lower else least for row in rows]
    upper = [certified_value(claim.upper, row) if claim.upper else math.inf for row in rows]
    if set(claim.measured.symbols) <= QUANTITIES:  # no oscillation: p = q, and every divergence is exactly 0
        upper = [
            0.0 if row.get("oscillation", _ANY)[1] == 0.0 else x for row, x in zip(rows, upper, strict=True)
        ]
    return CertifiedBound(_tensor(lower, shape), _tensor(upper, shape))


def certified_value(bound: Bound, row: Mapping[str, tuple[float, float]]) -> float:
    """One certified number, for statistics enclosed by ``row``."""
    trivial = bound.trivial
    if bound.when is not None and not _certain(bound.when, row):
        return trivial
    outward = [_outward(bound, name, row[name]) for name in bound.symbols]
    if any(math.isinf(low) and low == high for low, high in outward):
        return trivial
    value = _narrow_enclosure(bound.expression, outward)
    if value is None:
        return trivial
    return lower_float(value) if bound.side == "lower" else upper_float(value)


def _outward(bound: Bound, name: str, enclosure: tuple[float, float]) -> tuple[float, float]:
    """The end point that loosens the bound most, or the whole interval where monotonicity is not declared."""
    low, high = enclosure
    upward = bound.side == "upper"
    if name in bound.increasing:
        return (high, high) if upward else (low, low)
    if name in bound.decreasing:
        return (low, low) if upward else (high, high)
    return low, high


def _narrow_enclosure(expression: Any, arguments: list[tuple[float, float]]) -> MpInterval | None:
    saved = iv.prec
    best = None
    width = math.inf
    try:
        for precision in PRECISIONS:
            iv.prec = precision
            try:
                value = _enclose(expression, [interval(low, high) for low, high in arguments])
            except (ZeroDivisionError, ValueError, TypeError):
                continue
            relative = _relative_width(value)
            if best is not None and not relative < 0.9 * width:
                break  # as wide as its arguments make it
            best, width = value, relative
            if width < NARROW:
                break
    finally:
        iv.prec = saved
    return best


def _enclose(expression: Any, box: list[MpInterval]) -> MpInterval:
    """Natural interval extension, intersected with the mean value form, which loses nothing to
    cancellation.
    """
    natural = interval_function(expression)(*box)
    wide = [k for k, side in enumerate(box) if side.delta > 0]
    if not wide:
        return natural
    middle = [interval(side.mid) if k in wide else side for k, side in enumerate(box)]
    value = interval_function(expression)(*middle)
    slopes = _gradient(expression)
    for k in wide:
        value += slopes[k](*box) * (box[k] - middle[k])
    return iv.mpf([_larger(natural.a, value.a), _smaller(natural.b, value.b)])


def _larger(x: MpInterval, y: MpInterval) -> MpInterval:
    return x if not y > x else y


def _smaller(x: MpInterval, y: MpInterval) -> MpInterval:
    return x if not y < x else y


@cache
def _gradient(expression: Any) -> list[Callable[..., Any]]:
    symbols = sorted(expression.free_symbols, key=lambda symbol: str(symbol.name))
    body = elementary(expression)
    return [interval_code(tuple(symbols), body.diff(symbol)) for symbol in symbols]


def _relative_width(value: MpInterval) -> float:
    scale = max(abs(lower_float(value)), abs(upper_float(value)))
    if math.isinf(scale) or math.isnan(scale):
        return math.inf
    return 0.0 if scale == 0.0 else float(upper_float(value.delta) / scale)


def _certain(condition: Any, row: Mapping[str, tuple[float, float]]) -> bool:
    """Whether the hypothesis holds for every point of the enclosures."""
    if isinstance(condition, sp.And):
        return all(_certain(part, row) for part in condition.args)
    difference = condition.gts - condition.lts
    names = sorted(str(symbol.name) for symbol in difference.free_symbols)
    value = interval_function(difference)(*(interval(*row[name]) for name in names))
    return bool(value.a > 0) if condition.rel_op in ("<", ">") else bool(value.a >= 0)


def _rows(
    names: list[str], statistics: Statistics
) -> tuple[list[dict[str, tuple[float, float]]], torch.Size]:
    missing = [name for name in names if name not in statistics]
    if missing:
        raise ValueError(f"statistics must contain {', '.join(names)}; missing: {', '.join(missing)}")
    ends: list[Tensor] = []
    for name in names:
        value = statistics[name]
        pair = value if isinstance(value, tuple) else (value, value)
        ends += [torch.as_tensor(end, dtype=torch.float64).detach().cpu() for end in pair]
    broadcast = torch.broadcast_tensors(*ends)  # type: ignore[no-untyped-call]
    shape = broadcast[0].shape
    columns = [tensor.reshape(-1).tolist() for tensor in broadcast]
    rows = [
        {name: (row[2 * k], row[2 * k + 1]) for k, name in enumerate(names)}
        for row in zip(*columns, strict=True)
    ]
    return rows, shape


def _tensor(values: list[float], shape: torch.Size) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(shape)
