"""State-space models and hybrids in half precision are forecast, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from real.forecast.report import forecast_texts
from real.forecast.text_drift import Forecast
from real.models.load import LanguageModel, load
from real.models.save import save
from real.structure.anatomy import AnatomyError
from real.structure.drop import DropError
from tests.real.every_family import tiny


def outcome(lm: LanguageModel, spec: str) -> Forecast | str:
    try:
        return forecast_texts(lm, [spec], ["hello", "some words"], tokens=3).forecasts[0]
    except (AnatomyError, DropError) as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["mamba2", "falcon_h1", "jamba"])
def test_half_precision(name: str, dtype: str, tmp_path: Path) -> None:
    lm = load(str(save(tiny(name), tmp_path / "model")), dtype=dtype)
    for spec in ("int8", "magnitude:50%", "attn:[0]", "block:[0]"):
        found = outcome(lm, spec)
        if isinstance(found, str):
            assert spec.startswith(("attn", "block")), found
            assert "\n" not in found
        else:
            assert 0 < found.kl_per_token.mean < 10
            assert found.noise is not None
