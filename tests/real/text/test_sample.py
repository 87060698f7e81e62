from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from real.models.load import LanguageModel
from real.text.files import read_prompts
from real.text.prompting import encode_prompt
from real.text.sample import sample
from tests.real.conftest import byte_tokenizer, tiny_language_model

PROMPTS = ["a", "some words", "one two three four"]


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), batch_size=st.integers(1, 12))
def test_batch_size_and_padding_do_not_change_samples(seed: int, batch_size: int) -> None:
    lm = tiny_language_model()
    together = sample(lm, PROMPTS, 6, samples=2, seed=seed, batch_size=12)
    apart = sample(lm, PROMPTS, 6, samples=2, seed=seed, batch_size=batch_size)
    assert torch.equal(together.tokens, apart.tokens)


def test_greedy_is_the_argmax_of_full_forward_passes(tiny_lm: LanguageModel) -> None:
    drawn = sample(tiny_lm, PROMPTS, 5, temperature=0)
    for row, prompt in enumerate(PROMPTS):
        ids = encode_prompt(tiny_lm, prompt)
        for token in drawn.continuation(row).tolist():
            with torch.inference_mode():
                assert token == int(tiny_lm.model(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


def test_samples_follow_the_softmax(tiny_lm: LanguageModel) -> None:
    count, temperature = 4000, 2.0
    drawn = sample(tiny_lm, ["x"], 1, samples=count, temperature=temperature, seed=3, batch_size=500)
    with torch.inference_mode():
        logits = tiny_lm.model(torch.tensor([encode_prompt(tiny_lm, "x")])).logits[0, -1]
    p = torch.softmax(logits.double() / temperature, -1)
    observed = torch.bincount(drawn.tokens[:, 1], minlength=258) / count
    # Total variation of an empirical law: mean at most sqrt(V/n)/2, deviation sqrt(log(1/alpha)/2n).
    assert 0.5 * (observed - p).abs().sum() < math.sqrt(258 / count) / 2 + math.sqrt(
        math.log(1e9) / (2 * count)
    )
    assert int(drawn.tokens[:, 1].unique().numel()) > 5


def test_rows_stop_after_end_of_sequence() -> None:
    lm = tiny_language_model()
    stop = int(sample(lm, ["ab"], 1, temperature=0).continuation(0)[0])
    lm.tokenizer.add_special_tokens({"eos_token": lm.tokenizer.convert_ids_to_tokens(stop)})
    drawn = sample(lm, ["ab", "something else"], 8, temperature=0)
    assert drawn.continuation(0).tolist() == [stop]
    for row in range(2):
        assert stop not in drawn.continuation(row)[:-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (dict(prompts=[], new_tokens=4), "prompts are empty"),
        (dict(prompts=[""], new_tokens=4), "prompt 0 is empty"),
        (dict(prompts=["a"], new_tokens=0), "new_tokens must be at least 1"),
        (dict(prompts=["a"], new_tokens=4, samples=0), r"samples \(K\) must be at least 1, got 0"),
        (dict(prompts=["a"], new_tokens=4, temperature=-1), "temperature"),
        (dict(prompts=["a" * 250], new_tokens=7), r"exceeds the context of tiny-llama \(256 tokens\)"),
    ],
)
def test_bad_requests_are_one_sentence(tiny_lm: LanguageModel, arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sample(tiny_lm, **arguments)


def test_chat_template_is_used_where_there_is_one(tiny_lm: LanguageModel) -> None:
    template = (
        "{% for m in messages %}[{{ m['content'] }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    chat = LanguageModel(tiny_lm.model, byte_tokenizer(template), "chat", {})
    assert chat.tokenizer.decode(encode_prompt(chat, "hi")) == "[hi]>"
    assert tiny_lm.tokenizer.decode(encode_prompt(tiny_lm, "hi")) == "hi"


def test_prompt_files(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("first\n\n  second\n")
    assert read_prompts(file) == ["first", "second"]
    file.write_text("line one\nline two\n---\nother\n")
    assert read_prompts(file) == ["line one\nline two", "other"]
    file.write_text(" \n\n")
    with pytest.raises(ValueError, match="is empty"):
        read_prompts(file)
