"""Teacher-forced passes that keep hidden states, not logits: the head sees a few positions at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.structure.probe import no_cache

_LOGITS_AT_ONCE = 1 << 26  # elements: 256 MiB in float32
_TOKENS_AT_ONCE = 2048


def final_hidden(lm: LanguageModel, tokens: Tensor, batch_size: int = 16) -> Tensor:
    """Head inputs (after the final norm) ``(N, L, d)`` of right-padded tokens ``(N, L)``.

    No attention mask: with causal attention, padding on the right cannot reach the tokens before it.
    """
    backbone = _backbone(lm)
    batches = torch.split(tokens.to(lm.device), batch_size)
    with torch.inference_mode():
        hidden = [backbone(input_ids=batch, **no_cache(backbone)).last_hidden_state for batch in batches]
    return torch.cat(hidden)


def read(lm: LanguageModel, tokens: Tensor, memory: Any = None) -> Any:
    """The cache after texts of one length ``(k, L)``; None for no text and models whose cache is not shared.

    ``memory`` is the cache after the beginning of all of them, which is not read again.
    """
    if not lm.checks.shared:
        return None
    known = 0 if memory is None else int(memory.get_seq_length())
    if tokens.shape[1] == known == 0:
        return None
    cache = copy.deepcopy(memory)  # a pass writes into its cache
    if cache is not None:
        cache.batch_repeat_interleave(len(tokens))
    if tokens.shape[1] == known:
        return cache
    with torch.inference_mode():
        output = _backbone(lm)(
            input_ids=tokens[:, known:].to(lm.device), past_key_values=cache, use_cache=True
        )
    return output.past_key_values


def hidden_after(lm: LanguageModel, memory: Any, tokens: Tensor, text: Tensor | None = None) -> Tensor:
    """Head inputs ``(k, n, d)`` of right-padded tokens ``(k, n)`` that follow texts in ``memory``.

    text: which of them each row follows, ``(k,)``; without it there is only one.
    """
    if memory is None:
        return final_hidden(lm, tokens, len(tokens))
    cache = copy.deepcopy(memory)  # a pass writes into its cache
    if text is None:
        cache.batch_repeat_interleave(len(tokens))
    else:
        cache.batch_select_indices(text.to(lm.device))
    with torch.inference_mode():
        output = _backbone(lm)(input_ids=tokens.to(lm.device), past_key_values=cache, use_cache=True)
    hidden: Tensor = output.last_hidden_state
    return hidden


def _backbone(lm: LanguageModel) -> torch.nn.Module:
    return lm.anatomy.need_head().backbone


def head_logits(lm: LanguageModel, hidden: Tensor) -> Tensor:
    """Logits ``(..., V)`` of head inputs ``(..., d)``."""
    with torch.inference_mode():
        return lm.anatomy.logits_from_hidden(hidden, final_norm=False)


def token_rows(tokens: Tensor) -> int:
    """How many rows of tokens ``(N, T)`` go through a model at once."""
    return max(1, _TOKENS_AT_ONCE // tokens.shape[1])


def logit_slices(count: int, vocabulary: int) -> Iterator[slice]:
    """Slices of ``count`` rows so that logits of one slice stay within a fixed memory."""
    step = max(1, _LOGITS_AT_ONCE // vocabulary)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
