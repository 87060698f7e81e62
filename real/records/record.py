"""What a record says, and when a line of it is refused.

A record is a JSON Lines file that ``pandas.read_json(path, lines=True)`` reads: a header, then one line per
text. Log-probabilities are natural logarithms; a token of probability zero (beyond a top-k cut, say) has
``null``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

FORMAT = "softmax-drift/1"
_DIGITS = 9  # significant, of a written log-probability: a float32 survives
_SLACK = 1e-3  # servers round, so probabilities of a step may add up to a little more than 1
_PENALTY_OFF = 1.0


class RecordError(ValueError):
    """A file that is no record, or two records that must not be compared; the message is one sentence."""


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn. temperature 0 is greedy, whose log-probabilities are at temperature 1."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = _PENALTY_OFF

    @property
    def cuts(self) -> bool:
        """Whether the laws drawn from differ from softmax(z / T)."""
        off = self.repetition_penalty == _PENALTY_OFF
        return not (self.top_k is None and self.top_p is None and self.min_p is None and off)

    def __str__(self) -> str:
        known = {name: value for name, value in asdict(self).items() if value is not None}
        if known["repetition_penalty"] == _PENALTY_OFF:
            del known["repetition_penalty"]
        return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in known.items())


@dataclass(frozen=True)
class Header:
    """The first line: which model, how its text was drawn, and what the log-probabilities are of.

    decoding: of the text. scored: of the log-probabilities; the same unless a server gives raw ones.
    tokenizer_sha256: None where a server does not tell. rounding: largest error of a written log-probability
    in nats (half a unit of the last digit a server sends). settings: whatever else made this file; two files
    with one header hold the same texts.
    """

    model: str
    engine: str
    tokenizer_sha256: str | None = None
    decoding: Decoding = Decoding()
    scored: Decoding | None = None
    seed: int = 0
    rounding: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """The JSON object of the header."""
        written: dict[str, Any] = {"record": FORMAT, "model": self.model}
        written["tokenizer_sha256"] = self.tokenizer_sha256
        written |= asdict(self.decoding)
        if self.scored is not None and self.scored != self.decoding:
            written["scored"] = asdict(self.scored)
        return written | {
            "engine": self.engine,
            "seed": self.seed,
            "rounding": self.rounding,
            "settings": self.settings,
        }


@dataclass(frozen=True)
class RecordedText:
    """One text: ids of its prompt and of what was drawn, and the log-probability of every drawn token.

    prompt: index of the prompt; texts of one prompt are one statistical cluster. stopped: the text ended by
    itself (its last token is the stop), not at the limit. score: in [0, 1], of the text, if it was judged.
    top: per step, known (token id, log-probability) pairs, the most likely ones among them.
    """

    prompt: int
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool = False
    score: float | None = None
    top: tuple[tuple[tuple[int, float], ...], ...] | None = None

    def line(self) -> dict[str, Any]:
        """The JSON object of the text."""
        written: dict[str, Any] = {
            "prompt": self.prompt,
            "prompt_ids": list(self.prompt_ids),
            "ids": list(self.ids),
            "logprobs": [_written(value) for value in self.logprobs],
            "stopped": self.stopped,
        }
        if self.score is not None:
            written["score"] = self.score
        if self.top is not None:
            written["top"] = [[[token, _written(value)] for token, value in step] for step in self.top]
        return written


def _written(value: float) -> float | None:
    """Nine digits; never above zero, where rounding errors of a logarithm of a probability near 1 lie."""
    return None if value == -math.inf else min(0.0, float(f"{value:.{_DIGITS}g}"))


def read_record(path: str | Path) -> tuple[Header, Iterator[RecordedText]]:
    """The header, and an iterator that reads one text at a time, so memory does not grow with the file.

    Raises
    ------
    RecordError
        The file is no record, or (while iterating) a line is damaged; the sentence names file and line.
    """
    path = Path(path)
    with path.open(encoding="utf-8") as stream:
        header = _header(path, _parse(path, 1, stream.readline()))
    return header, _texts(path)


def is_record(path: str | Path) -> bool:
    """Whether a file begins like a record: the only look at its content."""
    try:
        with Path(path).open("rb") as stream:
            return b'"softmax-drift/' in stream.read(200)
    except OSError:
        return False


def _texts(path: Path) -> Iterator[RecordedText]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(islice(stream, 1, None), start=2):
            if line.strip():
                yield parse_text(f"{path.name}, line {number}", _parse(path, number, line))


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        what = "is no record: its first line" if number == 1 else f"is damaged: line {number}"
        raise RecordError(f"{path.name} {what} is no JSON object; record the texts again")
    return found


def _header(path: Path, found: dict[str, Any]) -> Header:
    if found.get("record") != FORMAT:
        raise RecordError(
            f"{path.name} is no record of format {FORMAT!r}: its first line says {found.get('record')!r}"
        )
    try:
        names = {one.name for one in fields(Decoding)}
        scored = found.get("scored")
        return Header(
            model=str(found["model"]),
            engine=str(found["engine"]),
            tokenizer_sha256=found["tokenizer_sha256"],
            decoding=Decoding(**{name: found[name] for name in names if name in found}),
            scored=None if scored is None else Decoding(**scored),
            seed=int(found.get("seed", 0)),
            rounding=float(found.get("rounding", 0.0)),
            settings=dict(found.get("settings", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path.name} has no valid header: {error!r}") from None


def parse_text(where: str, found: dict[str, Any]) -> RecordedText:
    """One text of a record; ``where`` names the line in the sentence that refuses it."""
    try:
        top = found.get("top")
        text = RecordedText(
            prompt=int(found["prompt"]),
            prompt_ids=tuple(map(int, found["prompt_ids"])),
            ids=tuple(map(int, found["ids"])),
            logprobs=tuple(map(_read, found["logprobs"])),
            stopped=bool(found.get("stopped", False)),
            score=None if found.get("score") is None else float(found["score"]),
            top=None
            if top is None
            else tuple(tuple((int(token), _read(value)) for token, value in step) for step in top),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{where} is no text of a record: {error!r}") from None
    _check(where, text)
    return text


def _read(value: Any) -> float:
    return -math.inf if value is None else float(value)


def _check(where: str, text: RecordedText) -> None:
    """The rules that one line can break by itself."""
    if not text.ids:
        raise RecordError(f"{where} has no drawn token")
    if len(text.logprobs) != len(text.ids):
        raise RecordError(f"{where} has {len(text.ids)} tokens but {len(text.logprobs)} log-probabilities")
    for step, value in enumerate(text.logprobs):
        if not value <= 0:
            raise RecordError(
                f"{where}, token {step + 1}: log-probability {value:g} is not the logarithm of a probability"
            )
    if text.score is not None and not 0 <= text.score <= 1:
        raise RecordError(f"{where} has score {text.score:g}; expected a number in [0, 1]")
    if text.top is None:
        return
    if len(text.top) != len(text.ids):
        raise RecordError(f"{where} has {len(text.ids)} tokens but 'top' of {len(text.top)} steps")
    for step, known in enumerate(text.top):
        mass = sum(math.exp(value) for _, value in known if value <= 0)
        if len({token for token, _ in known}) < len(known) or not mass <= 1 + _SLACK:
            raise RecordError(f"{where}, token {step + 1}: 'top' is no part of a distribution")
        if any(not value <= 0 for _, value in known):
            raise RecordError(f"{where}, token {step + 1}: 'top' holds a positive or NaN log-probability")
