"""Three ways to ask a server how probable given tokens are, and which of them a server can be trusted with.

A way is tried on a few tokens before a text is scored. Servers that accept a question and leave it out of the
answer are found here: llama-server takes ``echo`` and tells nothing of the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from real.engines.engine import EngineError
from real.engines.served_answers import Step, generated, prompt_steps, ranked

Ask = Callable[[dict[str, Any]], Any]
Way = Callable[[Ask, Sequence[int], int, int], list[Step]]

_FORCE = 100  # added to the logit of a token that is to be written
_ALL = 1 << 20  # most likely tokens: more than any vocabulary has
_SLACK = 1e-3


def by_prompt_logprobs(ask: Ask, ids: Sequence[int], start: int, top: int) -> list[Step]:
    """Steps of ``ids[start:]`` from one question with ``prompt_logprobs`` (vLLM)."""
    choice = ask({"prompt": list(ids), "max_tokens": 1, "temperature": 0, "prompt_logprobs": top})
    return prompt_steps(choice, ids)[start - 1 :]


def by_echo(ask: Ask, ids: Sequence[int], start: int, top: int) -> list[Step]:
    """Steps of ``ids[start:]`` from one question with ``echo`` and ``logprobs`` (vLLM, SGLang)."""
    extra = {"return_tokens_as_token_ids": True, "return_token_ids": True}
    question = {"prompt": list(ids), "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": max(1, top)}
    steps = generated(ask(question | extra))
    if len(steps) <= 1 < len(ids):
        raise EngineError("it accepts echo and says nothing of the prompt")
    if len(steps) not in (len(ids), len(ids) + 1):
        raise EngineError(f"it tells of {len(steps)} tokens where {len(ids)} were sent: it tokenises again")
    steps = steps[: len(ids)]
    if any(step.token not in (None, token) for step, token in zip(steps, ids, strict=True)):
        raise EngineError("it answers with other tokens than were sent: it tokenises again")
    return steps[start:]


def one_by_one(ask: Ask, ids: Sequence[int], start: int, top: int) -> list[Step]:
    """Steps of ``ids[start:]``, each from a question whose answer is forced by ``logit_bias`` (llama-server).

    What comes back is of the model's own logits, before the bias; :func:`find_way` makes sure of it.
    llama-server withholds tokens that end inside a character: those are read from the list of all tokens at a
    place where another one is forced.
    """
    steps = []
    for place in range(start, len(ids)):
        found = _forced(ask, ids[:place], ids[place], max(1, top)) or [
            _listed(step, ids[place], top) for step in _forced(ask, ids[:place], ids[0], _ALL)
        ]
        if len(found) != 1 or found[0].token != ids[place]:
            raise EngineError("it does not write the token that logit_bias asks for")
        steps.append(found[0])
    return steps


def _forced(ask: Ask, ids: Sequence[int], token: int, top: int) -> list[Step]:
    question = {"prompt": list(ids), "max_tokens": 1, "temperature": 0, "logprobs": top}
    choice = ask(question | {"logit_bias": {str(token): _FORCE}, "return_tokens_as_token_ids": True})
    return generated(choice) if choice.get("logprobs") else []


def _listed(step: Step, token: int, top: int) -> Step:
    """What the list of all tokens says of one."""
    known = dict(step.top or ())
    if token not in known:
        raise EngineError("it withholds a token")
    return Step(token, known[token], ranked(known.items())[: max(1, top)])


_NAMES: dict[Way, str] = {by_prompt_logprobs: "prompt_logprobs", by_echo: "echo", one_by_one: "logit_bias"}


def find_way(ask: Ask, ids: Sequence[int]) -> Way:
    """The first way that tells the log-probabilities of ``ids`` (a few tokens).

    Raises
    ------
    EngineError
        There is none; the sentence says what the server does with each question.
    """
    refused = []
    for way, name in _NAMES.items():
        try:
            _probe(way, ask, ids)
        except EngineError as error:
            refused.append(f"{name}: {error}")
        else:
            return way
    raise EngineError(
        f"it can draw text but not score it, because it gives log-probabilities of its own tokens alone "
        f"({'; '.join(refused)})"
    )


def _probe(way: Way, ask: Ask, ids: Sequence[int]) -> None:
    steps = way(ask, ids, 1, 1)
    if len(steps) != len(ids) - 1 or any(math.isnan(step.logprob) for step in steps):
        raise EngineError("log-probabilities are missing")
    if way is not one_by_one:
        return
    # Two rivals for one place: before the bias their probabilities share what there is, after it both are 1.
    other = (*ids[:-1], ids[0] if ids[0] != ids[-1] else ids[-1] + 1)
    rival = way(ask, other, len(ids) - 1, 1)[-1]
    if math.exp(steps[-1].logprob) + math.exp(rival.logprob) > 1 + _SLACK:
        raise EngineError("the log-probabilities are of the biased law")
