"""The transformers engine draws what ``sample`` draws and says how probable it was, cuts included."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from real.engines.engine import Row, likeliest, log_law, score_texts
from real.engines.hugging_face import HuggingFaceEngine
from real.models.load import LanguageModel
from real.records import Decoding, RecordedText
from real.records.tokenizer import tokenizer_hash
from real.text.sample import sample
from tests.real.conftest import tiny_language_model

PROMPTS = [(72, 101, 108), (79, 110, 101, 32, 116)]
ROWS = [Row(index, index // 2, PROMPTS[index // 2]) for index in range(4)]


def drawn(lm: LanguageModel, decoding: Decoding, top: int = 0, tokens: int = 8) -> list[RecordedText]:
    return list(HuggingFaceEngine(lm).draw(ROWS, tokens, decoding, 3, top))


def plain_logits(lm: LanguageModel, text: RecordedText) -> Tensor:
    """Logits before every drawn token, from one unbatched pass."""
    ids = torch.tensor([[*text.prompt_ids, *text.ids]])
    with torch.inference_mode():
        return lm.model(ids).logits[0, len(text.prompt_ids) - 1 : -1].double()


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_the_same_texts_as_sample(tiny_lm: LanguageModel, temperature: float) -> None:
    expected = sample(tiny_lm, [list(ids) for ids in PROMPTS], 8, 2, temperature, 3)
    for row, text in enumerate(drawn(tiny_lm, Decoding(temperature))):
        assert list(text.ids) == expected.continuation(row).tolist()
        assert text.stopped == (text.ids[-1] == 257)


@given(
    rows=st.integers(1, 3),
    width=st.sampled_from([1, 5, 128, 255, 1280, 1281, 2000, 5000]),
    count=st.integers(1, 7),
    kind=st.sampled_from(["normal", "ties", "cut"]),
    seed=st.integers(0, 99),
)
def test_the_likeliest_are_those_of_topk(rows: int, width: int, count: int, kind: str, seed: int) -> None:
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    if kind == "ties":
        values = values.round()
    if kind == "cut":
        values[values < 1] = -torch.inf
    best, ids = likeliest(values, count)
    assert torch.equal(best, values.topk(min(count, width), dim=1).values)
    assert torch.equal(values.gather(1, ids), best)
    assert all(len(set(row)) == len(row) for row in ids.tolist())


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_log_probabilities_are_those_of_the_law(tiny_lm: LanguageModel, temperature: float) -> None:
    for text in drawn(tiny_lm, Decoding(temperature), top=3):
        law = torch.log_softmax(plain_logits(tiny_lm, text) / (temperature or 1.0), -1)
        expected = law.gather(1, torch.tensor(text.ids).unsqueeze(1)).squeeze(1)
        assert torch.tensor(text.logprobs).double().allclose(expected, atol=1e-5)
        assert text.top is not None
        for step, best in zip(text.top, law.topk(3).values, strict=True):
            assert [value for _, value in step] == pytest.approx(best.tolist(), abs=1e-5)


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(0.9, top_k=5),
        Decoding(1.0, top_p=0.6),
        Decoding(1.3, min_p=0.2),
        Decoding(repetition_penalty=1.4),
    ],
)
def test_cut_laws_are_drawn_from_and_scored_alike(tiny_lm: LanguageModel, decoding: Decoding) -> None:
    texts = drawn(tiny_lm, decoding, tokens=12)
    again = list(HuggingFaceEngine(tiny_lm).score(texts, decoding, 0))
    for text, scored in zip(texts, again, strict=True):
        assert scored.logprobs == pytest.approx(text.logprobs, abs=1e-5)
        assert scored.ids == text.ids
    raw = list(HuggingFaceEngine(tiny_lm).score(texts, Decoding(decoding.temperature), 0))
    assert any(
        text.logprobs != pytest.approx(other.logprobs, abs=1e-3)
        for text, other in zip(texts, raw, strict=True)
    )


def brute_law(logits: Tensor, decoding: Decoding, prefix: list[int]) -> Tensor:
    """Cut one row of logits by the definitions, token by token."""
    z = logits.clone()
    for token in set(prefix):
        z[token] = (
            z[token] / decoding.repetition_penalty if z[token] > 0 else z[token] * decoding.repetition_penalty
        )
    p = torch.softmax(z / decoding.temperature, -1)
    order = p.argsort(descending=True).tolist()
    kept = set(order)
    if decoding.top_k is not None:
        kept &= set(order[: decoding.top_k])
    if decoding.top_p is not None:
        mass, nucleus = 0.0, set()
        for token in order:
            nucleus.add(token)
            mass += float(p[token])
            if mass >= decoding.top_p:
                break
        kept &= nucleus
    if decoding.min_p is not None:
        kept &= {token for token in order if p[token] >= decoding.min_p * p.max()}
    mask = torch.tensor([token in kept for token in range(len(p))])
    return (p * mask / (p * mask).sum()).log()


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(0.5, top_k=4),
        Decoding(1.5, top_p=0.7),
        Decoding(1.0, min_p=0.3),
        Decoding(0.8, repetition_penalty=1.7),
        Decoding(2.0, top_k=6, repetition_penalty=0.5),
    ],
)
def test_laws_by_definition(decoding: Decoding) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20, 11, generator=generator)
    prefixes = torch.randint(11, (20, 6), generator=generator).tolist()
    found = log_law(logits, decoding, prefixes)
    for row, law in enumerate(found):
        expected = brute_law(logits[row].double(), decoding, prefixes[row])
        assert law.exp().double().allclose(expected.exp(), atol=1e-6)


def test_tokens_that_the_text_lists_are_kept(tiny_lm: LanguageModel) -> None:
    (text, *_) = drawn(tiny_lm, Decoding(), top=2)
    other = tiny_language_model(seed=1)
    (scored,) = HuggingFaceEngine(other).score([text], Decoding(), 2)
    assert text.top is not None
    assert scored.top is not None
    law = torch.log_softmax(plain_logits(other, text), -1)
    for step, (mine, theirs) in enumerate(zip(text.top, scored.top, strict=True)):
        assert {token for token, _ in mine} <= {token for token, _ in theirs}
        for token, value in theirs:
            assert value == pytest.approx(float(law[step, token]), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            RecordedText(0, (1,), (2,) * 300, (-1.0,) * 300),
            "a text has 301 tokens; tiny-llama reads at most 256",
        ),
        (RecordedText(0, (1,), (258,), (-1.0,)), "token id 258; tiny-llama has 258 tokens"),
    ],
)
def test_texts_that_do_not_fit_are_named(tiny_lm: LanguageModel, text: RecordedText, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        list(score_texts(HuggingFaceEngine(tiny_lm), [text], Decoding(), 0))


def test_other_weights_have_another_hash(tiny_lm: LanguageModel) -> None:
    same, other = tiny_language_model(), tiny_language_model(seed=1)
    assert HuggingFaceEngine(tiny_lm).weights == HuggingFaceEngine(same).weights
    assert HuggingFaceEngine(tiny_lm).weights != HuggingFaceEngine(other).weights
    named = replace(tiny_lm, provenance={"sha256": "cafe"})
    assert HuggingFaceEngine(named).weights == "cafe"


def test_fillers_do_not_make_another_tokenizer() -> None:
    pieces = {"a": 0, "b": 1}
    assert tokenizer_hash(pieces) == tokenizer_hash(pieces | {"[PAD2]": 2})
    assert tokenizer_hash(pieces) != tokenizer_hash(pieces | {"c": 2})
    assert tokenizer_hash(pieces) != tokenizer_hash({"b": 0, "a": 1})
