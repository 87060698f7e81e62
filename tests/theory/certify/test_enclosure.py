"""Enclosures contain the exact statistics of the given floats, and are narrow."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from torch import Tensor

from tests.theory import oracle
from tests.theory.adversarial import DTYPES, pairs
from tests.theory.instances import instance
from theory import catalogue, enclose, measure
from theory.certify import outward
from theory.certify.outward import Interval

ORACLE_NOISE = 1e-55  # the oracle calls smaller results of cancellation zero


def contains_truth(logits: Tensor, perturbed: Tensor, temperature: float) -> None:
    enclosure = enclose(logits, perturbed, temperature)
    truth = oracle.drift_columns(logits.double().tolist(), perturbed.double().tolist(), temperature)
    for name in sorted(set(enclosure) & set(truth)):
        low, high = (end.item() for end in enclosure[name])
        value = truth[name]
        if mpmath.isfinite(value):
            slack = ORACLE_NOISE if value == 0 else 0
            assert mpf(low) - slack <= value <= mpf(high) + slack, (name, low, high, value)
        else:
            assert str(low) == str(high) == str(float(value)), (name, low, high, value)


@settings(max_examples=300)
@given(seed=st.integers(0, 10**6))
def test_no_statistic_escapes(seed: int) -> None:
    contains_truth(*instance(seed))


@given(pair=pairs(DTYPES), temperature=st.sampled_from((0.1, 1.0, 7.0)))
@example(pair=(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])), temperature=1.0)  # z = 0: no direction
def test_no_statistic_escapes_on_shrinkable_pairs(pair: tuple[Tensor, Tensor], temperature: float) -> None:
    contains_truth(*pair, temperature)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_long_rows_are_narrow(dtype: torch.dtype, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3, 5000, generator=generator, dtype=torch.float64)
    step = scale * torch.randn(3, 5000, generator=generator, dtype=torch.float64)
    dense, perturbed = logits.to(dtype), (logits + step).to(dtype)
    enclosure, drift = enclose(dense, perturbed), measure(dense, perturbed)
    assert enclosure["var_p"][0].shape == (3,)
    for name, (low, high) in enclosure.items():
        assert ((high - low) <= 1e-11 * getattr(drift, name).abs()).all(), name
        middle = getattr(drift, name)
        assert ((middle >= low - 1e-12 * middle.abs()) & (middle <= high + 1e-12 * middle.abs())).all(), name


def test_equal_logits_have_exactly_no_spread() -> None:
    logits = torch.tensor([[0.3, -2.0, 1e4], [1.0, 2.0, 3.0]])
    enclosure = enclose(logits, logits + torch.tensor([[0.0], [4.0]]))
    for name in (
        "oscillation",
        "rho_plus",
        "rho_minus",
        "var_p",
        "var_q",
        "var_r",
        "var_w",
        "var_g",
        "low_p",
    ):
        assert [end.tolist() for end in enclosure[name]] == [[0.0, 0.0], [0.0, 0.0]], name


def test_the_catalogue_certifies_an_enclosure() -> None:
    logits = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.0, -3.0]])
    perturbed = logits + torch.tensor([[0.1, 0.2, -0.3], [1.0, 0.0, 0.5]])
    certified = catalogue["B5"].certify(enclose(logits, perturbed))
    for row in range(2):
        truth = oracle.drift_columns(logits[row].tolist(), perturbed[row].tolist())
        assert truth["kl"] <= mpf(certified.upper[row].item())


@pytest.mark.parametrize(
    ("function", "exact", "arguments"),
    [
        (torch.exp, mpmath.exp, [-(1.03**k) * 1e-9 for k in range(920)] + [-k * 0.37 for k in range(1900)]),
        (
            torch.expm1,
            mpmath.expm1,
            [1.03**k * 1e-9 for k in range(920)] + [-k * 0.01 for k in range(1, 900)],
        ),
        (torch.log1p, mpmath.log1p, [1.1**k * 1e-20 for k in range(900)]),
    ],
)
def test_the_library_functions_are_as_accurate_as_assumed(function, exact, arguments) -> None:
    arguments = [x for x in arguments if -700 < x < 709]
    found = function(torch.tensor(arguments, dtype=torch.float64)).tolist()
    with mpmath.workdps(40):
        ulps = [
            abs(mpf(f) / exact(mpf(x)) - 1) / mpf(2) ** -52 for f, x in zip(found, arguments, strict=True)
        ]
    assert max(ulps) < outward.LIBRARY_ULPS / 2


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200),
    weight=st.tuples(st.floats(0.1, 1.0), st.floats(1.0, 3.0)),
)
def test_interval_operations_contain_exact_results(values: list[float], weight: tuple[float, float]) -> None:
    x = Interval.exactly(torch.tensor([values], dtype=torch.float64))
    w = Interval(*(torch.tensor([[end]], dtype=torch.float64) for end in weight))

    def inside(found: Interval, truths: list[mpf]) -> bool:
        low, high = found.low.flatten().tolist(), found.high.flatten().tolist()
        return all(mpf(a) <= t <= mpf(b) for a, t, b in zip(low, truths, high, strict=True))

    with mpmath.workdps(60):
        exact = [mpf(v) for v in values]
        for end in weight:
            assert inside(x.times(w), [v * mpf(end) for v in exact])
            assert inside(x.over(w), [v / mpf(end) for v in exact])
            assert inside(x + w, [v + mpf(end) for v in exact])
        assert inside(x.squared(), [v * v for v in exact])
        assert inside(x.total(), [mpmath.fsum(exact)])


def test_overflow_stays_sound() -> None:
    enclosure = enclose(
        torch.tensor([0.0, -900.0], dtype=torch.float64), torch.tensor([-900.0, 0.0], dtype=torch.float64)
    )
    low, high = (end.item() for end in enclosure["rho_plus"])
    assert math.isfinite(low)
    assert low <= 900.0 <= high < 900.1
