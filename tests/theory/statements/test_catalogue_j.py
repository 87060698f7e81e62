"""Family J: bounds hold against independent optimisers."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from theory import catalogue, measure
from theory.drift.privacy import hockey_stick
from theory.sequences.worst_case import worst_case

pairs = st.integers(2, 10).flatmap(
    lambda k: st.tuples(
        *[hnp.arrays(np.float64, k, elements=st.floats(-6, 6)) for _ in range(2)],
        st.sampled_from([1e-6, 1e-2, 1.0]),
    )
)


def test_numerical_evidence_is_never_certified():
    for claim in range(3):
        with pytest.raises(ValueError, match="must be proved"):
            catalogue["J3"].certify({"oscillation": 1.0, "var_r": 0.1, "var_p": 0.1}, claim)


@pytest.mark.parametrize("R", [0.1, 1.0, 3.0, 8.0])
def test_a_free_optimiser_finds_the_two_token_value_and_nothing_better(R):
    """Two tokens of up to three symbols, all laws free: 3 + 9 log-odds and moves inside the budget."""
    bound = float(catalogue["J2"].upper(first_budget=R, second_budget=R))

    def reached(theta):
        blocks = theta.reshape(4, 2, 3)
        laws = []
        for logits, raw in blocks:
            p = np.exp(logits - logits.max())
            p /= p.sum()
            q = p * np.exp(R / (1 + np.exp(-raw)))
            laws.append((p, q / q.sum()))
        (p, q), *rest = laws
        return 0.5 * sum(
            abs(p[i] * a - q[i] * b) for i, (u, v) in enumerate(rest) for a, b in zip(u, v, strict=True)
        )

    rng, best = np.random.default_rng(1), 0.0
    for _ in range(6):
        start = rng.normal(size=24) * 2
        for _ in range(2):
            start = minimize(lambda x: -reached(x), start, method="Powell", options={"maxiter": 6}).x
        best = max(best, reached(start))
        assert best <= bound * (1 + 1e-9)
    assert best > 0.97 * bound


@given(st.floats(1e-9, 60.0))
@example(1e-9)
def test_two_tokens_in_float64_agree_with_the_recursion(R):
    """The recursion's maximum over the first move, at high precision."""
    bound = catalogue["J2"].upper
    with mpmath.workdps(50):
        s = mpmath.exp(mpmath.mpf(R) / 2)
        x = mpmath.sqrt(s)
        up = (x**2 - 1) / (s**2 - 1)
        value = (up * (s - s / x) ** 2 + (1 - up) * (s - 1 / x) ** 2) / (s**2 - 1)
        for shift in ("0.99", "1.01"):
            other = x * mpmath.mpf(shift)
            if 1 < other < s:
                mass = (other**2 - 1) / (s**2 - 1)
                assert (mass * (s - s / other) ** 2 + (1 - mass) * (s - 1 / other) ** 2) / (s**2 - 1) < value
    assert float(bound(first_budget=R, second_budget=R)) == pytest.approx(float(value), rel=1e-12)
    certified = catalogue["J2"].certify({"first_budget": R, "second_budget": R})
    assert float(certified.upper) >= value
    assert float(certified.upper) == pytest.approx(float(value), rel=1e-12)


@given(st.floats(1e-3, 10.0), st.floats(1e-3, 10.0))
@example(4.0, 2.0)
@example(4.0, 1.999)
@example(10.0, 1e-3)
def test_two_budgets_of_any_size_have_a_closed_form(first, second):
    value = float(catalogue["J2"].upper(first_budget=first, second_budget=second))
    low, high = worst_case([first, second], cells=64).tv
    assert low <= value + 1e-12
    assert value <= high + 1e-12
    assert high - value < 1e-4
    if second <= first / 2:
        assert value == pytest.approx(math.tanh(first / 4), rel=1e-13)


@given(st.lists(st.floats(0.01, 3.0), min_size=2, max_size=3))
@settings(max_examples=25)
def test_increasing_budgets_are_the_worst_order(limits):
    """Evidence for the remark of the worst case: no other order beats the increasing one."""
    increasing = worst_case(sorted(limits), cells=16).tv[1]
    for order in itertools.permutations(limits):
        assert worst_case(order, cells=16).tv[0] <= increasing + 1e-9


@given(pairs, st.integers(1, 9))
def test_cores_bound_what_measure_sees(pair, size):
    z, move, scale = pair
    size = min(size, len(z) - 1)
    drift = measure(torch.tensor(z), torch.tensor(z + scale * move))
    order = np.argsort(-z)
    p, q = (np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (z, z + scale * move))
    delta = (z + scale * move) - z
    core, tail = order[:size], order[size:]
    values = {
        "core_mass": p[core].sum(),
        "core_mass_perturbed": q[core].sum(),
        "tail_mass": p[tail].sum(),
        "tail_mass_perturbed": q[tail].sum(),
        "core_oscillation": np.ptp(delta[core]),
        "tail_oscillation": np.ptp(delta[tail]),
    }
    on_kl, on_tv = catalogue["J5"].claims
    assert float(drift.kl) <= float(on_kl.upper(**values)) + 1e-13
    assert float(drift.tv) <= float(on_tv.upper(**values)) + 1e-14


@given(pairs, st.floats(0.0, 1.0))
def test_the_privacy_curve_stays_below_its_bound(pair, share):
    z, move, scale = (torch.as_tensor(x) for x in pair)
    R = float(measure(z, z + scale * move).oscillation)
    epsilon = share * R
    if R == 0:  # the bound's limit, 0/0 as a formula
        assert hockey_stick(z, z + scale * move, [0.0]).item() == 0.0
        return
    bound = float(catalogue["J7"].upper(oscillation=R, epsilon=epsilon))
    found = float(hockey_stick(z, z + scale * move, [epsilon]))
    assert found <= bound * (1 + 1e-9) + 1e-15
    if share == 0.0:
        assert bound == pytest.approx(math.tanh(R / 4), rel=1e-9)


@given(pairs, st.floats(0.2, 5.0))
def test_acceptance_at_a_temperature_respects_its_floor(pair, temperature):
    z, move, scale = (torch.as_tensor(x) for x in pair)
    drift = measure(z, z + scale * move, temperature)
    spread = float((scale * move).max() - (scale * move).min())
    floor = float(catalogue["J4"].lower(draft_spread=spread, temperature=temperature))
    assert 1 - float(drift.tv) >= floor - 1e-12


@given(hnp.arrays(np.float64, 4, elements=st.floats(-3, 3)), st.floats(0.01, 5.0))
def test_the_worst_move_is_a_set_of_raised_tokens(z, R):
    """J6 against a local search over moves inside the cube."""
    p = np.exp(z) / np.exp(z).sum()
    masses = [p[list(a)].sum() for k in (1, 2, 3) for a in itertools.combinations(range(4), k)]
    best = max(math.log1p(m * math.expm1(R)) - m * R for m in masses)

    def kl(raw):
        delta = R * (1 + np.sin(raw)) / 2
        return math.log((p * np.exp(delta)).sum()) - p @ delta

    rng = np.random.default_rng(0)
    reached = max(-minimize(lambda x: -kl(x), rng.normal(size=4), method="BFGS").fun for _ in range(2))
    assert reached <= best + 1e-12


def test_acceptance_at_a_tie_tends_to_one_half():
    """J4 needs "no tie" for its limit T -> 0."""
    z, draft = torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double()
    assert 1 - float(measure(z, draft, 1e-3).tv) == pytest.approx(0.5)
    assert any("tie" in hypothesis for hypothesis in catalogue["J4"].hypotheses)


def test_forecast_means_hold_for_truncated_samplers():
    """J1 once asked for untruncated texts; only KL needs the support (K8)."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        p, q = (rng.dirichlet(np.ones(5)) * (rng.random(5) < 0.7) for _ in range(2))
        if p.sum() == 0 or q.sum() == 0:
            continue
        p, q = p / p.sum(), q / q.sum()
        seen = p > 0
        weight = q[seen] / p[seen]
        assert p[seen] @ np.minimum(1, weight) == pytest.approx(np.minimum(p, q).sum())
        assert p[seen] @ np.maximum(1 - weight, 0) == pytest.approx(np.abs(p - q).sum() / 2)
    assert not any("untruncated" in hypothesis for hypothesis in catalogue["J1"].hypotheses)
