"""Head inputs at every generated token of many texts; what texts have in common is read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from more_itertools import chunked
from torch import Tensor

from real.models.load import LanguageModel
from real.text.passes import hidden_after, read
from real.text.sample import Samples

_BATCH_TOKENS = 512
_CALL_TOKENS = 16  # a forward pass costs about as much as that many tokens before it reads the first


def generated_hidden(lm: LanguageModel, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """Head inputs ``(M, d)`` that predict every generated token, with row and step indices ``(M,)``."""
    steps = torch.arange(samples.horizon).expand(len(samples), -1)
    live = steps < (samples.lengths - samples.prompt_lengths).unsqueeze(1)
    row, step = live.nonzero(as_tuple=True)
    parts: dict[int, Tensor] = {}
    for group in _groups(lm, samples):
        shared = 0 if group.memory is None else group.common
        # Rows of like length share a batch, cut to its longest: little padding to compute.
        order = samples.lengths[group.rows].argsort()
        longest = int(samples.lengths[group.rows].max()) - shared
        for few in torch.split(order, max(1, _BATCH_TOKENS // longest)):
            batch = group.rows[few]
            width = int(samples.lengths[batch].max())
            text = None if group.text is None else group.text[few]
            hidden = hidden_after(lm, group.memory, samples.tokens[batch, shared:width], text)
            for index, states in zip(batch.tolist(), hidden, strict=True):
                start, end = int(samples.prompt_lengths[index]), int(samples.lengths[index])
                parts[index] = states[start - 1 - shared : end - 1 - shared].clone()
    return torch.cat([parts[index] for index in range(len(samples))]), row, step


@dataclass(frozen=True)
class _Group:
    """Rows ``(k,)`` that continue texts of one length, ``common``; ``text``: which of those in the cache.

    Without ``text`` they all continue the only one.
    """

    rows: Tensor
    text: Tensor | None
    common: int
    memory: Any


def _groups(lm: LanguageModel, samples: Samples) -> Iterator[_Group]:
    """All rows, with what is read once for several of them.

    What all prompts share (a system prompt, worked examples) is read once. The rest of each prompt is read
    once for all its rows, prompts of one length together, or again with every row: whichever costs less.
    """
    every = torch.arange(len(samples))
    shared = _shared(samples)
    memory = read(lm, samples.tokens[:1, :shared])
    prompts = [every[samples.prompt == prompt] for prompt in sorted(set(samples.prompt.tolist()))]
    starts = [int(samples.prompt_lengths[rows[0]]) - 1 for rows in prompts]
    saved = sum((len(rows) - 1) * (start - shared) for rows, start in zip(prompts, starts, strict=True))
    together = [
        (start, few)
        for start in sorted(set(starts))
        for few in chunked(
            [rows for rows, own in zip(prompts, starts, strict=True) if own == start],
            max(1, _BATCH_TOKENS // max(1, start - shared)),
        )
    ]
    if saved <= 2 * _CALL_TOKENS * len(together):
        yield _Group(every, None, shared, memory)
        return
    for start, few in together:
        text = torch.cat([torch.full_like(rows, index) for index, rows in enumerate(few)])
        texts = samples.tokens[torch.stack([rows[0] for rows in few]), :start]
        yield _Group(torch.cat(few), text, start, read(lm, texts, memory))


def _shared(samples: Samples) -> int:
    """Leading tokens that all prompts share, without the last of any prompt."""
    most = int(samples.prompt_lengths.min()) - 1
    same = (samples.tokens[:, :most] == samples.tokens[0, :most]).all(0)
    return int(same.long().cumprod(0).sum())
