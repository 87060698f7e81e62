"""A served model as an engine: an OpenAI-compatible server, by token ids and log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from more_itertools import chunked
from transformers import PreTrainedTokenizerBase

from real.engines import llama_server
from real.engines.engine import EngineError, Row
from real.engines.http_server import HttpServer
from real.engines.served_answers import Known, Step, generated, rounding
from real.engines.served_scoring import Way, find_way, one_by_one
from real.records.record import Decoding, RecordedText
from real.records.tokenizer import tokenizer_hash
from real.text.prompting import encode_turn
from theory.names import lookup
from theory.terminal.console import say

Item = TypeVar("Item")

_COMPLETIONS = "/v1/completions"
_AT_ONCE = 4  # questions in flight
_PROBE = tuple(range(33, 41))  # ids that every vocabulary has
_SENTENCE = "Water boils at 100 °C; «naïve» tests don't."
# softmax(z): servers cut, penalise and sharpen by default, some by a file that lies beside the model
_PLAIN = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}


class ServedEngine:
    """A server's model as an engine; see :class:`real.engines.Engine`.

    Log-probabilities that servers give are of softmax(z), whatever the temperature: so text is drawn at
    temperature 1 or greedily, without cuts. ``tokenizer`` reads prompts where the server does not tell token
    ids, and tells whose tokens they are.

    Raises
    ------
    EngineError
        Nobody answers, there is no such model, it takes no token ids or gives no log-probabilities, or its
        tokenizer is not the one that is given.
    """

    def __init__(self, address: str, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        self.server = HttpServer(address)
        self.name = address
        self.tokenizer = tokenizer
        self.weights: str | None = None  # a server does not prove what it runs
        facts = self._facts()
        meta = facts.get("meta") or {}
        self._model = facts["id"]
        self._llama = facts.get("owned_by") == llama_server.OWNER
        self.context_length = int(facts.get("max_model_len") or meta.get("n_ctx") or 2**31)
        self.vocabulary: int | None = meta.get("n_vocab")
        self.tokenizer_sha256: str | None = None
        if tokenizer is not None:
            self._check_tokenizer(tokenizer)
            self.tokenizer_sha256 = tokenizer_hash(tokenizer.get_vocab())
        version = (self.server.get("/version") or {}).get("version")
        known = (facts.get("owned_by"), version, self._model, facts.get("root"), meta.get("ftype"))
        self.description = f"server {' '.join(str(fact) for fact in known if fact)}"
        self.rounding = rounding(self._answer(_question(_PROBE, 8, 0.0, 0, 1))[0])
        self._way: Way | None = None

    def _facts(self) -> dict[str, Any]:
        """What the server says of the model that the address names, or of its only one."""
        answer = self.server.get("/v1/models")
        try:
            models = {str(one["id"]): one for one in answer["data"]}
            named = {alias: one for one in models.values() for alias in one.get("aliases") or ()} | models
        except (TypeError, KeyError):
            raise EngineError(f"{self.server.root} is no OpenAI-compatible server: no /v1/models") from None
        if not self.server.model and len(models) == 1:
            return next(iter(models.values()))
        if not self.server.model:
            raise EngineError(f"{self.name} serves several models, name one: #{' #'.join(sorted(models))}")
        return lookup(f"model of {self.server.root}", self.server.model, named)

    def encode(self, text: str) -> list[int]:
        if self.tokenizer is not None:
            return encode_turn(self.tokenizer, self.name, text)
        if self._llama:
            return self._tokenised(llama_server.turn(self.server, text))
        turn = [{"role": "user", "content": text}]
        try:
            return self._tokenised({"model": self._model, "messages": turn, "add_generation_prompt": True})
        except EngineError:  # no chat template, or not this way of asking
            return self._tokenised({"model": self._model, "prompt": text})

    def _tokenised(self, question: dict[str, Any]) -> list[int]:
        answer = self.server.post("/tokenize", question) or {}
        if not isinstance(tokens := answer.get("tokens"), list):
            raise EngineError(
                f"{self.name} does not turn text into token ids (no /tokenize): name a --tokenizer"
            )
        return [int(token) for token in tokens]

    def _check_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Refuse a tokenizer whose ids are not the server's, if the server tells."""
        plain = {"model": self._model, "prompt": _SENTENCE, "content": _SENTENCE}
        try:
            theirs = self._tokenised(plain | {"add_special": False, "add_special_tokens": False})
        except EngineError:
            say(f"{self.name} does not tell its token ids: --tokenizer is taken on trust")
            return
        if theirs != list(tokenizer(_SENTENCE, add_special_tokens=False).input_ids):
            raise EngineError(
                f"{self.name} has another tokenizer than the one given: the same text has other token ids"
            )

    def scored(self, decoding: Decoding) -> Decoding:
        return decoding

    def draw(
        self, rows: Sequence[Row], new_tokens: int, decoding: Decoding, seed: int, top: int
    ) -> Iterator[RecordedText]:
        _require_plain(self.name, decoding)

        def one(row: Row) -> RecordedText:
            number = (seed * 1_000_003 + row.number) % 2**31
            steps, stopped = self._draw(row.prompt_ids, new_tokens, decoding.temperature, number, top)
            ids = tuple(step.token for step in steps if step.token is not None)
            values = tuple(step.logprob for step in steps)
            return RecordedText(row.prompt, row.prompt_ids, ids, values, stopped, None, _tops(steps, top))

        yield from _together(one, rows)

    def _draw(
        self, prompt: Sequence[int], tokens: int, temperature: float, seed: int, top: int
    ) -> tuple[list[Step], bool]:
        """Steps of one text, and whether it ended by itself."""
        steps, written, stopped = self._answer(_question(prompt, tokens, temperature, seed, top))
        if not steps or any(step.token is None for step in steps):
            raise EngineError(f"{self.name} tells the text of tokens without their ids: not to be recorded")
        if written != len(steps):
            raise EngineError(
                f"{self.name} wrote {written} tokens and tells {len(steps)}: the end of the text is missing"
            )
        return steps, stopped

    def _answer(self, question: dict[str, Any]) -> tuple[list[Step], int, bool]:
        """Steps that the server tells, the number of tokens that it wrote, and whether it ended by itself."""
        if self._llama:
            steps, stopped = self._named(llama_server.draw, self.server, self._choice, question)
            return steps, len(steps), stopped
        choice, usage = self._completion(question)
        steps = self._named(generated, choice)
        return steps, usage.get("completion_tokens", len(steps)), choice.get("finish_reason") == "stop"

    def score(self, texts: Iterable[RecordedText], decoding: Decoding, top: int) -> Iterator[RecordedText]:
        _require_plain(self.name, decoding)
        if self._way is None:
            self._way = self._named(find_way, self._choice, _PROBE)
            if self._way is one_by_one:
                say(f"{self.name} says nothing of prompts: it is asked once per token")
        way = self._way

        def one(text: RecordedText) -> RecordedText:
            ids, start = (*text.prompt_ids, *text.ids), len(text.prompt_ids)
            steps = self._named(way, self._choice, ids, start, top)
            values = tuple(step.logprob for step in steps)
            if self.vocabulary and sum(values) < -len(values) * math.log(self.vocabulary):
                say(f"{self.name} finds a text less likely than noise: is its tokenizer another one?")
            return RecordedText(
                text.prompt, text.prompt_ids, text.ids, values, text.stopped, text.score, _tops(steps, top)
            )

        # one by one, a server reads only the new token of a text that it read last
        yield from map(one, texts) if way is one_by_one else _together(one, texts)

    def _choice(self, question: dict[str, Any]) -> Any:
        return self._completion(question)[0]

    def _completion(self, question: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        answer = self.server.post(_COMPLETIONS, {"model": self._model} | question)
        if answer is None:
            raise EngineError(
                f"{self.server.root} has no {_COMPLETIONS}: chat endpoints take no token ids and score no "
                "given text"
            )
        try:
            return answer["choices"][0], answer.get("usage") or {}
        except (TypeError, KeyError, IndexError):
            raise EngineError(f"{self.name} answers without choices") from None

    def _named(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """What ``ask`` gives; its errors begin with "it", which is this server."""
        try:
            return ask(*arguments)
        except EngineError as error:
            reason = str(error)
            raise EngineError(f"{self.name}: {reason}" if self.name not in reason else reason) from None


def _question(prompt: Sequence[int], tokens: int, temperature: float, seed: int, top: int) -> dict[str, Any]:
    """For a text drawn from softmax(z), or the greedy one, every token told by its id."""
    wanted = {"max_tokens": tokens, "logprobs": max(1, top), "temperature": temperature, "seed": seed}
    ids = {"return_tokens_as_token_ids": True, "return_token_ids": True}
    return {"prompt": list(prompt)} | wanted | ids | _PLAIN


def _require_plain(name: str, decoding: Decoding) -> None:
    if decoding.cuts or decoding.temperature not in (0.0, 1.0):
        raise EngineError(
            f"{name} gives log-probabilities before temperature and cuts, not of {decoding}: use temperature "
            "1 or 0 without cuts"
        )


def _tops(steps: Sequence[Step], top: int) -> tuple[Known, ...] | None:
    """The most likely tokens of every step, where the server names them."""
    if not top or any(step.top is None for step in steps):
        return None
    return tuple(step.top for step in steps if step.top is not None)


def _together(ask: Callable[[Item], RecordedText], items: Iterable[Item]) -> Iterator[RecordedText]:
    """Answers in order, a few questions at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for few in chunked(items, _AT_ONCE):
            yield from pool.map(ask, few)
