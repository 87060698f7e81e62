"""Claims on measured drifts: they hold on adversarial logits, and a wrong claim is caught."""

import itertools

import pytest
import torch
from hypothesis import example, given

from tests.theory.adversarial import pairs
from theory import catalogue, check, measure
from theory.bounds.check import claims_on_drift, violations
from theory.formulas.claims import at_most
from theory.formulas.symbols import kl, oscillation, tv, var_p
from theory.names import UnknownNameError
from theory.theorems.theorem import Status, Theorem

MANY = 2000


@given(pairs())
@example((torch.tensor([0.0, 0.0]), torch.tensor([1e-7, 0.0])))
@example((torch.tensor([1e4, 0.0]), torch.tensor([1e4, 1e4])))
def test_no_claim_is_violated(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert violations(check(measure(*pair))) == {}


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("vocabulary", [2, 3, 50])
def test_no_claim_is_violated_on_random_rows(scale: float, vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(vocabulary)
    logits = 3 * torch.randn(MANY, vocabulary, generator=generator, dtype=torch.float64)
    noise = torch.randn(MANY, vocabulary, generator=generator, dtype=torch.float64)
    assert violations(check(measure(logits, logits + scale * noise))) == {}


@pytest.mark.parametrize("spread", [1.0, 3e3, 2e4, 1e6, 1e20])
@pytest.mark.parametrize("vocabulary", [2, 3, 8, 50])
def test_no_claim_is_violated_at_any_range(vocabulary: int, spread: float) -> None:
    """Masses and variances are then below the least float, and factors above the largest."""
    generator = torch.Generator().manual_seed(vocabulary)
    for change, base in itertools.product((1e2, 1e3, 2e4, 1e6, 1e20), (3.0, spread)):
        uniform = torch.rand(2, 100, vocabulary, generator=generator, dtype=torch.float64)
        logits = base * torch.randn(200, vocabulary, generator=generator, dtype=torch.float64)
        checks = check(measure(logits, logits + change * torch.cat([uniform[0], uniform[1] ** 6])))
        assert violations(checks) == {}
        for key, result in checks.items():
            for slack in (result.lower_slack, result.upper_slack):
                assert slack is None or not slack.isnan().any(), key


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_model_against_itself_has_no_slack_and_no_violation(size: int) -> None:
    logits = torch.linspace(-3, 5, size, dtype=torch.float64)[None]
    for key, result in check(measure(logits, logits)).items():
        assert not result.violated.any(), key
        for slack in (result.lower_slack, result.upper_slack):
            assert slack is None or not slack.isnan().any(), key


def test_a_false_bound_is_caught() -> None:
    wrong = Theorem(
        "B99",
        "wrong",
        "wrong",
        "KL is at most a ninth of R^2",
        Status.VALID,
        (at_most(kl, oscillation**2 / 9),),
    )
    result = check(measure(torch.zeros(1, 2), torch.tensor([[0.5, -0.5]])), [wrong])["B99"]
    assert result.violated.all()
    assert (result.upper_slack < 0).all()


def test_rounding_alone_is_no_violation() -> None:
    """Two equal atoms sit where C2 is most sensitive to rounding: Var = R^2/4, d kappa/d Var infinite."""
    logits = torch.zeros(MANY, 2, dtype=torch.float64)
    change = torch.rand(MANY, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert violations(check(measure(logits, logits + change), ["C2", "C3", "C4", "C6"])) == {}


def test_tightness_is_one_at_the_swap_pair() -> None:
    drift = measure(torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, -1.0]]))
    for key in ("B1", "B7", "B3"):
        torch.testing.assert_close(check(drift, [key])[key].tightness, torch.ones(1, dtype=torch.float64))


def test_columns_may_come_as_a_mapping() -> None:
    columns = {"tv": torch.tensor([0.1, 0.9]), "oscillation": torch.tensor([1.0, 1.0])}
    assert check(columns, ["B1"])["B1"].violated.tolist() == [False, True]


def test_keys_name_theorem_and_quantity() -> None:
    assert [key for key, _ in claims_on_drift(catalogue["B5"])] == ["B5", "B5.kl_reverse"]
    assert catalogue["B5.kl_reverse"] is catalogue["kl-oscillation"]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="kl-oscillation"):
        check(measure(torch.zeros(1, 2), torch.zeros(1, 2)), ["kl-osculation"])


def test_bounds_and_estimates_have_the_drift_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, generator=generator)
    drift = measure(logits, logits + 0.1)
    lower, upper = catalogue["C5"].bounds(drift)
    assert lower is not None
    assert upper is not None
    assert lower.shape == upper.shape == catalogue["T3"].approximate(drift).shape == (2, 3)
    assert catalogue["C5"].statistics == ("oscillation", "var_p")
    with pytest.raises(ValueError, match="estimate"):
        catalogue["B1"].approximate(drift)


def test_symbols_of_a_claim_are_found() -> None:
    claim = at_most(tv, var_p * oscillation, when=oscillation < 1)
    assert claim.columns == ("oscillation", "tv", "var_p")


def test_every_claim_has_its_own_key() -> None:
    """Two claims about one quantity once shared a key, and only the last was checked."""
    for theorem in catalogue:
        keyed = claims_on_drift(theorem)
        assert len({key for key, _ in keyed}) == len(keyed), theorem.id
    assert [key for key, _ in claims_on_drift(catalogue["C7"])] == [
        "C7",
        *("C7.tv", "C7.tv.2", "C7.tv.3", "C7.tv.4"),
    ]


def test_only_what_is_proved_counts_as_checked() -> None:
    checked = check(measure(torch.tensor([1.0, 0.0, -1.0]), torch.tensor([1.5, 0.0, -1.0])))
    statuses = {catalogue[key].status for key in checked}
    assert statuses <= {Status.EXACT, Status.SHARP, Status.VALID}
    assert not any(key.startswith("J3") for key in checked)
