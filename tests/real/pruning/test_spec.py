"""Spec strings: what they mean, that they round-trip, and what is said when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.pruning.spec import (
    CRITERIA,
    METHODS,
    REPAIRS,
    Drop,
    NofM,
    Quantise,
    Repair,
    Sparsify,
    Spec,
    SpecError,
    Unstructured,
    parse_spec,
)

counts = st.integers(0, 99)
layers = st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True).map(tuple)
drops = st.one_of(
    st.builds(
        Drop, st.sampled_from(["attn", "mlp", "block", "joint"]), counts, st.none(), st.sampled_from(CRITERIA)
    ),
    st.builds(Drop, st.just("random"), counts),
    st.builds(lambda t, ls: Drop(t, len(ls), ls), st.sampled_from(["attn", "mlp", "block"]), layers),
)
patterns = st.one_of(
    st.builds(Unstructured, st.integers(0, 1000).map(lambda tenths: tenths / 10)),
    st.integers(1, 16).flatmap(lambda m: st.builds(NofM, st.integers(0, m), st.just(m))),
)
somewhere = st.one_of(st.none(), layers)
sparsifications = st.builds(Sparsify, st.sampled_from(METHODS), patterns, somewhere)
quantisations = st.builds(Quantise, st.sampled_from([4, 8]), somewhere)
steps = st.lists(st.one_of(drops, sparsifications, quantisations), max_size=4)
repaired = st.builds(
    lambda before, drop, kind, after: [*before, drop, Repair(kind), *after],
    steps,
    drops,
    st.sampled_from(REPAIRS),
    st.lists(st.one_of(sparsifications, quantisations), max_size=2),
)
specs = st.builds(Spec, st.one_of(steps, repaired).map(tuple))


@given(specs)
def test_text_and_spec_are_two_forms_of_one_thing(spec: Spec) -> None:
    assert parse_spec(str(spec)) == spec
    assert str(parse_spec(str(spec))) == str(spec)


@pytest.mark.parametrize(
    "text",
    ["attn:8", "mlp:4", "block:6", "joint:4", "attn:[3,7]", "random:4", "magnitude:50%", "wanda:2:4",
     "sparsegpt:4:8", "int8", "int4", "attn:8@kl", "attn:8@tv", "mlp:2@greedy",
     "wanda:50%@[3,7]", "sparsegpt:2:4@[0]", "int4@[2,5]", "int8@[0]+int4@[1,2]",
     "attn:4+wanda:2:4", "attn:8+mean", "block:[10,11,12]+linear", "attn:4+mlp:2+scale",
     "attn:4+linear+int8", "wanda:2:4+mlp:1+mean", "dense"],
)  # fmt: skip
def test_documented_forms(text: str) -> None:
    assert str(parse_spec(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("atn:8", "unknown pruning method 'atn'; nearest valid names: attn"),
        ("wanda", "nearest valid forms: 'wanda:50%', 'wanda:2:4', 'wanda:4:8'"),
        ("wanda:5:4", "'wanda:5:4' is not of a valid form"),
        ("magnitude:120%", "'magnitude:120%' is not of a valid form"),
        ("attn:8@kll", "nearest valid forms: 'attn:4', 'attn:[3,7]', 'attn:4@kl'"),
        ("attn:[3,3]", "is not of a valid form"),
        ("joint:[1]", "is not of a valid form"),
        ("int4:2", "nearest valid forms: 'int4'"),
        ("int4@[3,3]", "nearest valid forms: 'int4', 'int4@[3,7]'"),
        ("wanda:50%@3", "'wanda:50%@[3,7]'"),
        ("attn:8@[3]", "is not of a valid form"),
        ("attn:1+mean@[3]", "is not of a valid form"),
        ("dense@[1]", "is not of a valid form"),
        ("", "unknown pruning method ''"),
        ("mean", "'mean' repairs what was dropped before it, once"),
        ("attn:2+mean+linear", "'linear' repairs what was dropped before it, once"),
        ("attn:2+linear+mlp:2", "nothing is dropped after it"),
        ("wanda:2:4+scale", "for example 'attn:4+mlp:2+linear'"),
        ("attn:2+mean:3", "nearest valid forms: 'attn:4+mean'"),
        ("attn:4+", "unknown pruning method ''"),
    ],
)
def test_wrong_specs_cost_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
