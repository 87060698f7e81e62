"""llama.cpp in process on the embedded model's own file: exact ids in, its own kernels, all logits out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from real.engines import open_engine
from real.engines.engine import EngineError, Row
from real.engines.quantise import LADDER, registry_gguf
from real.records import Decoding, RecordedText
from real.text.sample import sample

pytest.importorskip("ik_llama_cpp", reason="the optional package ik-llama-cpp-python is not installed")
from real.engines.gguf_file import GgufEngine
from real.engines.hugging_face import HuggingFaceEngine
from real.models.load import load

TEXT = "The capital of France is Paris, and that of Germany is Berlin. Water boils at one hundred degrees."


@pytest.fixture(scope="module")
def shipped() -> GgufEngine:
    engine = open_engine("smollm2-135m@gguf")
    assert isinstance(engine, GgufEngine)
    return engine


@pytest.fixture(scope="module")
def transformers() -> HuggingFaceEngine:
    return HuggingFaceEngine(load("smollm2-135m"))


def text_of(ids: list[int]) -> RecordedText:
    """All tokens but the first stand as drawn ones."""
    return RecordedText(0, tuple(ids[:1]), tuple(ids[1:]), (-1.0,) * (len(ids) - 1))


def test_both_engines_read_text_alike(shipped: GgufEngine, transformers: HuggingFaceEngine) -> None:
    assert shipped.tokenizer_sha256 == transformers.tokenizer_sha256
    assert shipped.weights == transformers.weights
    assert (shipped.context_length, shipped.vocabulary) == (8192, 49152)
    for prompt in ("Hello!", "Écris « ça » 🙂\n\twith <|im_end|> inside", "  two  spaces "):
        assert shipped.encode(prompt) == transformers.encode(prompt)


def test_the_same_weights_in_both_engines(shipped: GgufEngine, transformers: HuggingFaceEngine) -> None:
    """The noise floor: a long enough text to pass from one call of llama.cpp to the next."""
    ids = transformers.lm.tokenizer(TEXT * 4).input_ids
    assert len(ids) > 2 * 32
    one, two = (engine.score([text_of(ids)], Decoding(), 4) for engine in (transformers, shipped))
    first, second = next(iter(one)), next(iter(two))
    moved = torch.tensor(second.logprobs) - torch.tensor(first.logprobs)
    assert float((torch.expm1(moved) - moved).mean()) < 0.02
    assert float(moved.abs().max()) > 1e-4  # other kernels indeed
    assert first.top is not None
    assert second.top is not None
    same = [a[0][0] == b[0][0] for a, b in zip(first.top, second.top, strict=True)]
    assert sum(same) / len(same) > 0.9


def test_reading_together_is_reading_one_by_one(shipped: GgufEngine) -> None:
    ids = shipped.model.tokenise(TEXT, special=False, markers=False)
    together = shipped.logits(ids[:3], ids[3:])
    shipped.logits([7], [8])  # forgets
    one_by_one = torch.cat([shipped.model.read(ids[: place + 1], 1) for place in range(len(ids) - 1)])
    assert torch.equal(together, one_by_one[2:])
    again = shipped.logits(ids[: len(ids) // 2], ids[len(ids) // 2 :])  # after a text that begins alike
    assert torch.equal(again, together[len(ids) // 2 - 3 :])


@pytest.mark.parametrize("decoding", [Decoding(0.0), Decoding(0.8), Decoding(1.0, top_k=3)])
def test_what_is_drawn_is_scored_alike(shipped: GgufEngine, decoding: Decoding) -> None:
    rows = [
        Row(index, index, tuple(shipped.encode(prompt)))
        for index, prompt in enumerate(("Hi", "Name a town."))
    ]
    texts = list(shipped.draw(rows, 6, decoding, 1, 2))
    assert texts == list(shipped.draw(rows, 6, decoding, 1, 2))
    for text, again in zip(texts, shipped.score(texts, decoding, 0), strict=True):
        assert again.logprobs == pytest.approx(text.logprobs, abs=1e-6)


def test_both_engines_run_one_race(shipped: GgufEngine, transformers: HuggingFaceEngine) -> None:
    """Noise of one seed in both engines: the texts are coupled, so their beginnings mostly agree."""
    prompt = transformers.encode("Name the capital of France.")
    expected = sample(transformers.lm, [prompt], 5, 4, 0.5, 11)
    texts = shipped.draw([Row(row, 0, tuple(prompt)) for row in range(4)], 5, Decoding(0.5), 11, 0)
    firsts = [text.ids[0] == int(expected.continuation(row)[0]) for row, text in enumerate(texts)]
    assert sum(firsts) >= 3


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    noise, cut = tmp_path / "noise.gguf", tmp_path / "cut.gguf"
    noise.write_bytes(b"not a model")
    cut.write_bytes(registry_gguf("smollm2-135m").read_bytes()[:100_000])
    for path in (noise, cut):
        with pytest.raises(EngineError, match=path.name) as refusal:
            open_engine(str(path))
        assert "\n" not in str(refusal.value)
    with pytest.raises(FileNotFoundError, match="absent"):
        open_engine(str(tmp_path / "absent.gguf"))
    with pytest.raises(ValueError, match="nearest"):
        open_engine("smollm2-135m@Q9")


def drift(engine: GgufEngine, dense: GgufEngine) -> float:
    ids = dense.model.tokenise(TEXT, special=False, markers=False)
    p, q = (torch.log_softmax(one.logits(ids[:1], ids[1:]).double(), -1) for one in (dense, engine))
    return float((p.exp() * (p - q)).sum(-1).mean())


def test_eight_bits_of_the_shipped_file_are_near_it(shipped: GgufEngine) -> None:
    engine = open_engine("smollm2-135m@Q8_0")
    assert isinstance(engine, GgufEngine)
    assert engine.weights != shipped.weights
    assert "Q8_0" in engine.description
    assert 0 < drift(engine, shipped) < 0.03


@pytest.mark.slow
def test_the_ladder_goes_down(shipped: GgufEngine) -> None:
    engines = [GgufEngine(registry_gguf("smollm2-135m", step)) for step in LADDER]
    drifts = [drift(engine, shipped) for engine in engines]
    assert drifts == sorted(drifts)
    assert drifts[-1] > 0.2
