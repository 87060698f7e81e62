"""The model's own text as calibration data: what it is, that it is drawn once, and from the dense model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from real.forecast.text_drift import default_prompts
from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.calibration import calibration_rows
from real.pruning.spec import parse_spec
from real.text import own
from real.text.own import own_tokens
from real.text.sample import Samples, sample
from real.text.texts import openings
from tests.real.conftest import tiny_language_model
from theory.names import UnknownNameError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Samples, int]]:
    """Every draw, with its seed."""
    seen: list[tuple[Samples, int]] = []

    def watched(*given: Any, seed: int, **options: Any) -> Samples:
        seen.append((sample(*given, seed=seed, **options), seed))
        return seen[-1][0]

    monkeypatch.setattr(own, "sample", watched)
    return seen


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny_language_model()


def test_rows_are_texts_from_their_beginning(lm: LanguageModel, drawn: list[tuple[Samples, int]]) -> None:
    rows = own_tokens(lm, 5, 160).tolist()
    texts = [one.tokens[i, : one.lengths[i]].tolist() for one, _ in drawn for i in range(len(one))]
    for row in rows:
        whole: list[int] = []
        while len(whole) < len(row):
            whole += texts.pop(0)
        assert row == whole[: len(row)]
    assert all(one.temperature == 1 and int(one.prompt_lengths.max()) <= 80 for one, _ in drawn)
    assert len({seed for _, seed in drawn}) == len(drawn)


def test_no_report_draws_the_same(lm: LanguageModel, drawn: list[tuple[Samples, int]]) -> None:
    own_tokens(lm, 2, 160, seed=3)
    assert min(seed for _, seed in drawn) > 1 << 32
    assert not set(openings("calibration", 20)) & set(default_prompts(200))


def test_drawn_once_for_a_model_and_a_seed(
    lm: LanguageModel, drawn: list[tuple[Samples, int]], cache: Path
) -> None:
    first = own_tokens(lm, 2, 160)
    count = len(drawn)
    assert torch.equal(own_tokens(lm, 2, 160), first)
    assert len(drawn) == count
    others = [own_tokens(lm, 2, 160, seed=1), own_tokens(tiny_language_model(seed=1), 2, 160)]
    assert not any(torch.equal(other, first) for other in others)
    (kept,) = [p for p in (cache / "own_texts").iterdir() if first.tolist() == _rows(p)]
    kept.write_text(kept.read_text()[:100])
    assert torch.equal(own_tokens(lm, 2, 160), first)


def _rows(path: Path) -> Any:
    return json.loads(path.read_text())["value"]


def test_specs_are_calibrated_on_text_of_the_dense_model(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """What is dropped first does not write the text that later steps see."""
    monkeypatch.setattr("real.pruning.calibration.DEFAULT", (4, 160))
    spec = "attn:1+linear+wanda:50%"
    tokens = torch.arange(6).reshape(2, 3)
    with pruned(lm, spec, own_tokens(lm, 4, 160)), torch.no_grad():
        expected = lm.model(tokens).logits
    for path in (cache / "own_texts").iterdir():
        path.unlink()  # drawn again, in the course of pruning
    with pruned(lm, spec, "own") as applied, torch.no_grad():
        assert torch.equal(lm.model(tokens).logits, expected)
    assert {fact["calibration"] for fact in applied.facts} == {"the model's own text, seed 0"}


def test_steps_that_measure_take_fewer_whole_rows(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("real.pruning.calibration.DEFAULT", (16, 160))
    steps = parse_spec("attn:1@kl+attn:1").steps
    few, many = (calibration_rows(lm, "own", step) for step in steps)
    assert few is not None
    assert many is not None
    assert (few.shape, many.shape) == ((4, 160), (16, 160))
    assert torch.equal(few, many[:4])


def test_bad_asks_cost_one_sentence(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="2 rows of 400 tokens"):
        own_tokens(lm, 2, 400)
    with pytest.raises(ValueError, match="no prompt of tiny-llama leaves half of 16 tokens"):
        own_tokens(lm, 2, 16)
    with pytest.raises(UnknownNameError, match="own"):
        calibration_rows(lm, "owm", parse_spec("attn:1").steps[0])  # type: ignore[arg-type]
