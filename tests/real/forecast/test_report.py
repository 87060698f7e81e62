from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
import torch
from matplotlib.text import Text

import real
from real.forecast.report import TextReport, forecast_texts
from real.models.load import LanguageModel
from tests.real.conftest import tiny_language_model
from tests.theory.hostile import HOSTILE
from theory.outside import visible

PROMPTS = ["hello", "some words", "one two three"]


@pytest.fixture(scope="module")
def report(tiny_lm: LanguageModel) -> TextReport:
    return forecast_texts(tiny_lm, ["attn:0", "attn:1"], PROMPTS, tokens=5, samples=2)


def test_the_table_is_that_of_the_forecasts(report: TextReport) -> None:
    frame = report.frame().set_index("spec")
    assert frame.loc["attn:0", ["kl_per_token", "tv"]].tolist() == [0, 0]
    for one in report.forecasts:
        assert frame.loc[one.spec, "kl_per_token_upper"] == one.kl_per_token.upper
        assert frame.loc[one.spec, "tv_lower"] == float(one.sequence_tv.lower[-1])
        for verdict in report.verdicts[one.spec]:
            assert frame.loc[one.spec, verdict.kind] == verdict.outcome.value


def test_curves_have_one_row_per_token(report: TextReport) -> None:
    curves = report.curves()
    assert len(curves) == 2 * report.forecasts[0].horizon
    one = report.forecasts[1]
    found = torch.tensor(curves[curves.spec == "attn:1"]["survival_upper"].to_numpy())
    torch.testing.assert_close(found, one.survival.upper)


def test_it_shows_itself(report: TextReport) -> None:
    assert repr(report).startswith("<TextReport of tiny-llama: attn:0 0.000")
    page = report._repr_html_()
    assert "short answer" in page
    assert "attn:1" in page
    assert len(report.plot().axes) == 3


def test_names_are_data() -> None:
    """A folder's name may hold markup; a page shows it as text."""
    report = forecast_texts(_named("<b>x</b>"), ["attn:0"], PROMPTS, tokens=2)
    assert "<b>x</b>" not in report._repr_html_()


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_text(name: str, report: TextReport) -> None:
    one = TextReport(name, tuple(replace(found, spec=name) for found in report.forecasts))
    canvas = one.plot()
    canvas.savefig(BytesIO(), format="png", dpi=30)
    legend = canvas.axes[0].get_legend()
    assert legend is not None
    assert len(legend.texts) == 2  # none is left out
    assert drawn_as([*legend.texts, legend.get_title()]) == {visible(name)}


def drawn_as(texts: list[Text]) -> set[str]:
    """What is shown of texts; none of it is mathematics."""
    found = [text._preprocess_math(text.get_text()) for text in texts]  # type: ignore[attr-defined]
    assert not any(math for _, math in found)
    return {shown.removeprefix(" ") if shown.startswith(" _") else shown for shown, _ in found}


def _named(name: str) -> LanguageModel:
    lm = tiny_language_model()
    return LanguageModel(lm.model, lm.tokenizer, name, {"name": name})


def test_a_model_in_memory(tiny_lm: LanguageModel, report: TextReport) -> None:
    same = real.forecast_texts((tiny_lm.model, tiny_lm.tokenizer), ["attn:1"], PROMPTS, tokens=5, samples=2)
    assert same.model == "model in memory"
    assert same.forecasts[0].kl_per_token == report.forecasts[1].kl_per_token


def test_no_spec_is_one_sentence(tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="at least one variant"):
        forecast_texts(tiny_lm, [])
