"""Layer-wise tracing in one pass against doing it token by token. Ratios of one run, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from real.anatomy import anatomy
from real.load import LanguageModel
from real.trace import trace_sublayers
from tests.real.conftest import byte_tokenizer
from theory import measure

pytestmark = pytest.mark.benchmark
LAYERS, TOKENS, STEPS = 6, 64, 8


def smollm2_shape(layers: int = LAYERS) -> LanguageModel:
    """Random weights in the shape of SmolLM2-135M, with fewer layers."""
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
        initializer_range=0.1,  # drifts of the size that trained models show
    )
    torch.manual_seed(0)
    return LanguageModel(LlamaForCausalLM(config).eval(), byte_tokenizer(), "smollm2-shape", {})


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call: wall time would measure the neighbours too."""
    start = time.process_time()
    work()
    return time.process_time() - start


@torch.no_grad()
def token_by_token(lm: LanguageModel, tokens: torch.Tensor, steps: int) -> None:
    """Decode with a cache; at every step and sublayer, two head products of one row and their comparison."""
    model, caught = lm.model, {}

    def entering(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        caught[module] = args[0]

    handles = []
    for layer in model.model.layers:
        handles += [
            part.register_forward_pre_hook(entering) for part in (layer, layer.post_attention_layernorm)
        ]
    handles.append(model.model.norm.register_forward_pre_hook(entering))
    cache = model(tokens[:, : TOKENS - steps], use_cache=True).past_key_values
    for step in range(TOKENS - steps, TOKENS):
        model(tokens[:, step : step + 1], past_key_values=cache, use_cache=True)
        points = [
            caught[part] for layer in model.model.layers for part in (layer, layer.post_attention_layernorm)
        ]
        points.append(caught[model.model.norm])
        for without, dense in pairwise(points):
            pair = [model.lm_head(model.model.norm(point))[0] for point in (dense, without)]
            measure(*pair)
    for handle in handles:
        handle.remove()


def test_one_pass_against_token_by_token(record_property: Callable[[str, object], None]) -> None:
    lm = smollm2_shape()
    anatomy(lm.model)
    tokens = torch.randint(0, 49152, (1, TOKENS), generator=torch.Generator().manual_seed(0))
    list(trace_sublayers(lm, tokens[:, :4]))
    rounds = []
    for _ in range(3):
        ours = seconds(lambda: list(trace_sublayers(lm, tokens))) / TOKENS
        theirs = seconds(lambda: token_by_token(lm, tokens, STEPS)) / STEPS
        rounds.append(theirs / ours)
    ratio = sorted(rounds)[1]
    record_property("token by token / one pass, per token", ratio)
    print(
        f"\nlayer-wise trace, per token: step by step {theirs * 1e3:.0f} ms, one pass {ours * 1e3:.1f} ms",
        end="",
    )
    print(f"; median ratio {ratio:.1f}x")
