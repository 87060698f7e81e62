"""A server on the loopback address that speaks as vLLM, SGLang and others do, of a tiny model.

The numbers are the model's own, by one plain pass; only how they are told differs between the dialects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import torch

from real.models.load import LanguageModel


class TinyServer:
    """One dialect.

    ``vllm``, ``sglang``, ``mute`` (transformers serve), ``text`` (no ids), ``again`` (tokenises again),
    ``forced``, ``biased`` (forced tokens get the biased law), ``endless`` (hides the stop), ``chat``.

    decimals: digits after the point of every number. busy: so many questions are answered by 503 first.
    """

    def __init__(
        self, lm: LanguageModel, dialect: str, decimals: int = 12, busy: int = 0, key: str = ""
    ) -> None:
        self.lm, self.dialect, self.decimals, self.busy, self.key = lm, dialect, decimals, busy, key
        self.asked: list[dict[str, Any]] = []
        self.lock = Lock()

    def laws(self, ids: list[int]) -> torch.Tensor:
        with self.lock, torch.no_grad():
            return torch.log_softmax(self.lm.model(torch.tensor([ids])).logits[0].double(), -1)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append({"path": path} | body)
        if self.busy:
            self.busy -= 1
            return 503, {"error": {"message": "loading"}}
        if path == "/v1/models":
            return 200, {"data": [{"id": "tiny", "owned_by": self.dialect, "max_model_len": 256}]}
        if path == "/tokenize" and self.dialect == "vllm":
            if "messages" in body:
                return 400, {"message": "no chat template"}
            return 200, {"tokens": self.lm.tokenizer(body["prompt"], add_special_tokens=False).input_ids}
        if path != "/v1/completions" or self.dialect == "chat":
            return 404, {}
        return 200, self.completion(body)

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = list(body["prompt"])
        if self.dialect == "again":
            ids = [ids[0], *ids]
        written = self.write(ids, body)
        choice: dict[str, Any] = {"text": "", "finish_reason": "stop" if written[-1] == 257 else "length"}
        usage = {"completion_tokens": len(written)}
        if self.dialect == "vllm" and "prompt_logprobs" in body:
            choice["prompt_logprobs"] = self.prompt(ids, body["prompt_logprobs"])
        elif self.dialect != "mute" and "logprobs" in body:
            shown = self.dialect == "endless" and written[-1] == 257 and not body.get("echo")
            choice["logprobs"] = self.told([*ids, *written], written[: len(written) - shown], body)
            if self.dialect == "vllm" and body.get("return_token_ids"):
                choice["token_ids"] = written
        return {"choices": [choice], "usage": usage}

    def write(self, ids: list[int], body: dict[str, Any]) -> list[int]:
        generator = torch.Generator().manual_seed(body.get("seed", 0))
        written: list[int] = []
        for _ in range(body["max_tokens"]):
            law = self.laws([*ids, *written])[-1]
            if self.dialect in ("forced", "biased"):
                for token, bias in body.get("logit_bias", {}).items():
                    law[int(token)] += bias
            drawn = (
                torch.multinomial(law.softmax(-1), 1, generator=generator)
                if body["temperature"]
                else law.argmax()
            )
            written.append(int(drawn))
            if written[-1] == 257:
                break
        return written

    def prompt(self, ids: list[int], top: int) -> list[Any]:
        laws = self.laws(ids)
        return [None] + [
            {
                str(token): {"logprob": self.number(law[token]), "rank": 1, "decoded_token": "?"}
                for token in {*law.topk(top).indices.tolist(), ids[place + 1]}
            }
            for place, law in enumerate(laws[:-1])
        ]

    def told(self, whole: list[int], written: list[int], body: dict[str, Any]) -> dict[str, Any]:
        """Parallel lists over the generated tokens, or with ``echo`` over all."""
        echo = body.get("echo") and self.dialect in ("vllm", "sglang", "again")
        start = 0 if echo else len(whole) - len(written)
        laws = self.laws(whole)
        if self.dialect == "biased":
            for token, bias in body.get("logit_bias", {}).items():
                laws[:, int(token)] += bias
            laws = torch.log_softmax(laws, -1)
        tokens = whole[start : len(whole) if echo else start + len(written)]
        values = [self.number(laws[start + i - 1, t]) if start + i else None for i, t in enumerate(tokens)]
        tops = [
            {
                self.spelt(t): self.number(v)
                for v, t in zip(*laws[start + i - 1].topk(body["logprobs"]), strict=True)
            }
            if start + i
            else None
            for i in range(len(tokens))
        ]
        return {"tokens": [self.spelt(t) for t in tokens], "token_logprobs": values, "top_logprobs": tops}

    def spelt(self, token: int | torch.Tensor) -> str:
        return f"a{int(token)}" if self.dialect in ("sglang", "text") else f"token_id:{int(token)}"

    def number(self, value: torch.Tensor) -> float:
        return max(-9999.0, round(float(value), self.decimals))


@contextmanager
def serve(server: TinyServer) -> Iterator[str]:
    """The address of a running server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            known = not server.key or self.headers["Authorization"] == f"Bearer {server.key}"
            status, answer = server.answer(self.path, body) if known else (401, {})
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
    finally:
        http.shutdown()
        http.server_close()
