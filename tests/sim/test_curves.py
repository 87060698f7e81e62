"""Predicted curves and the regime map against simulation."""

import numpy as np
import pandas as pd
import pytest

from sim.curves import predicted_curves
from sim.regimes import regime_map
from sim.scatter import bounds_and_witnesses, estimate_error


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return predicted_curves(3, draws=800, settings=(("flat", 16), ("gaussian", 64)), noises=(0.1, 1.0))


def test_exact_laws_meet_the_measured_means(curves: pd.DataFrame) -> None:
    exact = curves[curves["kind"] == "exact"]
    sigma = (exact["high"] - exact["low"]) / 6
    deviation = (exact["predicted"] - exact["measured"]).abs() / sigma
    assert {"F1", "F2", "F3"} <= set(exact["theorem"])
    assert deviation.max() < 5
    assert deviation.mean() < 2


def test_jeffreys_identity_holds_in_every_gaussian_run(curves: pd.DataFrame) -> None:
    gaussian = curves[curves["distribution"] == "gaussian"]
    assert gaussian["jeffreys_excess"].abs().max() < 5
    assert curves.loc[curves["distribution"] != "gaussian", "jeffreys_excess"].isna().all()


def test_jeffreys_identity_would_see_the_wrong_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.stats

    wrong = {"gaussian": lambda noise: scipy.stats.norm(scale=1.2 * noise)}
    monkeypatch.setattr("sim.curves.DISTRIBUTIONS", wrong)
    frame = predicted_curves(0, 800, (("flat", 16),), (0.5,), ("gaussian",))
    assert frame["jeffreys_excess"].abs().max() > 5


def test_bounds_on_means_hold(curves: pd.DataFrame) -> None:
    bounded = curves[curves["kind"] != "exact"]
    assert not (bounded["upper"] < bounded["low"]).any()
    assert not (bounded["lower"] > bounded["high"]).any()


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


def test_unknown_distribution_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="gaussian"):
        predicted_curves(0, 10, distributions=("gausian",))
