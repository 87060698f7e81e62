"""Log-probabilities of the tokens that were written."""

from __future__ import annotations

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.text.continuations import generated_hidden
from real.text.passes import head_logits
from real.text.sample import Samples

_HEAD_ROWS = 64


def log_probabilities(lm: LanguageModel, samples: Samples) -> Tensor:
    """Of every generated token under ``lm`` at the samples' temperature, in nats, float64 ``(N, n)``.

    Zero after the end of a row. One teacher-forced pass; greedy texts are read at temperature 1.
    """
    return read_tokens(lm, samples)[0]


def read_tokens(lm: LanguageModel, samples: Samples) -> tuple[Tensor, Tensor]:
    """:func:`log_probabilities`, and whether greedy decoding writes each token there, bool ``(N, n)``.

    True after the end of a row.
    """
    hidden, row, step = generated_hidden(lm, samples)
    tokens = samples.tokens[row, samples.prompt_lengths[row] + step]
    found = torch.zeros(len(samples), samples.horizon, dtype=torch.float64)
    greedy = torch.ones(len(samples), samples.horizon, dtype=torch.bool)
    for few in torch.split(torch.arange(len(hidden)), _HEAD_ROWS):
        logits = head_logits(lm, hidden[few]).double().cpu() / (samples.temperature or 1.0)
        drawn = torch.log_softmax(logits, -1).gather(1, tokens[few].unsqueeze(1)).squeeze(1)
        found[row[few], step[few]] = drawn
        greedy[row[few], step[few]] = logits.argmax(-1) == tokens[few]
    return found, greedy
