"""Family E: bounds hold for measured drifts and a wrong constant is noticed."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theory import catalogue, measure, measure_vectors
from theory.effects.amplification import (
    augmented_hidden,
    head_diameter,
    largest_covariance_eigenvalue,
    worst_direction,
)
from theory.formulas.claims import at_most
from theory.theorems.verify import verify_one

ROUNDING = 1e-9


@pytest.mark.parametrize("key", ["E1", "E4", "E6"])
def test_a_wrong_constant_is_noticed(key):
    """A bound lowered by one percent is refuted by the random cases, or no longer attained."""
    theorem = catalogue[key]
    claims = tuple(at_most(c.quantity, c.upper.expression * 0.99) for c in theorem.claims)
    witnesses = tuple(w for w in theorem.witnesses if w.side == "upper")
    record = verify_one(dataclasses.replace(theorem, claims=claims, witnesses=witnesses))
    assert not record.passed


pairs = st.integers(2, 12).flatmap(
    lambda size: st.tuples(
        *[hnp.arrays(np.float64, size, elements=st.floats(-6, 6, width=32)) for _ in range(2)],
        st.floats(1e-5, 1.0),
        st.floats(0.2, 3.0),
    )
)


@given(pairs)
@example((np.array([1.0, -2.0, 0.5]), np.array([0.0, 3.0, -3.0]), 1.0, 1.0))
def test_amplification_of_measured_drifts_lies_between_its_bounds(drawn):
    z, step, scale, T = drawn
    assume(np.linalg.norm(z) > 1e-3 and np.ptp(step) > 1e-3)
    drift = measure(torch.tensor(z), torch.tensor(z + scale * step), T)
    assume(float(drift.orthogonal_sq) > 1e-12 and float(drift.cosdist_p) > 1e-200)
    columns = ("var_r", "orthogonal_sq", "parallel", "oscillation")
    values = {name: float(getattr(drift, name)) for name in columns}
    value = float(drift.cosdist_p / drift.cosdist_z)
    claim = catalogue["E1"].claim
    assert float(claim.lower(**values)) <= value * (1 + ROUNDING)
    assert value <= float(claim.upper(**values)) * (1 + ROUNDING)


@given(hnp.arrays(np.float64, st.integers(3, 30), elements=st.floats(-4, 4)), st.floats(0.3, 3.0))
def test_no_small_direction_across_z_is_amplified_more_than_the_worst(z, T):
    assume(np.ptp(z) > 1e-3)
    worst = worst_direction(z, T)
    r = torch.softmax(2 * torch.tensor(z) / T, 0).numpy()
    ceiling = z @ z * largest_covariance_eigenvalue(r) / T**2
    assert worst.amplification <= ceiling * (1 + 1e-9)
    assume(worst.amplification > 1e-6)
    step = 1e-4 * T * worst.direction / np.ptp(worst.direction)
    drift = measure(torch.tensor(z), torch.tensor(z + step), T)
    assume(float(drift.cosdist_z) > 1e-20)
    assert float(drift.cosdist_p / drift.cosdist_z) == pytest.approx(worst.amplification, rel=2e-3)


@given(st.floats(0.05, 8.0), st.floats(0.1, 4.0))
def test_the_temperature_law_is_the_limit_of_small_changes(gap, T):
    assume(gap / T < 30)
    change = 1e-5 * T
    drift = measure(
        torch.tensor([gap, 0.0], dtype=torch.float64),
        torch.tensor([gap + change, 0.0], dtype=torch.float64),
        T,
    )
    symbols = {"gap": gap, "change": change, "temperature": T}
    for claim in catalogue["E5"].claims:
        assert float(getattr(drift, claim.name)) == pytest.approx(float(claim.estimate(**symbols)), rel=1e-4)


@pytest.mark.parametrize(("column", "peak"), [("cosdist_p", 1.199679), ("kl", 2.399357), ("tv", 1.543405)])
def test_drift_peaks_at_the_stated_temperature(column, peak):
    gap, change = 3.0, 1e-6
    temperatures = gap / peak * torch.linspace(0.2, 5, 241, dtype=torch.float64)
    nothing = torch.zeros_like(temperatures)
    base, moved = (torch.stack([g / temperatures, nothing], -1) for g in (gap, gap + change))
    values = getattr(measure(base, moved), column)
    assert float(temperatures[values.argmax()]) == pytest.approx(gap / peak, rel=0.02)


@given(st.integers(0, 10**6), st.floats(1e-6, 0.5), st.floats(1e-3, 2.0), st.booleans())
def test_the_hidden_certificate_holds_behind_torch_norms(seed, epsilon, scale, centre):
    rng = torch.Generator().manual_seed(seed)
    h, step = torch.randn(2, 8, generator=rng, dtype=torch.float64)
    gain = torch.randn(8, generator=rng, dtype=torch.float64)
    head = torch.randn(6, 8, generator=rng, dtype=torch.float64)
    both = torch.stack([h, h + scale * step])
    if centre:
        normed = torch.nn.functional.layer_norm(both, (8,), gain, torch.ones(8, dtype=torch.float64), epsilon)
    else:
        normed = torch.nn.functional.rms_norm(both, (8,), gain, epsilon)
    drift = measure(*(normed @ head.T), 0.7)
    hidden = measure_vectors(*augmented_hidden(both, epsilon, centre=centre))
    symbols = {
        "width": 8.0,
        "head_diameter": head_diameter(head, gain),
        "temperature": 0.7,
        "cosdist_hidden": float(hidden.cosdist),
    }
    bounds = [float(claim.upper(**symbols)) for claim in catalogue["E6"].claims[:2]]
    assert float(drift.oscillation) <= bounds[0] * (1 + ROUNDING)
    assert float(drift.cosdist_p) <= bounds[1] * (1 + ROUNDING)


@given(st.floats(-20, 20), st.floats(-10, 10), st.floats(0.2, 5.0))
@example(-1.0, 2.0, 1.0)
def test_two_token_angle_is_the_measured_angle(gap, change, T):
    drift = measure(
        torch.tensor([gap, 0.0], dtype=torch.float64),
        torch.tensor([gap + change, 0.0], dtype=torch.float64),
        T,
    )
    value = 2 * math.asin(math.sqrt(float(drift.cosdist_p) / 2))
    exact, ceiling = catalogue["E7"].claims
    predicted = float(exact.upper(gap=gap, change=float(gap + change) - gap, temperature=T))
    assert value == pytest.approx(predicted, rel=1e-6, abs=1e-14)
    assert value <= float(ceiling.upper(change=abs(change), temperature=T)) * (1 + ROUNDING) + 1e-15


@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 0.1])
def test_a_tie_is_no_temperature_law(temperature: float) -> None:
    """E5 once promised that drift vanishes at small temperature: at gap 0 total variation grows to 1/2."""
    z, after = torch.zeros(2).double(), torch.tensor([0.5, 0.0]).double()
    assert float(measure(z, after, temperature).tv) == pytest.approx(math.tanh(0.25 / temperature) / 2)
    assert float(measure(z, after, 1e-3).tv) == pytest.approx(0.5)


@pytest.mark.parametrize("gap", [-3.0, 3.0])
def test_the_worst_temperature_has_no_sign(gap: float) -> None:
    """E5 gave T* = g/1.5434, negative for g < 0."""
    worst, z = abs(gap) / 1.543405, torch.tensor([gap, 0.0]).double()
    drift = [float(measure(z, z + torch.tensor([1e-4, 0.0]), worst * factor).tv) for factor in (0.9, 1, 1.1)]
    assert drift[1] == max(drift)


def test_the_amplification_has_no_supremum_along_a_constant() -> None:
    """E4 needs z not constant: parallel to a constant is a common shift, which moves nothing."""
    z = torch.full((4,), 2.0).double()
    moved = measure(z, 1.001 * z)
    assert float(moved.cosdist_p) == 0
    assert any("not constant" in hypothesis for hypothesis in catalogue["E4"].hypotheses)
