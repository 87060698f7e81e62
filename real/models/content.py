"""What a model is, as one short name: a hash of its weights, its configuration and its tokenizer.

Two folders of one name, or one folder whose files were replaced, are two contents; a copy elsewhere is the
same. The weights are hashed as they stand in memory: what is hashed is what computes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import torch
import xxhash
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Where a model came from and what wrote it, not what it computes.
_ORIGIN = ("_name_or_path", "_commit_hash", "transformers_version", "architectures", "dtype", "torch_dtype")
_TEXT = "Two cats, 17 dogs (and a résumé).\n"


def content(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Hashes (xxh3, 128 bits, hexadecimal) of ``weights``, ``config`` and ``tokenizer``."""
    return {
        "weights": weights_hash(model),
        "config": text_hash(_config(model)),
        "tokenizer": text_hash(_tokenizer(tokenizer)),
    }


def weights_hash(model: nn.Module) -> str:
    """Hash of every parameter and buffer with its name, type and shape."""
    state = xxhash.xxh3_128()
    for name, tensor in _tensors(model):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        for piece in _bytes(tensor):
            state.update(piece)
    return state.hexdigest()


def text_hash(*parts: str) -> str:
    """Hash of texts in this order."""
    state = xxhash.xxh3_128()
    for part in parts:
        state.update(f"{len(part)}:".encode())
        state.update(part.encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def _tensors(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from sorted(model.named_parameters(), key=lambda item: item[0])
    yield from sorted(model.named_buffers(), key=lambda item: item[0])


def _bytes(tensor: Tensor) -> Iterable[Any]:
    """The memory of a tensor, in pieces that fit beside it when it lives on another device."""
    if tensor.is_meta or not tensor.numel():
        return
    flat = tensor.detach().contiguous().reshape(-1)
    for piece in torch.split(flat, 1 << 26):
        yield piece.cpu().view(torch.uint8).numpy().data


def _config(model: PreTrainedModel) -> str:
    facts = {key: value for key, value in model.config.to_dict().items() if key not in _ORIGIN}
    return json.dumps(facts, sort_keys=True, default=str)


def _tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Everything that turns text into ids and back: rules, vocabulary, special tokens, chat template."""
    core: Any = getattr(tokenizer, "backend_tokenizer", None)
    rules = _rules(core) if core is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)
    read = str(tokenizer(_TEXT).input_ids)
    return "\0".join((type(tokenizer).__name__, rules, special, read, str(tokenizer.chat_template)))


def _rules(core: Any) -> str:
    """A fast tokenizer as JSON, without what the last call happened to leave in it."""
    truncation, padding = core.truncation, core.padding
    core.no_truncation()
    core.no_padding()
    try:
        return str(core.to_str())
    finally:
        if truncation:
            core.enable_truncation(**truncation)
        if padding:
            core.enable_padding(**padding)
