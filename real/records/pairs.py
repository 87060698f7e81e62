"""Two records side by side: the dense model's own text, and the same text under another model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from real.records.record import Header, RecordedText, RecordError, read_record

Pair = tuple[RecordedText, RecordedText]


def read_pair(dense: str | Path, other: str | Path) -> tuple[Header, Header, Iterator[Pair]]:
    """Headers of both records and an iterator over pairs of texts, one pair in memory at a time.

    Raises
    ------
    RecordError
        The two must not be compared: other tokenizers, other token ids, log-probabilities of another law than
        the text was drawn from. One sentence says which and where.
    """
    (first, dense_texts), (second, other_texts) = read_record(dense), read_record(other)
    names = Path(dense).name, Path(other).name
    _check_headers(names, first, second)
    return first, second, _pairs(names, dense_texts, other_texts)


def check_dense(name: str, header: Header) -> None:
    """Refuse a record whose log-probabilities are not those of the law its text was drawn from."""
    scored = header.scored or header.decoding
    if scored == header.decoding:
        return
    if scored.temperature != header.decoding.temperature:
        raise RecordError(
            f"{name}: text drawn at temperature {header.decoding.temperature:g} but log-probabilities taken "
            f"at {scored.temperature:g}; score the text at the temperature it was drawn at"
        )
    raise RecordError(
        f"{name}: text drawn with {header.decoding} but log-probabilities of {scored}; forecasts need those "
        "of the law that was drawn from, so draw with temperature alone or score with the same cuts"
    )


def _check_headers(names: tuple[str, str], dense: Header, other: Header) -> None:
    check_dense(names[0], dense)
    known = dense.tokenizer_sha256, other.tokenizer_sha256
    if None not in known and known[0] != known[1]:
        raise RecordError(
            f"{names[0]} and {names[1]} were made with different tokenizers: the same token ids mean "
            "different text"
        )
    scored = other.scored or other.decoding
    if scored != dense.decoding:
        raise RecordError(
            f"{names[1]}: log-probabilities taken at {scored} but {names[0]} was drawn at {dense.decoding}; "
            "record both at the same"
        )


def _pairs(
    names: tuple[str, str], dense: Iterator[RecordedText], other: Iterator[RecordedText]
) -> Iterator[Pair]:
    number = 0
    for number, (one, two) in enumerate(zip_longest(dense, other), start=1):
        if one is None or two is None:
            short = names[0] if one is None else names[1]
            raise RecordError(f"{short} ends after {number - 1} texts, the other record goes on")
        if one.prompt != two.prompt or one.prompt_ids != two.prompt_ids:
            raise RecordError(f"{names[0]} and {names[1]} have different prompts in text {number}")
        if one.ids != two.ids:
            raise RecordError(
                f"{names[0]} and {names[1]} have different token ids in text {number}: score the dense text "
                "itself"
            )
        if min(one.logprobs) == float("-inf"):
            raise RecordError(
                f"{names[0]}, text {number}: a drawn token has probability zero, so its log-probabilities "
                "are not of the law that drew it"
            )
        yield one, two
    if not number:
        raise RecordError(f"{names[0]} holds no text")
