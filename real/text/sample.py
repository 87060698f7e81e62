"""Draw continuations from a model: batched, cached, reproducible whatever the batch size.

Sampling is the Gumbel-max race: the next token is argmax(z/T + G) with standard Gumbel noise G, which is an
exact draw from softmax(z/T). Row i draws its noise from its own generator, so two models given the same seed
run the same race: their samples are coupled by shared Gumbel noise (theorem G11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from more_itertools import chunked
from torch import LongTensor, Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from real.models.load import LanguageModel
from real.models.settings import neutral_settings
from real.text.prompting import encode_prompts
from real.text.seeds import row_generator
from theory.terminal.console import track

HALF = (torch.bfloat16, torch.float16)
"""Types in which two evaluations of the same weights differ by what mild compressions change."""


@dataclass(frozen=True)
class Samples:
    """Continuations of prompts, padded on the right, so that one causal pass without a mask scores them all.

    tokens: int64 ``(N, L)`` prompt then continuation (with its end-of-sequence token) then padding.
    prompt_lengths, lengths: ``(N,)`` tokens before the continuation, and in all without padding.
    prompt: ``(N,)`` index of the prompt; rows of one prompt are one statistical cluster.
    log_prob: float64 ``(N, n)`` of the drawn tokens in the evaluation that drew them, zero after a row's end;
    kept in half precision, where another evaluation of the same weights is another function (K10).
    """

    tokens: Tensor
    prompt_lengths: Tensor
    lengths: Tensor
    prompt: Tensor
    temperature: float
    seed: int
    log_prob: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def horizon(self) -> int:
        """Longest continuation in tokens."""
        return int((self.lengths - self.prompt_lengths).max())

    def continuation(self, row: int) -> Tensor:
        """Generated tokens of one row, ``(n,)``."""
        return self.tokens[row, self.prompt_lengths[row] : self.lengths[row]]


class GumbelRace(LogitsProcessor):
    """Scores become logits / T + Gumbel noise, so that the argmax is a sample.

    drawn: with ``keep``, the log-probability of that sample at every step, float64 ``(B,)`` each.
    """

    def __init__(self, temperature: float, generators: Sequence[torch.Generator], keep: bool = False) -> None:
        self.temperature = temperature
        self.generators = generators
        self.keep = keep
        self.drawn: list[Tensor] = []

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        noisy = scores.float() / self.temperature + gumbel_noise(scores, self.generators)
        if self.keep:
            laws = torch.log_softmax(scores.double() / self.temperature, -1)
            self.drawn.append(laws.gather(-1, noisy.argmax(-1, keepdim=True)).squeeze(-1).cpu())
        return noisy


def row_generators(seed: int, rows: Sequence[int]) -> list[torch.Generator]:
    """The random numbers of each row of ``sample(..., seed=seed)``, from their beginning."""
    return [row_generator(seed, row) for row in rows]


def gumbel_noise(logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard Gumbel noise ``(B, V)``, one generator per row: the next step of the race."""
    noise = torch.empty(logits.shape, dtype=torch.float32)
    for row, generator in zip(noise, generators, strict=True):
        row.exponential_(generator=generator)
    return noise.log_().neg_().to(logits.device)


def stop_tokens(lm: LanguageModel) -> list[int]:
    """End-of-sequence ids of the tokenizer and of the model's generation settings."""
    stops: set[int] = set()
    settings = getattr(lm.model, "generation_config", None)
    for known in (lm.tokenizer.eos_token_id, settings and settings.eos_token_id):
        stops.update(known if isinstance(known, list | tuple) else [] if known is None else [known])
    return sorted(stops)


def sample(
    lm: LanguageModel,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    new_tokens: int,
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 32,
    first_row: int = 0,
) -> Samples:
    """Draw ``samples`` continuations of up to ``new_tokens`` tokens for every prompt.

    ``prompts`` are texts (chat template applied where the tokenizer has one) or lists of token ids.
    ``temperature`` 0 is greedy decoding. Rows stop at the end-of-sequence token. Each row's noise is that
    of its number; ``first_row`` is that of the first where these prompts are some of many.

    Raises
    ------
    ValueError
        No prompts, a prompt too long for the context, ``samples`` below 1 or a negative temperature.
    """
    if samples < 1:
        raise ValueError(f"samples (K) must be at least 1, got {samples}")
    if temperature < 0:
        raise ValueError(f"temperature must be 0 (greedy) or positive, got {temperature}")
    if prompts and not isinstance(prompts[0], str):
        encoded = [list(map(int, ids)) for ids in prompts]
    else:
        encoded = encode_prompts(lm, [str(text) for text in prompts], new_tokens)
    # Rows of like length share a batch: little padding, and the order does not change any row's own noise.
    rows = [(index, ids) for index, ids in enumerate(encoded) for _ in range(samples)]
    batches = length_batches(lm, [len(ids) for _, ids in rows], batch_size)
    continuations: dict[int, list[int]] = {}
    log_prob = torch.zeros(len(rows), new_tokens, dtype=torch.float64)
    keep = lm.model.dtype in HALF and temperature > 0
    for batch in track(batches, "sampling"):
        numbers = [first_row + row for row in batch]
        race = [GumbelRace(temperature, row_generators(seed, numbers), keep)] if temperature > 0 else []
        drawn = generate(lm, [rows[row][1] for row in batch], new_tokens, race)
        continuations.update(zip(batch, drawn, strict=True))
        if keep:
            steps = torch.stack(race[0].drawn, 1)
            log_prob[batch, : steps.shape[1]] = steps
    found = pack(lm, rows, [continuations[row] for row in range(len(rows))], temperature, seed)
    if not keep:
        return found
    live = torch.arange(found.horizon) < (found.lengths - found.prompt_lengths).unsqueeze(1)
    return replace(found, log_prob=log_prob[:, : found.horizon] * live)


def length_batches(lm: LanguageModel, lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Rows in batches of like length, or of equal length where the model reads padding as if it were text."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    if lm.checks.padded:
        groups = [order]
    else:
        groups = [list(rows) for _, rows in groupby(order, key=lengths.__getitem__)]
    return [batch for rows in groups for batch in chunked(rows, batch_size)]


@torch.inference_mode()
def generate(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    processors: Sequence[LogitsProcessor],
) -> list[list[int]]:
    """Continuations of one batch, cut after the first stop token; the argmax of processed logits is drawn."""
    stops, (ids, mask) = stop_tokens(lm), left_padded(lm, prompts)
    model: Any = lm.model
    with neutral_settings(model):
        output = model.generate(
            ids,
            attention_mask=mask,
            logits_processor=LogitsProcessorList(processors),
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                do_sample=False,
                max_new_tokens=new_tokens,
                eos_token_id=stops or None,
                pad_token_id=_pad_token(lm),
                use_cache=lm.checks.cached,
            ),
        )
    return [_until_stop(row, stops) for row in output[:, ids.shape[1] :].tolist()]


def left_padded(lm: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask ``(B, L)`` of prompts that end together, on the model's device."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), _pad_token(lm))
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(lm.device), mask.to(lm.device)


def _until_stop(tokens: list[int], stops: list[int]) -> list[int]:
    first = next((index for index, token in enumerate(tokens) if token in stops), len(tokens))
    return tokens[: first + 1]


def _pad_token(lm: LanguageModel) -> int:
    """An id of the embedding; which one does not matter, because padding is masked."""
    known = [lm.tokenizer.pad_token_id, *stop_tokens(lm), 0]
    weight = lm.model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return int(next(token for token in known if token is not None and token < len(weight)))


def pack(
    lm: LanguageModel,
    rows: list[tuple[int, list[int]]],
    continuations: list[list[int]],
    temperature: float,
    seed: int,
) -> Samples:
    """Samples from prompts with their index (rows of one prompt side by side) and their continuations."""
    whole = [
        torch.tensor(ids + continuation) for (_, ids), continuation in zip(rows, continuations, strict=True)
    ]
    return Samples(
        tokens=torch.nn.utils.rnn.pad_sequence(whole, batch_first=True, padding_value=_pad_token(lm)),
        prompt_lengths=torch.tensor([len(ids) for _, ids in rows]),
        lengths=torch.tensor([len(ids) for ids in whole]),
        prompt=torch.tensor([index for index, _ in rows]),
        temperature=temperature,
        seed=seed,
    )
