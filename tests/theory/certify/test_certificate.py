"""Certified bounds are on the right side of the exact value, whatever the floats."""

import math
from collections.abc import Iterable

import mpmath
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from tests.theory.adversarial import DTYPES, pairs
from theory import catalogue, enclose
from theory.bounds.best_interval import best_interval
from theory.certify.certificate import certify
from theory.formulas.formula import Formula
from theory.formulas.interval_arithmetic import interval, lower_float, upper_float
from theory.instances.instance import Instance
from theory.theorems.intersection import proved_claims
from theory.theorems.theorem import Status

DIGITS = 400


def exact_instance(pair: tuple[torch.Tensor, torch.Tensor]) -> Instance:
    z, y = ([mpf(x) for x in t.to(torch.float64).tolist()] for t in pair)
    return Instance(z, [b - a for a, b in zip(z, y, strict=True)])


def enclosed(instance: Instance, names: Iterable[str]) -> dict[str, tuple[float, float]]:
    """The exact statistics, rounded outward."""
    found = {name: interval(instance.column(name)) for name in names}
    return {name: (lower_float(x), upper_float(x)) for name, x in found.items()}


@pytest.mark.parametrize("quantity", ["kl", "cosdist_p", "tv", "kl_reverse", "hellinger_sq", "js"])
@settings(max_examples=25)
@given(pair=pairs(gaps=(0.0, 1e-3, 1.0, 10.0, 100.0), changes=(1e-12, 1e-9, 1e-3, 0.1, 1.0, 5.0, 30.0)))
@example(pair=(torch.tensor([0.0, 0.0]), torch.tensor([1e-7, 0.0])))
def test_every_certificate_encloses_the_exact_value(
    quantity: str, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assume(not torch.equal(*pair))
    with mpmath.workdps(DIGITS):
        instance = exact_instance(pair)
        assume(instance.column("oscillation") > 0)
        truth = instance.column(quantity)
        for theorem, claim in proved_claims(catalogue, quantity):
            names = {name for bound in claim.bounds for name in bound.statistics}
            bounds = certify(claim, enclosed(instance, names))
            assert bounds.lower.item() <= truth <= bounds.upper.item(), theorem


@settings(max_examples=40)
@given(
    pair=pairs(dtypes=DTYPES, gaps=(0.0, 1e-3, 1.0, 10.0, 100.0), changes=(1e-9, 1e-3, 0.1, 1.0, 5.0, 30.0))
)
@example(pair=(torch.tensor([0.0, 0.0]), torch.tensor([1e-7, 0.0])))
def test_certificates_from_floats_enclose_the_exact_value(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Logits of any dtype -> enclosed statistics -> certified bounds, against the exact numbers."""
    statistics = enclose(*pair)
    with mpmath.workdps(DIGITS):
        instance = exact_instance(pair)
        moved = len(set(instance.delta)) > 1
        for quantity in ("kl", "cosdist_p", "tv"):
            truth = instance.column(quantity) if moved else mpf(0)
            found = best_interval(statistics, quantity)
            assert found.lower.item() <= truth <= found.upper.item(), (quantity, found.winners)


@given(st.floats(1e-12, 1e4))
def test_certified_value_is_within_an_ulp_or_two_of_the_formula(R: float) -> None:
    for key in ("B1", "B5", "B7"):
        certified = catalogue[key].certify({"oscillation": R}).upper.item()
        with mpmath.workdps(5000):
            exact = catalogue[key].upper.exact(oscillation=R)
            assert exact <= certified
        assert certified <= float(exact) * (1 + 1e-15)


def test_no_oscillation_certifies_zero() -> None:
    bounds = catalogue["C5"].certify({"oscillation": 0.0, "var_p": 0.0})
    assert (bounds.lower.item(), bounds.upper.item()) == (0.0, 0.0)


def test_a_quantity_of_either_sign_is_not_cut_off_at_zero() -> None:
    """A token's log-ratio may fall by almost R (H3): a certified lower bound of 0 would be false."""
    claim = catalogue["H3"].claims[0]
    names = {name for bound in claim.bounds for name in bound.statistics}
    statistics = {name: 1.0 if name == "oscillation" else 0.5 for name in names}
    assert catalogue["H3"].certify(statistics).lower.item() < -0.4


def test_a_wide_enclosure_is_used_at_its_outward_end() -> None:
    bounds = catalogue["B5"].certify({"oscillation": (1.0, 2.0)})
    assert bounds.upper.item() >= float(catalogue["B5"].upper(oscillation=2.0))
    assert bounds.upper.item() == catalogue["B5"].certify({"oscillation": 2.0}).upper.item()


def test_a_hypothesis_that_is_not_certain_gives_the_trivial_bound() -> None:
    statistics = {"oscillation": (1.3, 1.4), "var_r": 0.1, "low_r": -0.5, "high_r": 0.5}
    bounds = catalogue["C6"].certify(statistics)
    assert (bounds.lower.item(), bounds.upper.item()) == (0.0, math.inf)
    assert catalogue["C6"].certify({**statistics, "oscillation": 1.3}).upper.item() < 0.1


def test_a_missing_statistic_is_named() -> None:
    with pytest.raises(ValueError, match="missing: var_p"):
        catalogue["C5"].certify({"oscillation": 1.0})


@pytest.mark.parametrize("status", [Status.ASYMPTOTIC, Status.FALSE, Status.NUMERICAL])
def test_nothing_unproved_is_certified(status: Status) -> None:
    for theorem in catalogue:
        if theorem.status is status:
            with pytest.raises(ValueError, match="must be proved"):
                theorem.certify({})


def test_the_exponential_of_mpmath_intervals_is_not_trusted() -> None:
    """Found here: mpmath.iv gives exp(1e-42) at 256 bits as one point, so e^x - 1 - x came out as exactly
    0.
    """
    bounds = catalogue["C1"].certify({"high_p": 1e-42, "low_p": -1e-12, "var_p": 1e-54})
    assert bounds.upper.item() >= 0.5e-54


def test_best_interval_names_its_winners() -> None:
    found = best_interval({"oscillation": 0.1, "var_p": 1e-3, "var_q": 1e-3}, "kl")
    assert 0 < found.lower.item() < found.upper.item() < 1e-3
    assert found.winners.lower.item() in {"C2", "C5", "D3"}
    assert found.winners.upper.item() in {"B5", "C2", "C5", "D3"}


@settings(max_examples=25)
@given(pairs(gaps=(0.0, 1.0, 10.0, 100.0), changes=(1e-9, 1e-3, 0.1, 1.0, 5.0)))
def test_best_interval_contains_the_exact_value(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assume(not torch.equal(*pair))
    with mpmath.workdps(DIGITS):
        instance = exact_instance(pair)
        assume(instance.column("oscillation") > 0)
        names = (
            "oscillation",
            "var_p",
            "var_q",
            "var_g",
            "low_p",
            "high_p",
            "p_max",
            "rho_plus",
            "rho_minus",
        )
        statistics = enclosed(instance, names)
        for quantity in ("kl", "kl_reverse", "js"):
            found = best_interval(statistics, quantity)
            assert found.lower.item() <= instance.column(quantity) <= found.upper.item()


@given(st.floats(-50, 50), st.floats(0, 1e-3))
def test_interval_evaluation_encloses_points(x: float, width: float) -> None:
    import sympy as sp

    symbol = sp.Symbol("x", real=True)
    formula = Formula(sp.exp(symbol) + sp.tanh(symbol) + sp.atan(symbol))
    enclosed = formula.enclosure(x=interval(x, x + width))
    with mpmath.workdps(60):
        assert lower_float(enclosed) <= formula.exact(x=x + width / 2) <= upper_float(enclosed)
