"""C9: the intersection of all proved intervals contains the exact value."""

from __future__ import annotations

import mpmath

from theory.formulas.interval_arithmetic import interval, lower_float, upper_float
from theory.formulas.symbols import COLUMNS, QUANTITIES
from theory.instances.instance import DIGITS, adversarial
from theory.proofs.step import Method, StepFailedError, argument, computed
from theory.statements import a_identities, b_oscillation, c_variance, d_weights
from theory.theorems.intersection import intersection
from theory.theorems.theorem import Status, Theorem

INTERSECTED = (
    *a_identities.THEOREMS,
    *b_oscillation.THEOREMS,
    *c_variance.THEOREMS,
    *d_weights.THEOREMS,
)
"""The theorems that bound a divergence of one pair by its statistics."""


_QUANTITIES = ("kl", "kl_reverse", "js", "cosdist_p")


def _contains_truth(stride: int = 3) -> str:
    """Certified intersections contain the exact divergences on adversarial instances."""
    widest = 0.0
    chosen = adversarial()[::stride]
    for instance in chosen:
        with mpmath.workdps(DIGITS):
            names = sorted(COLUMNS - QUANTITIES)
            values = {name: interval(instance.column(name)) for name in names}
            exact = {name: instance.column(name) for name in _QUANTITIES}
        enclosed = {name: (lower_float(value), upper_float(value)) for name, value in values.items()}
        for quantity, value in exact.items():
            lower, upper, _ = intersection(INTERSECTED, enclosed, quantity)
            if not lower.item() <= value <= upper.item():
                raise StepFailedError(f"{quantity} = {value} is outside [{lower.item()}, {upper.item()}]")
            if instance.column("oscillation") <= 0.5:
                widest = max(widest, upper.item() / lower.item())
    return f"{len(chosen)} instances; for R <= 0.5 upper/lower is at most {widest:.4f}"


C9 = Theorem(
    id="C9",
    name="best-interval",
    title="The tightest proved interval",
    statement="Intersect the intervals of every applicable claim: for the cosine C3, C4, C5, C6, D2, B7; "
    "for KL C1, C2, C5, D3, B5; for JS C8 on the interval of H^2. "
    "The intersection contains the exact value and names its winners.",
    status=Status.VALID,
    derivation=(
        argument("Each interval contains the value, so their intersection does."),
        computed(
            "The interval from all applicable claims contains the exact value",
            Method.SAMPLED,
            _contains_truth,
        ),
    ),
    source="new",
)

THEOREMS = (C9,)
