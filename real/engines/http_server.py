"""An OpenAI-compatible server over HTTP: its address, its questions, and one sentence for what goes wrong."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from real.engines.engine import EngineError

KEY = "SOFTMAX_DRIFT_API_KEY"
_CONNECT, _READ = 5.0, 600.0  # seconds
_RETRIES = Retry(
    total=5,
    connect=2,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),  # 503: llama-server and vLLM while they load the model
    allowed_methods=None,  # a question asked twice has one answer
    raise_on_status=False,
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST = 200  # characters of a server's explanation


class HttpServer:
    """Questions to ``http://HOST:PORT/v1``, asked again when the server is busy or loading.

    The key in the environment variable ``SOFTMAX_DRIFT_API_KEY``, if any, goes along and is never written
    down. Numbers come as ``decimal.Decimal``, because their digits tell how they were rounded.

    Raises
    ------
    EngineError
        The address is none; later: nobody answers there, the answer is an error or no JSON.
    """

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            there = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
        except ValueError:
            there = False
        if not there:
            raise EngineError(f"{address!r} is no address of a server, as http://127.0.0.1:8000/v1#model is")
        path = parts.path.rstrip("/").removesuffix("/v1")
        self.root = f"{parts.scheme}://{parts.netloc}{path}"
        self.model = parts.fragment
        self._session = requests.Session()
        self._session.trust_env = parts.hostname not in _LOOPBACK  # no proxy stands before this machine
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        if key := os.environ.get(KEY):
            self._session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> Any:
        """The answer to ``GET path``; None where there is no such page."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to ``POST path``; None where there is no such page."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        address = self.root + path
        try:
            answer = self._session.request(
                method, address, json=body, timeout=(_CONNECT, _READ), allow_redirects=False
            )
        except requests.Timeout:
            raise EngineError(f"the server at {self.root} did not answer in {_READ:g} seconds") from None
        except (requests.RequestException, UnicodeError) as error:
            raise EngineError(f"no server answers at {self.root} ({type(error).__name__})") from None
        if answer.status_code in (404, 405, 501):
            return None
        if answer.status_code in (401, 403):
            raise EngineError(f"the server at {self.root} asks for a key: set {KEY}")
        if answer.status_code != 200:
            raise EngineError(f"{address} answers {answer.status_code}: {_reason(answer.text)}")
        try:
            return json.loads(answer.text, parse_float=Decimal)
        except ValueError:
            raise EngineError(f"{address} answers no JSON: {_reason(answer.text)}") from None


def _reason(text: str) -> str:
    """What a server says of an error, on one line."""
    try:
        found = json.loads(text)
        while isinstance(found, dict):
            found = next(found[key] for key in ("error", "message", "detail") if key in found)
        text = str(found)
    except (ValueError, StopIteration):
        pass
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
