"""How often a drift under Gaussian noise lies far from its mean, against the bounds of F6 and F7."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from theory.arrays import Array
from theory.formulas.claims import Claim
from theory.statements.f_noise.tails import (
    ANGLE_DEVIATES,
    OVERLAP_DEVIATES,
    RANGE_QUANTILE,
    SQRT_KL_DEVIATES,
    VARIANCE_ABOVE,
    VARIANCE_BELOW,
)

CONFIDENCE = 0.997
"""Of the exact (Clopper-Pearson) intervals of the frequencies."""
DEVIATIONS = (0.25, 0.5, 0.75, 1.0)
"""Distances from the mean in units of the noise."""
EXPONENTS = (0.5, 1.0, 2.0, 4.0)
RISKS = (0.5, 0.1, 0.01)

CONCENTRATION: dict[str, Claim] = {
    "sqrt_kl": SQRT_KL_DEVIATES,
    "angle": ANGLE_DEVIATES,
    "arccos_bc": OVERLAP_DEVIATES,
    "mean_tv": OVERLAP_DEVIATES,
}
"""Which bound of F6 is about which sample."""


def tail_rows(samples: Mapping[str, Array], known: Mapping[str, float]) -> Iterator[dict[str, object]]:
    """Frequencies of the events whose probability F6 and F7 bound; rows as in ``predicted_curves``."""
    for name, claim in CONCENTRATION.items():
        distance = np.abs(samples[name] - samples[name].mean())
        for multiple in DEVIATIONS:
            level = multiple * known["noise"]
            values = {**known, "deviation": level}
            yield _row("F6", f"P(|{name.removeprefix('mean_')} - mean| >= x)", level,
                       distance >= level, _bound(claim, values))  # fmt: skip
    half = samples["mean_var_p"] / 2
    for exponent in EXPONENTS:
        values = {**known, "exponent": exponent}
        high, low = _bound(VARIANCE_ABOVE, values), _bound(VARIANCE_BELOW, values)
        yield _row("F7", "P(var_p/2 >= x)", high, half >= high, float(np.exp(-exponent)))
        yield _row("F7", "P(var_p/2 <= x)", low, half <= low, float(np.exp(-exponent)))
    for risk in RISKS:
        level = _bound(RANGE_QUANTILE, {**known, "risk": risk})
        yield _row("F7", "P(R >= x)", level, samples["oscillation"] >= level, risk)


def _bound(claim: Claim, values: Mapping[str, float]) -> float:
    (bound,) = claim.bounds
    return float(bound(**{name: values[name] for name in bound.symbols}))


def _row(
    theorem: str, quantity: str, level: float, happened: NDArray[np.bool_], probability: float
) -> dict[str, object]:
    seen = scipy.stats.binomtest(int(happened.sum()), happened.size)
    interval = seen.proportion_ci(CONFIDENCE)
    return {
        "theorem": theorem, "kind": "tail", "quantity": quantity, "level": level, "predicted": float("nan"),
        "lower": 0.0, "upper": probability, "measured": float(happened.mean()),
        "low": float(interval.low), "high": float(interval.high),
    }  # fmt: skip
