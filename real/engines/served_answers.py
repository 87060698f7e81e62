"""What servers answer to ``/v1/completions``, read without guessing: token ids and log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from real.engines.engine import EngineError

_AS_ID = "token_id:"
_NEVER = -9999.0  # what vLLM and others write for minus infinity

Known = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Step:
    """One token of an answer: its id, its log-probability, and the most likely tokens where they are told.

    token: None where the server tells the text of a token alone. written: the number as it came.
    """

    token: int | None
    logprob: float
    top: Known | None
    written: Any = None


def generated(choice: Mapping[str, Any]) -> list[Step]:
    """Steps of the generated tokens, or of all tokens of an answer with ``echo``.

    Raises
    ------
    EngineError
        There are no log-probabilities, or they are not of the form that llama-server or vLLM give.
    """
    logs = choice.get("logprobs")
    if not logs:
        raise EngineError("it gives no log-probabilities")
    try:
        if "content" in logs:
            return [_step(one) for one in logs["content"]]
        return _legacy(choice, logs)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise EngineError("its log-probabilities have an unknown form") from None


def _step(one: Mapping[str, Any]) -> Step:
    """llama-server: every token an object; those that end inside a character are missing."""
    ids = one.get("top_logprobs") or []
    top = None
    if ids and all("id" in known for known in ids):
        top = tuple((int(known["id"]), logarithm(known["logprob"])) for known in ids)
    token = one.get("id")
    return Step(None if token is None else int(token), logarithm(one["logprob"]), top, one["logprob"])


def _legacy(choice: Mapping[str, Any], logs: Mapping[str, Any]) -> list[Step]:
    """vLLM, SGLang: parallel lists; ids stand in the tokens (``token_id:7``) or beside the text."""
    tokens, values = logs["tokens"], logs["token_logprobs"]
    tops = logs.get("top_logprobs") or [None] * len(tokens)
    beside = choice.get("token_ids") or []
    ids = [_id(token) for token in tokens]
    if len(beside) == len(tokens):
        ids = [int(token) for token in beside]
    return [
        Step(token, math.nan if value is None else logarithm(value), _top(top), value)
        for token, value, top in zip(ids, values, tops, strict=True)
    ]


def _id(token: str) -> int | None:
    return int(token.removeprefix(_AS_ID)) if token.startswith(_AS_ID) else None


def _top(named: Mapping[str, Any] | None) -> Known | None:
    if not named or any(_id(token) is None for token in named):
        return None
    return ranked((int(token.removeprefix(_AS_ID)), logarithm(value)) for token, value in named.items())


def prompt_steps(choice: Mapping[str, Any], ids: Sequence[int]) -> list[Step]:
    """Steps of the prompt's tokens after the first, from vLLM's ``prompt_logprobs``.

    Raises
    ------
    EngineError
        There are none, or they are of other tokens than were sent.
    """
    found = choice.get("prompt_logprobs")
    if not found:
        raise EngineError("it gives no prompt_logprobs")
    if len(found) != len(ids):
        raise EngineError(f"it read {len(found)} tokens where {len(ids)} were sent: it tokenises again")
    steps = []
    for token, known in zip(ids[1:], found[1:], strict=True):
        try:
            values = {int(name): one["logprob"] for name, one in known.items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise EngineError("its prompt_logprobs have an unknown form") from None
        if token not in values:
            raise EngineError("its prompt_logprobs are of other tokens than were sent: it tokenises again")
        top = ranked((name, logarithm(value)) for name, value in values.items())
        steps.append(Step(token, logarithm(values[token]), top, values[token]))
    return steps


def ranked(known: Iterable[tuple[int, float]]) -> Known:
    """The most likely token first."""
    return tuple(sorted(known, key=lambda one: -one[1]))


def logarithm(value: Any) -> float:
    """A log-probability as servers write it: rounding above zero is zero, a sentinel is minus infinity."""
    number = min(0.0, float(value))
    return -math.inf if number <= _NEVER else number


def rounding(steps: Iterable[Step]) -> float:
    """Half a unit of the last decimal that the numbers have; 0 for those of full length (six and more)."""
    digits = [-int(step.written.as_tuple().exponent) for step in steps if isinstance(step.written, Decimal)]
    most = max(digits, default=0)
    return 0.5 * 10.0**-most if 0 < most < 6 else 0.0
