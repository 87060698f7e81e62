from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from real.text import texts
from tests.real.conftest import byte_tokenizer
from theory.names import UnknownNameError


def test_splits_share_no_passage() -> None:
    for one, other in combinations(texts.SPLITS, 2):
        assert not set(texts.passages(one)) & set(texts.passages(other))


def test_unknown_split_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="calibration"):
        texts.passages("calibrate")


def test_twelve_prompts_of_three_kinds() -> None:
    kinds = [prompt.kind for prompt in texts.prompts()]
    assert [kinds.count(kind) for kind in ("multiple choice", "word problem", "open")] == [4, 4, 4]
    assert all((prompt.answer is None) == (prompt.kind == "open") for prompt in texts.prompts())


@given(count=st.integers(1, 8), length=st.integers(1, 64), seed=st.integers(0, 2**31))
def test_calibration_tokens_are_a_function_of_the_seed(count: int, length: int, seed: int) -> None:
    tokenizer = byte_tokenizer()
    few = texts.passages("calibration")[:4]
    rows = texts.calibration_tokens(tokenizer, count, length, seed, few)
    assert rows.shape == (count, length)
    assert rows.dtype == torch.long
    assert torch.equal(rows, texts.calibration_tokens(tokenizer, count, length, seed, few))


def test_calibration_rows_are_consecutive_text_that_never_repeats() -> None:
    rows = texts.calibration_tokens(byte_tokenizer(), 4, 5, texts=["abcdefghijklmnopqrstuvwxyz"])
    assert byte_tokenizer().decode(rows.flatten()) == "abcdefghijklmnopqrst"


@pytest.mark.parametrize(("count", "length"), [(0, 8), (4, 0), (10**6, 512)])
def test_impossible_calibration_requests_are_refused(count: int, length: int) -> None:
    with pytest.raises(ValueError, match=r"count|rows"):
        texts.calibration_tokens(byte_tokenizer(), count, length)
