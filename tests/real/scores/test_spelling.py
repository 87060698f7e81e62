from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.models.load import LanguageModel
from real.scores.accepted import Accepted, Status
from real.scores.spelling import Spelling, SpellingError, spelling
from tests.real.scores.few_tokens import few_tokens

PIECES = st.lists(st.binary(max_size=3), min_size=1, max_size=25)


@given(PIECES, st.text("ab .", max_size=3))
def test_the_walk_judges_every_token_as_one_by_one(pieces: list[bytes], text: str) -> None:
    accepted = Accepted(("ab", "a b"), (".", "b."))
    found = Spelling(tuple(pieces), frozenset({0}))
    if accepted.status(text.encode()) is not Status.ALIVE:
        return
    won, alive = found.split(text.encode(), accepted.status)
    each = {i: accepted.status(text.encode() + piece) for i, piece in enumerate(pieces) if i and piece}
    assert sorted(won) == [i for i, status in each.items() if status is Status.WON]
    assert sorted(alive) == [i for i, status in each.items() if status is Status.ALIVE]
    assert set(found.silent) == {i for i, piece in enumerate(pieces) if i and not piece}


@given(PIECES, st.binary(max_size=6))
def test_spelled_tokens_write_the_text(pieces: list[bytes], text: bytes) -> None:
    found = Spelling(tuple(pieces), frozenset())
    try:
        tokens = found.spell(text)
    except SpellingError:
        assert not any(piece and text.startswith(piece) for piece in pieces) or len(text) > 1
        return
    assert b"".join(pieces[token] for token in tokens) == text


@given(st.text(max_size=20))
def test_tokens_write_the_bytes_of_their_text(tiny_lm: LanguageModel, text: str) -> None:
    ids = tiny_lm.tokenizer(text, add_special_tokens=False).input_ids
    assert b"".join(spelling(tiny_lm).pieces[index] for index in ids) == text.encode()


def test_special_tokens_write_nothing() -> None:
    found = spelling(few_tokens(0))
    assert found.pieces[3] == b" "
    assert found.pieces[6] == b" a"
    assert found.silent == (8,)
    assert found.ends == {9}


def test_a_tokenizer_that_rewrites_texts_is_refused(tiny_lm: LanguageModel) -> None:
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.__dict__.pop("_softmax_drift_spelling", None)
    tokenizer.decode = lambda ids: "something else"  # type: ignore[method-assign]
    odd = LanguageModel(tiny_lm.model, tokenizer, "odd", {})
    with pytest.raises(SpellingError, match="the tokens of odd do not each write"):
        spelling(odd)
