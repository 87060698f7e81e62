"""Served models: what a server says of given tokens is used where it can be trusted, and named where not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from real.engines.engine import EngineError, Row
from real.engines.http_server import KEY
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.recording import draw_record, score_record
from real.engines.served import ServedEngine
from real.forecast.recorded import forecast_records
from real.models.load import LanguageModel
from real.records import Decoding, RecordedText
from real.records.write import Progress
from tests.real.engines.dialects import TinyServer, serve

TEXTS = [
    RecordedText(0, (72, 101, 108), (108, 111, 32, 119), (-1.0,) * 4),
    RecordedText(1, (79, 110), (101, 257), (-1.0,) * 2, True, 0.5),
]
ROWS = [Row(index, index, (72 + index, 101, 108)) for index in range(6)]


def scored(lm: LanguageModel, dialect: str, top: int = 0, **how: int) -> list[RecordedText]:
    with serve(TinyServer(lm, dialect, **how)) as address:
        return list(ServedEngine(address).score(TEXTS, Decoding(), top))


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "forced"])
def test_a_server_scores_as_the_model_does(tiny_lm: LanguageModel, dialect: str) -> None:
    expected = HuggingFaceEngine(tiny_lm).score(TEXTS, Decoding(), 3)
    for one, other in zip(scored(tiny_lm, dialect, 3), expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        assert (one.ids, one.stopped, one.score) == (other.ids, other.stopped, other.score)
        if dialect == "sglang":  # tokens without ids
            assert one.top is None
            continue
        assert one.top is not None
        assert other.top is not None
        for mine, theirs in zip(one.top, other.top, strict=True):
            assert dict(mine) == pytest.approx(dict(mine) | dict(theirs), abs=1e-5)


@pytest.mark.parametrize(
    ("dialect", "sentence"),
    [
        ("mute", "gives no log-probabilities"),
        ("text", "accepts echo and says nothing of the prompt"),
        ("chat", "chat endpoints take no token ids"),
        ("again", r"echo: it tells of 10 tokens where 8 were sent: it tokenises again"),
        ("biased", "logit_bias: the log-probabilities are of the biased law"),
        ("endless", "draw text but not score it"),
    ],
)
def test_traps_are_named(tiny_lm: LanguageModel, dialect: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence) as refused:
        scored(tiny_lm, dialect)
    assert "\n" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def test_the_answers_of_other_tokens_are_never_taken(tiny_lm: LanguageModel) -> None:
    """A prompt whose length survives a second tokenisation is told by its ids."""

    class Shifted(TinyServer):
        def completion(self, body: dict[str, object]) -> dict[str, object]:
            ids = body["prompt"]
            assert isinstance(ids, list)
            return super().completion(body | {"prompt": [(token + 1) % 250 for token in ids]})

    with (
        serve(Shifted(tiny_lm, "vllm")) as address,
        pytest.raises(EngineError, match="other tokens than were sent"),
    ):
        list(ServedEngine(address).score(TEXTS, Decoding(), 0))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_drawn_text_has_the_probabilities_of_the_model(tiny_lm: LanguageModel, temperature: float) -> None:
    server = TinyServer(tiny_lm, "vllm")
    with serve(server) as address:
        engine = ServedEngine(address)
        texts = list(engine.draw(ROWS, 5, Decoding(temperature), 3, 2))
        assert [text.prompt_ids for text in texts] == [row.prompt_ids for row in ROWS]
        again = list(engine.score(texts, Decoding(temperature), 2))
    for text, other in zip(texts, again, strict=True):
        assert text.logprobs == pytest.approx(other.logprobs, abs=1e-9)
        assert text.stopped == (text.ids[-1] == 257)
        assert text.top is not None
    drawn = [asked for asked in server.asked if asked.get("max_tokens") == 5]
    assert all(asked["top_p"] == 1 and asked["min_p"] == 0 and asked["top_k"] == -1 for asked in drawn)
    assert len({asked["seed"] for asked in drawn}) == len(ROWS)


def test_tokens_without_ids_are_not_recorded(tiny_lm: LanguageModel) -> None:
    with (
        serve(TinyServer(tiny_lm, "sglang")) as address,
        pytest.raises(EngineError, match="without their ids"),
    ):
        list(ServedEngine(address).draw(ROWS, 3, Decoding(), 0, 0))


def test_a_hidden_stop_is_found(tiny_lm: LanguageModel) -> None:
    class Ends(TinyServer):
        def write(self, ids: list[int], body: dict[str, object]) -> list[int]:
            return [65, 257] if body["max_tokens"] == 5 else [65]

    with serve(Ends(tiny_lm, "endless")) as address:
        engine = ServedEngine(address)
        with pytest.raises(EngineError, match="wrote 2 tokens and tells 1"):
            list(engine.draw(ROWS[:1], 5, Decoding(), 0, 0))


@pytest.mark.parametrize(("decimals", "expected"), [(2, 0.005), (4, 0.00005), (12, 0.0)])
def test_rounding_is_read_off_the_digits(tiny_lm: LanguageModel, decimals: int, expected: float) -> None:
    with serve(TinyServer(tiny_lm, "vllm", decimals)) as address:
        engine = ServedEngine(address)
        assert engine.rounding == pytest.approx(expected)
        exact = HuggingFaceEngine(tiny_lm).score(TEXTS, Decoding(), 0)
        for one, other in zip(engine.score(TEXTS, Decoding(), 0), exact, strict=True):
            moved = torch.tensor(one.logprobs) - torch.tensor(other.logprobs)
            assert float(moved.abs().max()) <= expected + 1e-5


def test_impossible_tokens_have_probability_zero(tiny_lm: LanguageModel) -> None:
    class Never(TinyServer):
        def laws(self, ids: list[int]) -> torch.Tensor:
            law = super().laws(ids)
            law[:, 111] = -math.inf
            return law

    with serve(Never(tiny_lm, "vllm")) as address:
        (text, _) = ServedEngine(address).score(TEXTS, Decoding(), 0)
    assert text.logprobs[1] == -math.inf
    assert math.isfinite(text.logprobs[0])


@pytest.mark.parametrize(
    "decoding", [Decoding(0.7), Decoding(1.0, top_k=3), Decoding(repetition_penalty=1.1)]
)
def test_other_laws_are_refused(tiny_lm: LanguageModel, decoding: Decoding) -> None:
    with serve(TinyServer(tiny_lm, "vllm")) as address:
        engine = ServedEngine(address)
        with pytest.raises(EngineError, match="before temperature and cuts"):
            list(engine.score(TEXTS, decoding, 0))
        with pytest.raises(EngineError, match="before temperature and cuts"):
            list(engine.draw(ROWS, 2, decoding, 0, 0))


def test_prompts_are_read_by_the_server_or_the_tokenizer_given(
    tiny_lm: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = tiny_lm.tokenizer("Hello").input_ids
    with serve(TinyServer(tiny_lm, "vllm")) as address:
        assert ServedEngine(address).encode("Hello") == expected
        engine = ServedEngine(address, tiny_lm.tokenizer)
        assert engine.tokenizer_sha256 == HuggingFaceEngine(tiny_lm).tokenizer_sha256
    with serve(TinyServer(tiny_lm, "sglang")) as address:
        with pytest.raises(EngineError, match="--tokenizer"):
            ServedEngine(address).encode("Hello")
        assert ServedEngine(address, tiny_lm.tokenizer).encode("Hello") == expected
    assert "on trust" in " ".join(capsys.readouterr().err.split())


def test_another_tokenizer_is_refused(tiny_lm: LanguageModel) -> None:
    class Other(TinyServer):
        def answer(self, path: str, body: dict[str, object]) -> tuple[int, object]:
            return (200, {"tokens": [1, 2, 3]}) if path == "/tokenize" else super().answer(path, body)

    with serve(Other(tiny_lm, "vllm")) as address, pytest.raises(EngineError, match="another tokenizer"):
        ServedEngine(address, tiny_lm.tokenizer)


def test_a_busy_server_is_asked_again(tiny_lm: LanguageModel) -> None:
    with serve(TinyServer(tiny_lm, "vllm", busy=2)) as address:
        assert ServedEngine(address).context_length == 256


def test_a_key_goes_along_and_is_asked_for(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(TinyServer(tiny_lm, "vllm", key="secret")) as address:
        monkeypatch.delenv(KEY, raising=False)
        with pytest.raises(EngineError, match=f"set {KEY}"):
            ServedEngine(address)
        monkeypatch.setenv(KEY, "secret")
        engine = ServedEngine(address)
    assert "secret" not in engine.description + engine.name


@pytest.mark.parametrize(
    "address", ["http://", "http://127.0.0.1:99999/v1", "http://127.0.0.1:1/v1", "http://[::1"]
)
def test_addresses_without_a_server(address: str) -> None:
    with pytest.raises(EngineError) as refused:
        ServedEngine(address)
    assert "\n" not in str(refused.value)


def test_a_model_is_named_among_several(tiny_lm: LanguageModel) -> None:
    class Several(TinyServer):
        def answer(self, path: str, body: dict[str, object]) -> tuple[int, object]:
            if path == "/v1/models":
                return 200, {"data": [{"id": "tiny"}, {"id": "large", "aliases": ["big"]}]}
            return super().answer(path, body)

    with serve(Several(tiny_lm, "vllm")) as address:
        with pytest.raises(EngineError, match="#large #tiny"):
            ServedEngine(address)
        with pytest.raises(ValueError, match="nearest"):
            ServedEngine(f"{address}#tinny")
        assert "large" in ServedEngine(f"{address}#big").description


def test_a_recording_goes_on_after_a_server_failed(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    class Fails(TinyServer):
        left = 7

        def completion(self, body: dict[str, Any]) -> dict[str, Any]:
            if body["max_tokens"] == 3 or "prompt_logprobs" in body:
                self.left -= 1
            return super().completion(body)

        def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
            return (400, {"message": "out\nof memory"}) if self.left < 0 else super().answer(path, body)

    server, prompts = Fails(tiny_lm, "vllm"), [f"prompt {index}" for index in range(11)]
    dense, other = tmp_path / "dense.jsonl", tmp_path / "other.jsonl"

    def interrupted(record: Callable[[ServedEngine], Progress]) -> None:
        with serve(server) as address:
            engine = ServedEngine(address)
            engine.name = "http://tiny"  # the port is another one every time
            with pytest.raises(EngineError, match="answers 400: out of memory"):
                record(engine)
            server.left = 1000
            done = record(engine)
        assert 0 < done.kept < 11 == done.kept + done.written

    interrupted(lambda engine: draw_record(engine, prompts, dense, tokens=3))
    server.left = 7
    interrupted(lambda engine: score_record(engine, dense, other))
    assert forecast_records(dense, other).kl_per_token.mean == pytest.approx(0, abs=1e-6)
