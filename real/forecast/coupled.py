"""Let a model write beside a dense text and see how long both stay identical.

The model decodes token by token with its own cache, coupled to the dense model's draws in one of three ways;
a row ends at its first difference, because everything before is common and nothing after is asked for.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch import LongTensor, Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList

from real.forecast.stepwise import DensePass
from real.models.load import LanguageModel
from real.models.settings import neutral_settings
from real.text.sample import Samples, gumbel_noise, left_padded, length_batches, row_generators
from real.text.seeds import generator

Coupling = Literal["greedy", "shared noise", "maximal"]


class _Draw(Protocol):
    """Whether the model's own draw is the dense one: logits ``(B, V)``, step, dense tokens ``(B,)``."""

    def __call__(self, logits: Tensor, step: int, tokens: Tensor) -> Tensor: ...


def identical_prefix(
    other: LanguageModel, dense: DensePass, coupling: Coupling, seed: int = 0, batch_size: int = 32
) -> Tensor:
    """Number of leading tokens of every dense text that ``other`` writes as well, int64 ``(N,)``.

    "greedy": its most probable token. "shared noise": its winner of the Gumbel race whose noise drew the
    dense text (G11). "maximal": at every step the dense token x_t is accepted with probability
    min(1, q(x_t)/p(x_t)), and otherwise another one is drawn (G2); ``seed`` draws these decisions.
    """
    samples = dense.samples
    if (coupling == "greedy") != (samples.temperature == 0):
        raise ValueError(f"coupling {coupling!r} does not fit text at temperature {samples.temperature}")
    found = torch.zeros(len(samples), dtype=torch.long)
    for batch in length_batches(other, samples.prompt_lengths.tolist(), batch_size):
        rows = torch.tensor(batch)
        found[rows] = _follow(other, samples, rows, _draw(dense, rows, coupling, seed))
    return found


def _draw(dense: DensePass, rows: Tensor, coupling: Coupling, seed: int) -> _Draw:
    temperature = dense.samples.temperature
    if coupling == "greedy":
        return lambda logits, step, tokens: logits.argmax(-1) == tokens
    if coupling == "shared noise":
        generators = row_generators(dense.samples.seed, rows.tolist())

        def wins(logits: Tensor, step: int, tokens: Tensor) -> Tensor:
            return (logits.float() / temperature + gumbel_noise(logits, generators)).argmax(-1) == tokens

        return wins
    log_prob = torch.zeros(len(dense.samples), dense.samples.horizon)
    log_prob[dense.row, dense.step] = dense.log_prob.float()
    chances = torch.rand(log_prob.shape, generator=generator(seed)).log()

    def accepted(logits: Tensor, step: int, tokens: Tensor) -> Tensor:
        log_q = torch.log_softmax(logits.float() / temperature, -1).gather(1, tokens.unsqueeze(1)).squeeze(1)
        return log_q.cpu() - log_prob[rows, step] > chances[rows, step]

    return accepted


class _Follower(LogitsProcessor):
    """Writes the dense text while the model's own draws agree with it, and counts; also says when to stop."""

    def __init__(self, texts: list[Tensor], draw: _Draw) -> None:
        self.lengths = torch.tensor([len(text) for text in texts])
        self.texts = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        self.draw = draw
        self.prefix = torch.zeros(len(texts), dtype=torch.long)
        self.step = 0

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        tokens = self.texts[:, self.step].to(scores.device)
        alive = (self.prefix == self.step) & (self.step < self.lengths)
        self.prefix += alive & self.draw(scores, self.step, tokens).cpu()
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens.unsqueeze(1), 0.0)

    def departed(self, input_ids: LongTensor, scores: Tensor, **_: Any) -> Tensor:
        """Stopping criterion, bool ``(B,)``."""
        done = (self.prefix < self.step) | (self.step >= self.lengths)
        return done.to(input_ids.device)


@torch.inference_mode()
def _follow(other: LanguageModel, samples: Samples, rows: Tensor, draw: _Draw) -> Tensor:
    follower = _Follower([samples.continuation(int(row)) for row in rows], draw)
    prompts = [samples.tokens[row, : samples.prompt_lengths[row]].tolist() for row in rows]
    ids, mask = left_padded(other, prompts)
    model: Any = other.model
    with neutral_settings(model):
        model.generate(
            ids,
            attention_mask=mask,
            logits_processor=LogitsProcessorList([follower]),
            stopping_criteria=StoppingCriteriaList([follower.departed]),
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False,
                max_new_tokens=int(follower.lengths.max()),
                pad_token_id=0,
                use_cache=other.checks.cached,
            ),
        )
    return follower.prefix
