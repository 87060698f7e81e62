"""One name per content: the same bytes anywhere are the same, one other bit is another."""

from __future__ import annotations

import copy

import torch
from hypothesis import given
from hypothesis import strategies as st

from real.models.content import content, text_hash, weights_hash
from tests.real.conftest import byte_tokenizer, tiny_language_model

LM = tiny_language_model()
NAMES = [name for name, _ in LM.model.named_parameters()]


@given(name=st.sampled_from(NAMES), place=st.integers(0, 10**6), bit=st.integers(0, 31))
def test_every_bit_of_every_weight_counts(name: str, place: int, bit: int) -> None:
    before, weight = weights_hash(LM.model), LM.model.get_parameter(name)
    flat = weight.detach().view(torch.int32).reshape(-1)
    mask = torch.tensor(-(2**31) if bit == 31 else 1 << bit, dtype=torch.int32)
    flat[place % len(flat)] ^= mask
    assert weights_hash(LM.model) != before
    flat[place % len(flat)] ^= mask
    assert weights_hash(LM.model) == before


def test_copies_are_the_same_and_another_type_or_setting_is_not() -> None:
    before = content(LM.model, LM.tokenizer)
    assert content(copy.deepcopy(LM.model), byte_tokenizer()) == before
    half = copy.deepcopy(LM.model).to(torch.bfloat16)
    assert content(half, LM.tokenizer)["weights"] != before["weights"]
    other = copy.deepcopy(LM.model)
    other.config.rope_parameters = {"rope_type": "default", "rope_theta": 5.0}
    assert content(other, LM.tokenizer)["config"] != before["config"]
    other.config.rope_parameters = LM.model.config.rope_parameters
    other.config._name_or_path = "elsewhere"
    assert content(other, LM.tokenizer) == before


def test_a_tokenizer_is_what_it_does_not_what_was_last_asked() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = "</s>"
    before = content(LM.model, tokenizer)["tokenizer"]
    tokenizer(["some long text", "b"], truncation=True, max_length=3, padding="max_length")
    assert content(LM.model, tokenizer)["tokenizer"] == before
    assert len(tokenizer("some text").input_ids) == 9
    tokenizer.add_tokens(["new"])
    changed = content(LM.model, tokenizer)["tokenizer"]
    assert len({before, changed, content(LM.model, byte_tokenizer("{{ 1 }}"))["tokenizer"]}) == 3


@given(st.lists(st.text(st.characters()), max_size=4), st.lists(st.text(st.characters()), max_size=4))
def test_texts_do_not_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (text_hash(*one) == text_hash(*other)) == (one == other)
