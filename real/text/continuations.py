"""Head inputs at every generated token of many texts; what texts have in common is read once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
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
    for rows, common, memory in _groups(lm, samples):
        shared = 0 if memory is None else common
        # Rows of like length share a batch, cut to its longest: little padding to compute.
        order = rows[samples.lengths[rows].argsort()]
        longest = int(samples.lengths[rows].max()) - shared
        for batch in torch.split(order, max(1, _BATCH_TOKENS // longest)):
            width = int(samples.lengths[batch].max())
            hidden = hidden_after(lm, memory, samples.tokens[batch, shared:width])
            for index, states in zip(batch.tolist(), hidden, strict=True):
                start, end = int(samples.prompt_lengths[index]), int(samples.lengths[index])
                parts[index] = states[start - 1 - shared : end - 1 - shared].clone()
    return torch.cat([parts[index] for index in range(len(samples))]), row, step


def _groups(lm: LanguageModel, samples: Samples) -> Iterator[tuple[Tensor, int, Any]]:
    """Rows that continue one text, how long it is, and the cache after it.

    What all prompts share (a system prompt, worked examples) is read once. The rest of each prompt is read
    once for all its rows, or again with every row: whichever costs less.
    """
    every = torch.arange(len(samples))
    shared = _shared(samples)
    memory = read(lm, samples.tokens[0, :shared])
    prompts = [every[samples.prompt == prompt] for prompt in sorted(set(samples.prompt.tolist()))]
    starts = [int(samples.prompt_lengths[rows[0]]) - 1 for rows in prompts]
    saved = sum((len(rows) - 1) * (start - shared) for rows, start in zip(prompts, starts, strict=True))
    if saved <= 2 * _CALL_TOKENS * len(prompts):
        yield every, shared, memory
        return
    for rows, start in zip(prompts, starts, strict=True):
        yield rows, start, read(lm, samples.tokens[rows[0], :start], memory)


def _shared(samples: Samples) -> int:
    """Leading tokens that all prompts share, without the last of any prompt."""
    most = int(samples.prompt_lengths.min()) - 1
    same = (samples.tokens[:, :most] == samples.tokens[0, :most]).all(0)
    return int(same.long().cumprod(0).sum())
