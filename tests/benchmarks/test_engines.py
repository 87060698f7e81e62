"""What recording adds to sampling, and what scoring a GGUF file adds to llama.cpp's own reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from real.engines import open_engine
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.recording import draw_record
from real.records import Decoding, RecordedText
from real.text.sample import sample
from tests.benchmarks.test_forecast import PROMPTS, SAMPLES, TOKENS
from tests.benchmarks.test_trace import seconds, smollm2_shape

pytestmark = pytest.mark.benchmark

Record = Callable[[str, object], None]
READ = 1000  # tokens


def test_recording_beside_sampling(record_property: Record, tmp_path: Path) -> None:
    lm = smollm2_shape(layers=30)
    engine = HuggingFaceEngine(lm)
    names = iter(range(100))

    def drawn() -> None:
        sample(lm, PROMPTS, TOKENS, SAMPLES, seed=1)

    def recorded(top: int) -> Callable[[], object]:
        settings: Any = {"tokens": TOKENS, "samples": SAMPLES, "seed": 1, "top": top}
        return lambda: draw_record(engine, PROMPTS, tmp_path / f"{next(names)}.jsonl", **settings)

    drawn()
    plain = min(seconds(drawn) for _ in range(3))
    for top in (0, 5):
        added = min(seconds(recorded(top)) for _ in range(3)) / plain - 1
        record_property(f"recording with top {top}: added to sampling", added)
        print(f"\nrecording with top {top} adds {added:+.1%} to sampling")


def own_reading(model: Any, ids: list[int], together: int) -> float:
    """Processor seconds of llama.cpp for the logits after every token, ``together`` of them in one call."""
    api = model._api
    settings = api.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 1024, together, together
    settings.n_threads = settings.n_threads_batch = 1
    settings.flash_attn = False
    context = api.llama_init_from_model(model._model, settings)
    batch = api.llama_batch_init(together, 0, 1)

    def read() -> None:
        for start in range(0, len(ids), together):
            part = ids[start : start + together]
            batch.n_tokens = len(part)
            for place, token in enumerate(part):
                batch.token[place], batch.pos[place] = token, start + place
                batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, True
            assert api.llama_decode(context, batch) == 0

    spent = seconds(read)
    api.llama_batch_free(batch)
    api.llama_free(context)
    return spent


def test_scoring_a_gguf_file_beside_llama_cpp(record_property: Record) -> None:
    pytest.importorskip("ik_llama_cpp", reason="the optional package ik-llama-cpp-python is not installed")
    engine: Any = open_engine("smollm2-135m@gguf")
    text = "The quick brown fox jumps over the lazy dog and then some more text follows here. " * 80
    ids = engine.model.tokenise(text, special=False, markers=False)[: READ + 1]
    whole = RecordedText(0, tuple(ids[:1]), tuple(ids[1:]), (-1.0,) * READ)

    def score() -> None:
        engine.model.read([7], 1)  # forgets
        list(engine.score([whole], Decoding(), 0))

    score()
    ours = min(seconds(score) for _ in range(3))
    for together, what in ((16, "16 tokens per call, as we read"), (512, "512 tokens per call"), (1, "one")):
        ratio = ours / min(own_reading(engine.model, ids[:-1], together) for _ in range(2))
        record_property(f"scoring {READ} tokens: times llama.cpp, {what}", ratio)
        print(f"\nscoring {READ} tokens takes {ratio:.2f} of llama.cpp's own time, {what}")
