"""A user's own task: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import regex

from real.tasks.source import Asked, Scorer, TaskSource
from theory.names import lookup

_SETTINGS = {"after", "stop", "max_tokens", "lead", "chat", "scorer", "per_character"}
_QUESTION = {"prompt", "answer", "answers", "options", "scorer"}
_SHOWN = 3


def label_pattern(answer: str) -> str:
    """Regular expression of a label in any case, with or without a full stop."""
    return rf"(?i:{regex.escape(answer)})\.?"


def number_pattern(answer: str) -> str:
    """Regular expression of everything that writes the same number: 1234, 1,234, $1234.00.

    Raises
    ------
    ValueError
        ``answer`` is no decimal number.
    """
    try:
        value = Decimal(answer.strip().lstrip("$").replace(",", ""))
        if not value.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise ValueError(f"scorer 'number' needs a decimal number as the answer, got {answer!r}") from None
    whole, _, rest = f"{abs(value):f}".partition(".")
    groups = ",?".join([whole[: len(whole) % 3 or 3], *regex.findall("...", whole[len(whole) % 3 or 3 :])])
    rest = rest.rstrip("0")
    decimals = rf"\.{rest}0*" if rest else r"(?:\.0*)?"
    sign = "-" if value < 0 else r"\+?"
    return rf"{sign}\$?0*{groups}{decimals}"


SCORERS = {"exact": None, "label": label_pattern, "number": number_pattern, "regex": str}
"""Ways to say which answers are right, by name: the pattern that they make of an answer."""


def search_scorer(pattern: str) -> Scorer:
    """Is what the pattern finds first in a text a right answer? Its first group if it has one, stripped.

    Of a question without answers: whether the pattern is found at all.

    Raises
    ------
    ValueError
        ``pattern`` is no regular expression.

    Example
    -------
    >>> search_scorer("answer is ([0-9]+)")("So the answer is 42.", Asked("6 * 7?", ("42",)))
    1.0
    """
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None

    def found(text: str, one: Asked) -> float:
        match = compiled.search(text)
        if match is None or not one.answers:
            return float(match is not None)
        return float((match[min(1, compiled.groups)] or "").strip() in one.answers)

    return found


def read_task(path: Path, limit: int | None = None) -> TaskSource:
    """Read a task: lines ``{"prompt": …, "answer": … or "answers": […]}``, optionally with ``options`` and
    the name of a ``scorer`` (exact, label, number, regex).

    A line without a prompt sets what holds for all: ``stop`` (a string or several), ``max_tokens``, ``lead``
    (what stands between prompt and answer), ``chat`` (false: the prompt is plain text to continue),
    ``scorer``, ``per_character``, ``after`` (what a text says before its answer, such as "The answer is",
    where it begins with a chain of thought). Empty lines, a byte-order mark and Windows line ends are read
    over; a line that asks the same as an earlier one is skipped, and ``remarks`` says so.

    Raises
    ------
    ValueError
        One sentence that names the file, the line and what is wrong there.
    """
    settings: dict[str, Any] = {}
    questions: dict[str, tuple[int, Asked]] = {}
    repeated: list[int] = []
    for number, line in _lines(path):
        entry = _entry(path, number, line)
        if "prompt" not in entry:
            settings |= _known(path, number, entry, _SETTINGS)
            continue
        try:
            one = _asked(_known(path, number, entry, _QUESTION), settings.get("scorer", "exact"))
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from None
        before = questions.setdefault(one.prompt, (number, one))
        if before[1] != one:
            raise ValueError(
                f"{path.name}, line {number}: asks the same as line {before[0]}, with another answer"
            )
        if before[0] != number:
            repeated.append(number)
    if not questions:
        raise ValueError(f"task file {str(path)!r} holds no question: write one JSON object per line")
    asked = tuple(one for _, one in questions.values())[:limit]
    return TaskSource(path.stem, asked, remarks=_remarks(path, repeated), **_fields(path, settings))


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    text = path.read_text("utf-8-sig")
    numbered = enumerate(text.split("\n"), start=1)  # not splitlines: U+2028 may stand inside a string
    return ((number, line) for number, line in numbered if line.strip())


def _entry(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}, line {number}: no JSON ({error.msg})") from None
    if not isinstance(entry, dict):
        raise ValueError(
            f"{path.name}, line {number}: expected an object with a prompt, got {line.strip()!r}"
        )
    return entry


def _known(path: Path, number: int, entry: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    for key in entry:
        if key not in keys:
            raise ValueError(
                f"{path.name}, line {number}: unknown key {key!r}; expected {', '.join(sorted(keys))}"
            )
    return entry


def _asked(entry: dict[str, Any], scorer: str) -> Asked:
    prompt = entry["prompt"]
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"the prompt must be a text that is not empty, got {prompt!r}")
    options = _strings("options", entry.get("options", []))
    given = entry.get("answers", [entry["answer"]] if "answer" in entry else [])
    if options and "answer" in entry and isinstance(entry["answer"], int):
        if not 0 <= entry["answer"] < len(options):
            raise ValueError(f"answer {entry['answer']} is no index of its {len(options)} options")
        given = [options[entry["answer"]]]
    answers = tuple(answer.strip() for answer in _strings("answers", given))
    if options:
        return Asked(prompt, _strings("answers", given), options)
    pattern_of = lookup("scorer", entry.get("scorer", scorer), SCORERS)
    if pattern_of is None:
        return Asked(prompt, answers)
    pattern = "|".join(f"(?:{pattern_of(answer)})" for answer in answers) or None
    return Asked(prompt, () if pattern_of is str else answers, pattern=pattern)


def _strings(name: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list) or any(type(value) not in (str, int, float) for value in values):
        raise ValueError(f"{name} must be a text or a list of texts, got {values!r}")
    if any(isinstance(v, str) and not v.strip() for v in values):
        raise ValueError(f"{name} hold an empty text")
    return tuple(str(v) for v in values)


def _fields(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    horizon = settings.get("max_tokens", 32)
    if not isinstance(horizon, int) or horizon < 1:
        raise ValueError(f"{path.name}: max_tokens must be a whole number of at least 1, got {horizon!r}")
    return {
        "stops": _stops(path, settings.get("stop", "\n")),
        "lead": str(settings.get("lead", " ")),
        "after": _after(path, settings.get("after", "")),
        "horizon": horizon,
        "chat": bool(settings.get("chat", True)),
        "per_character": bool(settings.get("per_character", False)),
    }


def _stops(path: Path, given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or any(not isinstance(stop, str) or not stop for stop in stops):
        raise ValueError(f"{path.name}: stop must be a text or a list of texts, none empty, got {given!r}")
    return tuple(stops)


def _after(path: Path, given: Any) -> str:
    if not isinstance(given, str) or (given and not given.strip()):
        raise ValueError(f"{path.name}: after must be a text that is not blank, got {given!r}")
    return given


def _remarks(path: Path, repeated: list[int]) -> tuple[str, ...]:
    if not repeated:
        return ()
    shown = ", ".join(map(str, repeated[:_SHOWN])) + (" …" if len(repeated) > _SHOWN else "")
    return (f"{path.name}: skipped {len(repeated)} questions asked before (lines {shown})",)
