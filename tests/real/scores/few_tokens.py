"""A model whose few tokens overlap, small enough to enumerate every text it may write."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from real.models.load import LanguageModel
from real.scores.accepted import Accepted
from real.scores.tree import Question

TOKENS = ("a", "b", ".", "Ġ", "ab", "ba", "Ġa", "b.")
MERGES = [("a", "b"), ("b", "a"), ("Ġ", "a"), ("b", ".")]
END = len(TOKENS) + 1


def few_tokens(seed: int) -> LanguageModel:
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(TOKENS)}, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    config = LlamaConfig(
        vocab_size=END + 1,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.5,
        bos_token_id=END - 1,
        eos_token_id=END,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).double()
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    return LanguageModel(model.eval(), whole, "few-tokens", {"name": "few-tokens"})


def question(accepted: Accepted, horizon: int, prompt: tuple[int, ...] = (0, 4, 1)) -> Question:
    return Question(prompt, accepted, horizon)


def written(text: str, stops: tuple[str, ...]) -> str:
    """What the harness keeps: letters are written until a stop is there, then cut at every stop in turn."""
    for end in range(len(text) + 1):
        if any(stop in text[:end] for stop in stops):
            text = text[:end]
            break
    for stop in stops:
        text = text.split(stop)[0]
    return text


def every_text(
    lm: LanguageModel, prompt: tuple[int, ...], horizon: int, temperature: float = 1.0
) -> Iterator[tuple[str, float]]:
    """Every text of the model, decoded by its tokenizer, with its probability; nothing of ours is used."""
    unfinished = torch.empty(1, 0, dtype=torch.long)
    mass = torch.ones(1, dtype=torch.float64)
    for step in range(horizon):
        whole = torch.cat([torch.tensor(prompt).expand(len(unfinished), -1), unfinished], 1)
        with torch.inference_mode():
            logits = lm.model(input_ids=whole).logits[:, -1].double()
        chances = mass.unsqueeze(1) * torch.softmax(logits / temperature, -1)
        unfinished = torch.cat(
            [
                unfinished.repeat_interleave(END + 1, 0),
                torch.arange(END + 1).repeat(len(unfinished)).unsqueeze(1),
            ],
            1,
        )
        mass = chances.flatten()
        over = (unfinished[:, -1] == END) | (step + 1 == horizon)
        for row, chance in zip(unfinished[over].tolist(), mass[over].tolist(), strict=True):
            yield lm.tokenizer.decode(row, skip_special_tokens=True), chance
        unfinished, mass = unfinished[~over], mass[~over]
