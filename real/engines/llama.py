"""llama.cpp in this process, through the optional package ik-llama-cpp-python: load, tokenise, logits.

Only what scoring needs, by its C interface: exact token ids in, the logits of every asked position out.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real.engines.engine import EngineError
from theory.terminal.console import say

PACKAGE = "ik-llama-cpp-python"
_MAGIC = b"GGUF"
# Tokens of one call. From 32 on llama.cpp takes other kernels, which round differently from those that write
# text (0.005 nats per token, 0.06 at Q2_K; for Q4_1 they are wrong altogether: 2 nats). Below, results are
# bit for bit those of reading token by token.
_CHUNK = 16
_SAME = 0.01  # nats; log-probabilities of the same tokens read together and one by one
_SMALLEST_CONTEXT = 512
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_ERROR_LEVEL = 2
_said: list[str] = []


def _listen(level: int, text: bytes, _: Any) -> None:
    """Keep errors for our one sentence; everything else llama.cpp says is silence."""
    if level == _ERROR_LEVEL:
        _said.append(text.decode(errors="replace").strip())


_LISTENER = _LOG(_listen)  # llama.cpp keeps a pointer to it


@cache
def _api() -> Any:
    try:
        api: Any = import_module("ik_llama_cpp._ctypes_api")
    except ModuleNotFoundError:
        raise EngineError(
            f"GGUF files need the optional package {PACKAGE}: pip install 'softmax-drift[gguf]'"
        ) from None
    library = api._lib
    pointer = ctypes.c_void_p
    for name, arguments, result in (
        ("llama_log_set", [_LOG, pointer], None),
        ("llama_get_logits", [pointer], ctypes.POINTER(ctypes.c_float)),
        (
            "llama_kv_cache_seq_rm",
            [pointer, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32],
            ctypes.c_bool,
        ),
        ("llama_token_get_text", [pointer, ctypes.c_int32], ctypes.c_char_p),
        ("llama_n_ctx_train", [pointer], ctypes.c_int32),
        ("llama_token_bos", [pointer], ctypes.c_int32),
        ("llama_token_eos", [pointer], ctypes.c_int32),
        (
            "llama_model_meta_val_str",
            [pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t],
            ctypes.c_int32,
        ),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    library.llama_log_set(_LISTENER, None)
    api.llama_backend_init()
    return api


class LlamaModel:
    """A GGUF file in memory, on the processor. Flash attention is off, the key-value cache is float16.

    Raises
    ------
    EngineError
        The package is absent, or the file is no GGUF model that it can read.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._api = _api()
        self._threads = threads
        self._chunk = _CHUNK
        self._capacity = 0
        self._inside: list[int] = []  # tokens that the key-value cache holds
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise EngineError(f"{path} is no GGUF file")
        settings = self._api.llama_model_default_params()
        settings.n_gpu_layers = 0
        _said.clear()
        self._model = self._api.llama_model_load_from_file(str(path).encode(), settings)
        if not self._model:
            raise EngineError(f"llama.cpp cannot load {path}: {'; '.join(_said[-2:]) or 'no reason given'}")
        self._owned: dict[str, Any] = {"model": self._model}
        weakref.finalize(self, _free, self._api, self._owned)
        self.vocabulary = int(self._api.llama_vocab_n_tokens(self._api.llama_model_get_vocab(self._model)))
        self.context_length = int(self._api._lib.llama_n_ctx_train(self._model))

    @property
    def description(self) -> str:
        """Program, version, format of the weights."""
        buffer = ctypes.create_string_buffer(256)
        self._api.llama_model_desc(self._model, buffer, len(buffer))
        kind = " ".join(buffer.value.decode(errors="replace").split()[2:])  # after architecture and size
        return f"llama.cpp ({PACKAGE} {version(PACKAGE)}), {kind}, key-value cache f16, no flash attention"

    def metadata(self, key: str) -> str | None:
        """A string of the file's metadata."""
        buffer = ctypes.create_string_buffer(1 << 20)
        get = self._api._lib.llama_model_meta_val_str
        length = get(self._model, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode()

    def pieces(self) -> dict[str, int]:
        """Token ids by the text that the file gives them."""
        text = self._api._lib.llama_token_get_text
        return {text(self._model, index).decode(errors="replace"): index for index in range(self.vocabulary)}

    def special(self, name: str) -> int:
        """Id of the ``bos`` or ``eos`` token, negative if there is none."""
        return int(getattr(self._api._lib, f"llama_token_{name}")(self._model))

    def stops(self, token: int) -> bool:
        """Whether a token ends a text."""
        return bool(self._api.llama_token_is_eog(self._model, token))

    def tokenise(self, text: str, *, special: bool, markers: bool) -> list[int]:
        """Ids; ``special`` adds what every text begins with, ``markers`` reads <|markers|> as tokens."""
        raw = text.encode()
        buffer = (ctypes.c_int32 * (len(raw) + 8))()
        count = self._api.llama_tokenize(self._model, raw, len(raw), buffer, len(buffer), special, markers)
        if count < 0:
            raise EngineError(f"llama.cpp cannot tokenise a text of {len(raw)} bytes")
        return list(buffer[:count])

    def read(self, tokens: Sequence[int], wanted: int) -> Tensor:
        """Logits ``(wanted, V)``, float32, after each of the last ``wanted`` tokens of a text.

        A beginning that the text shares with the one read before is not read again; because tokens that are
        read together give the bits of tokens read one by one, that changes nothing.
        """
        if len(tokens) > self._capacity:
            self._grow(len(tokens))
        shared = 0
        most = min(len(self._inside), len(tokens) - wanted)
        while shared < most and self._inside[shared] == tokens[shared]:
            shared += 1
        if not self._api._lib.llama_kv_cache_seq_rm(self._owned["context"], 0, shared, -1):
            self._api.llama_kv_cache_clear(self._owned["context"])
            shared = 0
        self._inside = list(tokens[:shared])
        rows = []
        for start in range(shared, len(tokens), self._chunk):
            chunk = tokens[start : start + self._chunk]
            asked = [start + index >= len(tokens) - wanted for index in range(len(chunk))]
            rows += self._decode(chunk, start, asked)
            self._inside += chunk
        return torch.cat(rows)

    def _decode(self, tokens: Sequence[int], start: int, asked: Sequence[bool]) -> list[Tensor]:
        batch, context = self._owned["batch"], self._owned["context"]
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index] = token, start + index
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
            batch.logits[index] = asked[index]
        if status := self._api.llama_decode(context, batch):
            raise EngineError(f"llama.cpp stopped with status {status} at token {start}")
        if not any(asked):
            return []
        pointer = self._api._lib.llama_get_logits(context)
        logits = np.ctypeslib.as_array(pointer, shape=(sum(asked), self.vocabulary))
        return [torch.from_numpy(logits.copy())]

    def _grow(self, longest: int) -> None:
        """A context that holds the next power of two: memory for what is read, not for what could be."""
        size = max(_SMALLEST_CONTEXT, 1 << (longest - 1).bit_length())
        if "context" in self._owned:
            self._api.llama_free(self._owned.pop("context"))
        settings = self._api.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = size, _CHUNK, _CHUNK
        settings.n_threads = settings.n_threads_batch = self._threads
        settings.flash_attn = False
        context = self._api.llama_init_from_model(self._model, settings)
        if not context:
            raise EngineError(f"llama.cpp has no memory for a context of {size} tokens")
        self._owned["context"] = context
        self._owned.setdefault("batch", self._api.llama_batch_init(_CHUNK, 0, 1))
        self._capacity = size
        self._inside.clear()

    def check(self, tokens: Sequence[int]) -> None:
        """Read a few tokens together and one by one; from now on one by one if that makes a difference."""
        few = list(tokens[:_CHUNK])
        self._inside.clear()
        together = torch.log_softmax(self.read(few, len(few)), -1)
        self._inside.clear()
        apart = torch.cat([self.read(few[: index + 1], 1) for index in range(len(few))])
        drawn = torch.tensor(few[1:]).unsqueeze(1)
        moved = (together - torch.log_softmax(apart, -1))[:-1].gather(1, drawn).abs()
        if len(few) > 1 and not float(moved.max()) <= _SAME:
            say("llama.cpp computes other probabilities when it reads tokens together: reading one by one")
            self._chunk = 1


def _free(api: Any, owned: dict[str, Any]) -> None:
    """Give memory back in the order that llama.cpp asks for."""
    if "batch" in owned:
        api.llama_batch_free(owned["batch"])
    if "context" in owned:
        api.llama_free(owned["context"])
    api.llama_free_model(owned["model"])
