"""A forecast from records is the forecast made in process, and its limits hold by themselves."""

from __future__ import annotations

import math
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from real.engines.hugging_face import HuggingFaceEngine
from real.engines.recording import draw_record, score_record
from real.forecast.recorded import forecast_records
from real.forecast.recorded_verdicts import recorded_verdicts
from real.forecast.stepwise import dense_pass, greedy_prefix, score_variant
from real.forecast.text_drift import by_prompt
from real.models.load import LanguageModel
from real.records import Decoding, Header, RecordedText, read_record, write_record
from real.scores.verdict import Outcome
from real.text.sample import Samples, pack
from tests.real.conftest import tiny_language_model
from theory import kl_terms, survival_weights, tv_terms
from theory.sequences.betting import betting_band
from theory.sequences.scores import ScoredTexts, score_band

PROMPTS = ["One.", "Another one", "A third", "The last of them"]
SAME = 1e-6


@pytest.fixture(scope="module")
def other_lm(tiny_lm: LanguageModel) -> LanguageModel:
    """The same model with a little noise on every weight."""
    other = tiny_language_model()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    return replace(other, name="other")


@pytest.fixture(scope="module")
def pair(
    tiny_lm: LanguageModel, other_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Both models' teacher-forced records of texts that the first one drew, every token of the vocabulary."""
    folder = tmp_path_factory.mktemp("pair")
    drawn = folder / "drawn.jsonl"
    dense, other = HuggingFaceEngine(tiny_lm), HuggingFaceEngine(other_lm)
    draw_record(dense, PROMPTS, drawn, tokens=12, samples=3, decoding=Decoding(0.8), seed=5)
    for engine, name in ((dense, "dense"), (other, "other")):
        score_record(engine, drawn, folder / f"{name}.jsonl", top=258)
    return folder / "dense.jsonl", folder / "other.jsonl"


def samples_of(lm: LanguageModel, path: Path) -> Samples:
    header, texts = read_record(path)
    found = list(texts)
    rows = [(text.prompt, list(text.prompt_ids)) for text in found]
    return pack(lm, rows, [list(text.ids) for text in found], header.decoding.temperature, header.seed)


def test_records_and_process_agree(
    tiny_lm: LanguageModel, other_lm: LanguageModel, pair: tuple[Path, Path]
) -> None:
    samples = samples_of(tiny_lm, pair[0])
    scores = score_variant(tiny_lm, dense_pass(tiny_lm, samples), other_lm)
    found = forecast_records(*pair)
    assert found.tokens.tolist() == list(range(1, samples.horizon + 1))
    for band, terms in (
        (found.sequence_tv, tv_terms(scores.log_ratio)),
        (found.survival, survival_weights(scores.log_ratio)),
    ):
        expected = betting_band(by_prompt(terms, samples), found.level)
        for part in ("mean", "lower", "upper"):
            assert torch.allclose(getattr(band, part), getattr(expected, part), rtol=0, atol=SAME)
    # every token was kept, so what is certain of a step is its total variation
    live = scores.live.sum(1)
    tv = float(by_prompt((scores.tv.sum(1) / live).unsqueeze(1), samples).mean())
    assert found.step_tv == pytest.approx((tv, tv), abs=SAME)
    plain = kl_terms(scores.log_ratio).mean(0)
    steady = (torch.expm1(scores.log_ratio) - scores.log_ratio).cumsum(1).mean(0)
    assert any(torch.allclose(found.kl, curve, rtol=SAME, atol=SAME) for curve in (plain, steady))


def test_what_was_recorded_while_drawing_is_what_a_pass_says(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    engine = HuggingFaceEngine(tiny_lm)
    draw_record(engine, PROMPTS, tmp_path / "drawn.jsonl", tokens=10, samples=2, top=4)
    score_record(engine, tmp_path / "drawn.jsonl", tmp_path / "again.jsonl")
    found = forecast_records(tmp_path / "drawn.jsonl", tmp_path / "again.jsonl")
    assert float(found.sequence_tv.mean[-1]) < 1e-5
    assert float(found.survival.mean[-1]) > 1 - 1e-5
    assert found.kl_per_token.mean == pytest.approx(0, abs=1e-6)
    assert found.half_life.estimate is None


def test_greedy_records_find_the_departure(
    tiny_lm: LanguageModel, other_lm: LanguageModel, tmp_path: Path
) -> None:
    drawn, other = tmp_path / "drawn.jsonl", tmp_path / "other.jsonl"
    draw_record(HuggingFaceEngine(tiny_lm), PROMPTS, drawn, tokens=12, decoding=Decoding(0.0), top=1)
    score_record(HuggingFaceEngine(other_lm), drawn, other, top=1)
    found = forecast_records(drawn, other)
    assert found.greedy_identical is not None
    dense = dense_pass(tiny_lm, samples_of(tiny_lm, drawn))
    expected = greedy_prefix(tiny_lm, dense, other_lm)
    assert found.greedy_identical[0].tolist() == expected.identical.tolist()
    assert found.greedy_identical[1].tolist() == expected.length.tolist()


def rounded(path: Path, folder: Path, digits: int) -> Path:
    """The record as a server writes it that keeps so many digits behind the point."""
    header, texts = read_record(path)
    found = [
        replace(text, logprobs=tuple(min(0.0, round(value, digits)) for value in text.logprobs), top=None)
        for text in texts
    ]
    header = replace(header, rounding=0.5 * 10.0**-digits)
    target = folder / f"{digits}-{path.name}"
    write_record(target, header, lambda start: found[start:], len(found))
    return target


@pytest.mark.parametrize("digits", [1, 2, 4])
def test_rounding_widens_every_limit(pair: tuple[Path, Path], tmp_path: Path, digits: int) -> None:
    exact = forecast_records(*pair)
    coarse = forecast_records(*(rounded(path, tmp_path, digits) for path in pair))
    assert coarse.rounding == pytest.approx(10.0**-digits)
    for name in ("sequence_tv", "survival"):
        wide, narrow = getattr(coarse, name), getattr(exact, name)
        assert bool((wide.lower <= narrow.lower + 1e-9).all())
        assert bool((wide.upper >= narrow.upper - 1e-9).all())
    for name in ("acceptance", "identical_tokens"):
        wide, narrow = getattr(coarse, name), getattr(exact, name)
        assert wide.lower <= narrow.lower + 1e-9
        assert wide.upper >= narrow.upper - 1e-9
    assert coarse.kl_per_token.lower <= exact.kl_per_token.lower + 1e-9


def constant(folder: Path, prompts: int, tokens: int, log_q: float) -> tuple[Path, Path]:
    """Texts whose tokens have probability 1/2 under the first model and e^log_q under the second."""
    paths = folder / "dense.jsonl", folder / "other.jsonl"
    for path, value in zip(paths, (math.log(0.5), log_q), strict=True):
        texts = [RecordedText(index, (1,), (2,) * tokens, (value,) * tokens) for index in range(prompts)]
        write_record(path, Header(path.stem, "none"), lambda start, texts=texts: texts[start:], prompts)
    return paths


def test_known_curves_of_constant_ratios(tmp_path: Path) -> None:
    found = forecast_records(*constant(tmp_path, 40, 6, math.log(0.5) - 0.2))
    n = torch.arange(1, 7, dtype=torch.float64)
    assert torch.allclose(found.survival.mean, torch.exp(-0.2 * n), atol=1e-7)
    assert torch.allclose(found.sequence_tv.mean, 1 - torch.exp(-0.2 * n), atol=1e-7)
    assert found.half_life.estimate == 4
    assert found.acceptance.mean == pytest.approx(math.exp(-0.2))
    assert found.identical_tokens.mean == pytest.approx(float(torch.exp(-0.2 * n).sum()))


def test_verdicts_follow_the_limits(tmp_path: Path) -> None:
    outcomes = []
    for index, (prompts, log_q) in enumerate(((200, math.log(0.5)), (200, -9.0), (4, math.log(0.5)))):
        (folder := tmp_path / str(index)).mkdir()
        verdicts = recorded_verdicts(forecast_records(*constant(folder, prompts, 8, log_q)))
        outcomes.append([verdict.outcome for verdict in verdicts])
    assert outcomes == [[Outcome.SAFE] * 2, [Outcome.UNDECIDED] * 2, [Outcome.UNDECIDED] * 2]


def test_a_token_the_other_model_cannot_write(tmp_path: Path) -> None:
    found = forecast_records(*constant(tmp_path, 30, 3, -math.inf))
    assert float(found.sequence_tv.mean[-1]) == 1
    assert found.acceptance.mean == 0
    assert found.kl_per_token.mean == math.inf
    assert found.kl_per_token.lower > 1


def test_long_records_are_tabulated_at_doublings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("real.forecast.recorded._MOST_VALUES", 100)
    found = forecast_records(*constant(tmp_path, 20, 11, math.log(0.5) - 0.1))
    assert found.tokens.tolist() == [1, 2, 4, 8, 11]
    assert torch.allclose(found.survival.mean, torch.exp(-0.1 * found.tokens.double()), atol=1e-7)
    assert found.half_life.estimate == 8
    assert found.identical_tokens.mean == pytest.approx(sum(math.exp(-0.1 * n) for n in range(1, 12)))


def test_texts_are_not_kept(tmp_path: Path) -> None:
    """Between 10 and 100 prompts memory grows by less than a twentieth of what one text of each takes."""

    def peak(prompts: int) -> int:
        (folder := tmp_path / str(prompts)).mkdir()
        paths = constant(folder, prompts, 300, math.log(0.5) - 0.2)
        tracemalloc.start()
        try:
            forecast_records(*paths)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports
    text = 300 * sys.getsizeof(0.5) * 2  # a log-probability and an id each
    assert peak(100) - peak(10) < 90 * text / 20


def test_scored_texts_give_the_band_of_the_score(pair: tuple[Path, Path], tmp_path: Path) -> None:
    header, texts = read_record(pair[0])
    scored = [replace(text, score=float(text.ids[0] % 2)) for text in texts]
    dense = tmp_path / "dense.jsonl"
    write_record(dense, header, lambda start: scored[start:], len(scored))
    found = forecast_records(dense, pair[1])
    log_weights = [
        math.fsum(two.logprobs) - math.fsum(one.logprobs)
        for one, two in zip(scored, read_record(pair[1])[1], strict=True)
    ]
    scores = torch.tensor([text.score for text in scored])
    places = {text.prompt: None for text in scored}
    prompt = torch.tensor([list(places).index(text.prompt) for text in scored])
    weights = torch.tensor(log_weights, dtype=torch.float64)
    expected = score_band(ScoredTexts(weights, scores, prompt), found.level)
    assert found.score is not None
    for name in ("dense", "perturbed", "change"):
        for part in ("mean", "lower", "upper"):
            got, wanted = getattr(getattr(found.score, name), part), getattr(getattr(expected, name), part)
            assert float(got) == pytest.approx(float(wanted), abs=1e-12)
    assert forecast_records(*pair).score is None
    coarse = forecast_records(rounded(dense, tmp_path, 2), rounded(pair[1], tmp_path, 2)).score
    assert coarse is not None
    assert float(coarse.change.lower) <= float(found.score.change.lower)
    assert float(coarse.change.upper) >= float(found.score.change.upper)
