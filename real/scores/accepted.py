"""Which written texts are right, and which unfinished ones can still become so.

A text is cut at its first stop and stripped; it is right if what remains is one of the accepted strings, or
matches a regular expression as a whole. Texts are bytes, because a token may end inside a character.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import product
from typing import Any

import regex

_SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]


class Status(Enum):
    """Of an unfinished text: every continuation is right, every one is wrong, or neither is known."""

    WON = "won"
    DEAD = "dead"
    ALIVE = "alive"


@dataclass(frozen=True)
class Accepted:
    """The right answers of one question.

    answers: strings. pattern: regular expression that other right answers match as a whole. stops: strings
    that end an answer; without any, only the end of the sequence does.

    Raises
    ------
    ValueError
        There is neither an answer nor a pattern, the pattern is no regular expression, or no text can be
        right because every answer holds a stop.

    Example
    -------
    >>> capital = Accepted(("Paris",), stops=(".", "\\n"))
    >>> capital.status(b" Par"), capital.status(b" Paris."), capital.status(b" Rome")
    (<Status.ALIVE: 'alive'>, <Status.WON: 'won'>, <Status.DEAD: 'dead'>)
    """

    answers: tuple[str, ...] = ()
    stops: tuple[str, ...] = ("\n",)
    pattern: str | None = None
    _complete: Any = field(init=False, repr=False, compare=False)
    _partial: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.answers and self.pattern is None:
            raise ValueError("a question has neither an accepted answer nor a pattern")
        if any(not stop for stop in self.stops):
            raise ValueError("a stop is the empty string; expected at least one character")
        body = "|".join([*map(regex.escape, self.answers), *([] if self.pattern is None else [self.pattern])])
        ends = "|".join(map(regex.escape, self.stops))
        try:
            complete = regex.compile(f"(?:{body})")
            partial = regex.compile(rf"\s*(?:{body})\s*" + (f"(?:{ends})" if ends else ""))
        except regex.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from None
        object.__setattr__(self, "_complete", complete)
        object.__setattr__(self, "_partial", partial)
        if self.pattern is None and not any(self.is_right(answer.encode()) for answer in self.answers):
            raise ValueError(
                f"no text is right: the answer {self.answers[0]!r} holds a stop or a space at an end"
            )

    def is_right(self, text: bytes) -> bool:
        """Whether a finished text is right."""
        return self._judge(text.decode(errors="replace"))

    def status(self, text: bytes) -> Status:
        """What is known of an unfinished text."""
        whole, rest = _characters(text)
        if any(stop in whole for stop in self.stops):
            return Status.WON if self._judge(whole) else Status.DEAD
        if not rest:
            return Status.ALIVE if self._may_grow(whole) else Status.DEAD
        if self.pattern is not None:  # its characters are unknown: alive is never wrong, only undecided
            return Status.ALIVE if self._may_grow(whole) else Status.DEAD
        fitting = (letter for letter in self._letters if letter.encode().startswith(rest))
        alive = any(self.status(whole.encode() + letter.encode()) is not Status.DEAD for letter in fitting)
        return Status.ALIVE if alive else Status.DEAD

    def rest(self, text: bytes) -> str | None:
        """What to write after an unfinished text to be right, with a stop; None if no string says how."""
        whole, unfinished = _characters(text)
        begun = whole.lstrip()
        for answer, stop in product(() if unfinished else self.answers, self.stops or ("",)):
            for goal in (answer + stop, begun + stop):
                rest = goal[len(begun) :]
                if goal.startswith(begun) and self._judge(whole + rest):
                    return rest
        return None

    def _judge(self, text: str) -> bool:
        return self._complete.fullmatch(cut(text, self.stops).strip()) is not None

    def _may_grow(self, text: str) -> bool:
        return self._partial.fullmatch(text, partial=True) is not None

    @cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset("".join([*self.answers, *self.stops, *_SPACES]))


def cut(text: str, stops: Sequence[str]) -> str:
    """``text`` before the stop that is complete first; whatever is written after it changes nothing."""
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    written = text[: min(ends, default=len(text))]
    for stop in stops:  # of several that are complete at once, as the harness does: in turn
        written = written.split(stop)[0]
    return written


def _characters(text: bytes) -> tuple[str, bytes]:
    """The finished characters of ``text``, and the bytes of one that is still unfinished."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = decoder.decode(text)
    return whole, decoder.getstate()[0]
