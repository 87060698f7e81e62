"""The bytes that every token of a vocabulary writes, and walks through all tokens at once."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase

from real.models.load import LanguageModel
from real.scores.accepted import Status
from real.text.sample import stop_tokens

_REMEMBERED = "_softmax_drift_spelling"
_TRIED = ("The 3 cats sat; naïve 日本 🙂.\n", "one, two\n\nthree")


class SpellingError(ValueError):
    """A tokenizer whose tokens do not each write their own bytes, or a text that no tokens write."""


@dataclass(frozen=True)
class Spelling:
    """pieces: the bytes of each token id (special tokens write nothing). ends: ids that end the sequence."""

    pieces: tuple[bytes, ...]
    ends: frozenset[int]

    def split(self, text: bytes, status: Callable[[bytes], Status]) -> tuple[list[int], list[int]]:
        """Tokens that win and tokens that stay alive when written after ``text``; all others are dead.

        ``status`` must be final: what follows a won or dead text is won or dead. So the tokens are walked
        as a tree of their bytes, and whole branches are settled at once.
        """
        won: list[int] = []
        alive: list[int] = []
        stack = [(0, len(self._sorted), 0)]
        while stack:
            low, high, depth = stack.pop()
            for one, next_low, next_high in self._branches(low, high, depth):
                found = status(text + one)
                if found is Status.WON:
                    won += self._ids[next_low:next_high]
                elif found is Status.ALIVE:
                    alive += self._ids[next_low : bisect_left(self._sorted, one + b"\0", next_low, next_high)]
                    stack.append((next_low, next_high, depth + 1))
        return won, alive

    def spell(self, text: bytes) -> list[int]:
        """Tokens that write ``text``, few of them (shortest first by dynamic programming).

        Raises
        ------
        SpellingError
            No sequence of tokens writes it.
        """
        best: list[tuple[int, list[int]] | None] = [(0, [])] + [None] * len(text)
        for start in range(len(text)):
            here = best[start]
            if here is None:
                continue
            for end in range(start + 1, min(len(text), start + self._longest) + 1):
                token = self._first.get(text[start:end])
                there = best[end]
                if token is not None and (there is None or here[0] + 1 < there[0]):
                    best[end] = (here[0] + 1, [*here[1], token])
        found = best[-1]
        if found is None:
            raise SpellingError(f"no tokens of this vocabulary write {text.decode(errors='replace')!r}")
        return found[1]

    def _branches(self, low: int, high: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
        """Prefixes of ``depth + 1`` bytes of the sorted pieces in ``low..high``, each with its range."""
        while low < high:
            one = self._sorted[low][: depth + 1]
            if len(one) <= depth:  # the piece that ends here was counted with its own branch
                low += 1
                continue
            end = bisect_left(self._sorted, True, low, high, key=lambda piece: piece[: depth + 1] > one)
            yield one, low, end
            low = end

    @cached_property
    def silent(self) -> tuple[int, ...]:
        """Tokens that write nothing and do not end the sequence."""
        return tuple(i for i, piece in enumerate(self.pieces) if not piece and i not in self.ends)

    @cached_property
    def _order(self) -> list[int]:
        writing = (i for i, piece in enumerate(self.pieces) if piece and i not in self.ends)
        return sorted(writing, key=lambda i: self.pieces[i])

    @cached_property
    def _ids(self) -> list[int]:
        return self._order

    @cached_property
    def _sorted(self) -> list[bytes]:
        return [self.pieces[i] for i in self._order]

    @cached_property
    def _first(self) -> dict[bytes, int]:
        return {self.pieces[i]: i for i in reversed(self._order)}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._sorted), default=0)


def spelling(lm: LanguageModel) -> Spelling:
    """What the tokens of ``lm`` write; found once per tokenizer.

    Raises
    ------
    SpellingError
        The tokenizer's texts are not the bytes of their tokens, one after the other.
    """
    known: Any = lm.tokenizer.__dict__
    if _REMEMBERED not in known:
        known[_REMEMBERED] = _pieces(lm)
    found: Spelling = known[_REMEMBERED]
    return found


def _pieces(lm: LanguageModel) -> Spelling:
    tokenizer = lm.tokenizer
    size = lm.model.config.get_text_config().vocab_size
    names = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    letters = _byte_letters() if _is_byte_level(tokenizer) else None
    special, added = set(tokenizer.all_special_ids), tokenizer.added_tokens_decoder
    pieces = [
        b"" if index in special or name is None
        else added[index].content.encode() if index in added
        else _piece(name, letters)
        for index, name in enumerate(names)
    ]  # fmt: skip
    found = Spelling(tuple(pieces) + (b"",) * (size - len(pieces)), frozenset(stop_tokens(lm)))
    for text in _TRIED:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        written = b"".join(found.pieces[index] for index in ids).strip()
        if str(tokenizer.decode(ids)).strip().encode() != written:
            raise SpellingError(f"the tokens of {lm.name} do not each write their own part of a text")
    return found


def _piece(name: str, letters: dict[str, int] | None) -> bytes:
    if letters is not None and all(letter in letters for letter in name):
        return bytes(letters[letter] for letter in name)
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        return bytes.fromhex(name[3:5])
    return name.replace("▁", " ").encode()


def _is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return False
    decoder = json.loads(backend.to_str()).get("decoder") or {}
    return "ByteLevel" in [part.get("type") for part in [decoder, *decoder.get("decoders", ())]]


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in byte-level vocabularies: printable ones for themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}
