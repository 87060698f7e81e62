"""What llama.cpp's server does in its own way: drawing with every token's id, chat turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from real.engines.engine import EngineError
from real.engines.http_server import HttpServer
from real.engines.served_answers import Step, generated
from real.engines.served_scoring import one_by_one

OWNER = "llamacpp"


def draw(
    server: HttpServer, ask: Callable[[dict[str, Any]], Any], question: dict[str, Any]
) -> tuple[list[Step], bool]:
    """Steps of a text, and whether it ended by itself.

    Log-probabilities of tokens that end inside a character are withheld; a text with such tokens is scored
    token by token.
    """
    own = {"n_predict": question["max_tokens"], "n_probs": question["logprobs"], "return_tokens": True}
    answer = server.post("/completion", question | own)
    try:
        tokens = [int(token) for token in answer["tokens"]]
        steps = generated({"logprobs": {"content": answer.get("completion_probabilities") or []}})
        stopped = answer["stop_type"] == "eos"
    except (TypeError, KeyError, ValueError):
        raise EngineError("it answers /completion in an unknown form") from None
    if not tokens:
        raise EngineError("it wrote nothing")
    if [step.token for step in steps] != tokens:
        steps = one_by_one(ask, (*question["prompt"], *tokens), len(question["prompt"]), question["logprobs"])
    return steps, stopped


def turn(server: HttpServer, text: str) -> dict[str, Any]:
    """The question to ``/tokenize`` for one user turn, or for text to continue where there is no template."""
    if (server.get("/props") or {}).get("chat_template"):
        rendered = server.post("/apply-template", {"messages": [{"role": "user", "content": text}]})
        if isinstance(rendered, dict) and "prompt" in rendered:
            return {"content": rendered["prompt"], "parse_special": True}
    return {"content": text, "add_special": True}
