"""A language model of a few thousand random weights, made without a network; the command line to ask it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from real.command_line import app
from real.models.load import LanguageModel
from real.models.save import save
from theory.terminal.run import run

Command = Callable[..., tuple[int, str, str]]


def byte_tokenizer(chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """One token per byte of text, then beginning (256) and end (257) of sequence."""
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", chat_template=chat_template
    )


def tiny_language_model(seed: int = 0, **config: int) -> LanguageModel:
    """Random Llama with three layers, width 32 and 258 tokens; logits spread enough to matter."""
    settings = dict(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
        bos_token_id=256,
        eos_token_id=257,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**(settings | config)))
    return LanguageModel(model.eval(), byte_tokenizer(), "tiny-llama", {"name": "tiny-llama"})


@pytest.fixture(scope="session")
def tiny_lm() -> LanguageModel:
    """Shared: tests that change the model must restore it."""
    return tiny_language_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model saved as any user's would be."""
    return str(save(tiny_language_model(), tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    """A file of three prompts."""
    path = tmp_path / "prompts.txt"
    path.write_text("One.\nTwo, three\nAnd a fourth one\n")
    return str(path)


@pytest.fixture
def real_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Command:
    """Call the command line with a cache of its own; return exit code, stdout and stderr."""

    cache = str(tmp_path_factory.mktemp("cache"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["real", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", cache)
        with pytest.raises(SystemExit) as ended:
            run(app)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call
