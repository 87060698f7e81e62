"""Predicted curves and the regime map against simulation."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import sympy as sp
from rich.console import Console

from sim.noise import tails as tails_module
from sim.noise.curves import curves_table, predicted_curves
from sim.noise.regimes import regime_map, regime_tables
from sim.sweeps.scatter import bounds_and_witnesses, estimate_error
from theory.formulas.claims import at_most
from theory.statements.catalogue import catalogue
from theory.statements.f_noise.tails import deviation as x
from theory.statements.f_noise.tails import tail_probability as tail
from theory.statements.parameters import noise as tau


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return predicted_curves(3, 800, (("flat", 16), ("gaussian", 64)), noises=(0.1, 1.0), temperatures=(2.0,))


def test_exact_laws_meet_the_measured_means(curves: pd.DataFrame) -> None:
    exact = curves[curves["kind"] == "exact"]
    sigma = (exact["high"] - exact["low"]) / 6 + 1e-12 * exact["measured"]  # E2 is a constant at flat p
    deviation = (exact["predicted"] - exact["measured"]).abs() / sigma
    assert {"E2", "E3", "F1", "F2", "F3"} == set(exact["theorem"])
    assert deviation.max() < 5
    assert deviation.mean() < 2


def test_jeffreys_identity_holds_in_every_gaussian_run(curves: pd.DataFrame) -> None:
    gaussian = curves[curves["distribution"] == "gaussian"]
    assert gaussian["jeffreys_excess"].abs().max() < 5
    assert curves.loc[curves["distribution"] != "gaussian", "jeffreys_excess"].isna().all()


def test_jeffreys_identity_would_see_the_wrong_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.stats

    wrong = {"gaussian": lambda noise: scipy.stats.norm(scale=1.2 * noise)}
    monkeypatch.setattr("sim.noise.curves.DISTRIBUTIONS", wrong)
    frame = predicted_curves(0, 800, (("flat", 16),), (0.5,), ("gaussian",), (1.0,))
    assert frame["jeffreys_excess"].abs().max() > 5


def test_bounds_on_means_hold(curves: pd.DataFrame) -> None:
    assert set(curves["theorem"]) == {"E2", "E3", *(f"F{number}" for number in range(1, 9))}
    bounded = curves[curves["kind"].isin(["bound", "estimate"])]
    assert not (bounded["upper"] < bounded["low"]).any()
    assert not (bounded["lower"] > bounded["high"]).any()


def test_tails_stay_below_the_concentration_bounds(curves: pd.DataFrame) -> None:
    tails = curves[curves["kind"] == "tail"]
    assert set(tails["theorem"]) == {"F6", "F7"}
    assert (tails["low"] <= tails["upper"]).all()
    assert (tails["low"] <= tails["measured"]).all()
    assert (tails["measured"] <= tails["high"]).all()
    lower_half = tails[tails["quantity"] == "P(var_p/2 <= x)"]
    assert lower_half["measured"].max() > 0.01
    assert tails.loc[tails["theorem"] == "F6", "measured"].max() > 0.01


def test_a_false_tail_bound_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """sqrt(KL) does not concentrate that fast."""
    false = replace(catalogue["F6"].claims[6], upper=at_most(tail, sp.exp(-90 * x**2 / tau**2)).upper)
    monkeypatch.setitem(tails_module.CONCENTRATION, "sqrt_kl", false)
    frame = predicted_curves(0, 800, (("gaussian", 8),), (1.0,), ("gaussian",), (1.0,))
    frame = frame[frame["kind"] == "tail"]
    broken = frame[frame["low"] > frame["upper"]]
    assert set(broken["quantity"]) == {"P(|sqrt_kl - mean| >= x)"}


def test_fourth_order_is_better_than_second_for_small_noise(curves: pd.DataFrame) -> None:
    fourth = curves[(curves["theorem"] == "F4") & (curves["noise"] == 0.1) & (curves["quantity"] == "kl")]
    assert (fourth["predicted"] - fourth["measured"]).abs().max() < 0.1 * fourth["measured"].min()


def test_regime_map_shows_saturation_and_gauge() -> None:
    frame = regime_map(
        0, draws=60, vocabulary=256, shares=(0.01, 0.5, 0.99), temperatures=(1.0, 4.0), noises=(0.02,)
    )
    at_one = frame[frame["temperature"] == 1.0].set_index("entropy_share")
    np.testing.assert_allclose(at_one["entropy"], at_one.index * np.log(256), rtol=1e-6)
    median = at_one["amplification_z_centred_median"]
    assert median[0.5] > 1 > median[0.99]
    assert median[0.01] < median[0.5]
    # The common offset of the logits makes the raw cosine blind: the same drift looks amplified everywhere.
    assert (frame["amplification_z"] > frame["amplification_z_centred"]).all()
    predicted = at_one.loc[0.99, "predicted_z_centred"]
    assert at_one.loc[0.99, "amplification_z_centred"] == pytest.approx(predicted, rel=0.2)


def test_samples_for_figures_respect_the_bounds() -> None:
    frame = bounds_and_witnesses(0, 8, (3,))
    assert frame["tightness"].between(-1e-9, 1).all()
    assert frame[frame["witness"]].groupby("theorem")["tightness"].max()["B1"] > 0.999
    estimates = estimate_error(0, 8, (3,))
    assert {"T2", "T3"} <= set(estimates["theorem"])


@pytest.mark.parametrize("arguments", [{"vocabulary": 3}, {"shares": (0.0,)}])
def test_bad_regimes_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="required"):
        regime_map(0, **arguments)  # type: ignore[arg-type]


def test_lessons_print_every_law_and_every_base(curves: pd.DataFrame) -> None:
    text = StringIO()
    console = Console(file=text, width=200)
    console.print(curves_table(curves))
    shown = {line.partition(" ")[0] for line in text.getvalue().splitlines()}
    assert set(curves["theorem"]) <= shown
    frame = regime_map(0, 10, 64, (0.2, 0.9), (1.0,), (0.1,))
    console.print(regime_tables(frame))
    words = " ".join(text.getvalue().split())  # a title is as wide as its table
    assert all(base in words for base in ("hidden state", "raw logits", "centred logits"))


def test_unknown_distribution_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="gaussian"):
        predicted_curves(0, 10, distributions=("gausian",))
