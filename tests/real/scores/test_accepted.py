from __future__ import annotations

from itertools import product

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from real.scores.accepted import Accepted, Status, cut
from tests.real.scores.few_tokens import written

ALPHABET = "ab. é"
LONGEST = 4


def extensions(text: str) -> list[str]:
    more = range(LONGEST + 1)
    return [text + "".join(rest) for count in more for rest in product(ALPHABET, repeat=count)]


def right(text: str, answers: tuple[str, ...], stops: tuple[str, ...]) -> bool:
    return written(text, stops).strip() in answers


@given(
    answers=st.lists(st.text("abé", min_size=1, max_size=2), min_size=1, max_size=2).map(tuple),
    stops=st.sampled_from([(".",), (".", "é"), ("..",), ("b.", "."), ("a ", ".")]),
    text=st.text(ALPHABET, max_size=3),
)
def test_status_is_what_all_continuations_say(
    answers: tuple[str, ...], stops: tuple[str, ...], text: str
) -> None:
    try:
        accepted = Accepted(answers, stops)
    except ValueError:
        assert not any(right(answer, answers, stops) for answer in answers)
        return
    outcomes = {right(one, answers, stops) for one in extensions(text)}
    status = accepted.status(text.encode())
    if status is Status.WON:
        assert outcomes == {True}
    elif status is Status.DEAD:
        assert outcomes == {False}
    else:
        assert True in outcomes
    assert accepted.is_right(text.encode()) == right(text, answers, stops)


@given(st.sampled_from(["é", "aé", "日本"]), st.integers(0, 6))
def test_a_character_may_be_unfinished(answer: str, end: int) -> None:
    accepted = Accepted((answer,), (".",))
    assert accepted.status(answer.encode()[:end]) is Status.ALIVE
    assert accepted.status(answer.encode()[:end] + "ü".encode()) is Status.DEAD
    assert accepted.status("ñ".encode()[:1]) is (Status.ALIVE if answer == "é" else Status.DEAD)


@pytest.mark.parametrize("pattern", ["a+b?", "(a|ab)(c|bc)", "[0-9]{1,3}", "(?i:yes|ya)", "é+"])
def test_a_pattern_is_alive_exactly_where_it_can_still_match(pattern: str) -> None:
    accepted = Accepted((), (".",), pattern)
    letters = "abcyEsé1"
    texts = ["".join(one) for count in range(3) for one in product(letters, repeat=count)]
    for text in texts:
        grown = (text + "".join(rest) for count in range(3) for rest in product(letters, repeat=count))
        alive = any(regex.fullmatch(pattern, one) for one in grown)
        assert (accepted.status(text.encode()) is Status.ALIVE) == alive, text


@given(
    st.lists(st.text("ab.", min_size=1, max_size=3), max_size=3),
    st.lists(st.sampled_from([".", "b.", ".."]), min_size=1, max_size=2, unique=True),
    st.text("ab. ", max_size=4),
)
def test_the_rest_of_an_answer_wins(answers: list[str], stops: list[str], text: str) -> None:
    try:
        accepted = Accepted(tuple(answers), tuple(stops))
    except ValueError:
        return
    rest = accepted.rest(text.encode())
    if rest is not None:
        assert accepted.is_right((text + rest).encode())
    elif accepted.status(text.encode()) is Status.ALIVE:
        # only a text that already holds the beginning of a stop after the answer has no plain rest
        assert any(text.strip().startswith(answer) or answer.startswith(text.strip()) for answer in answers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), ("\n",)), "neither an accepted answer nor a pattern"),
        ((("St. Ives",), (".",)), "'St. Ives' holds a stop"),
        ((("a",), ("",)), "empty string"),
        (((), ("\n",), "(a"), "no regular expression"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=regex.escape(message).replace("\\ ", " ")):
        Accepted(*arguments)  # type: ignore[arg-type]


@given(st.text("ab.", max_size=6), st.lists(st.text("ab.", min_size=1, max_size=2), max_size=3))
def test_cut_is_where_writing_stops(text: str, stops: list[str]) -> None:
    assert cut(text, stops) == written(text, tuple(stops))
    assert cut(text + "ab", stops) == cut(text, stops) or not any(stop in text for stop in stops)
