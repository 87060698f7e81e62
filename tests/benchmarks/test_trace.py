"""Layer-wise tracing of the embedded model in one pass against token by token. Ratios of one run, one thread.

The rival is what a script that follows the definitions does: it decodes with a cache and, at every token and
sublayer, sends the residual vector with and without the sublayer through final norm and head, one row each,
and computes the columns of ``Drift`` from the two rows of logits by their textbook formulas, in float32 (as
scripts do; it loses the digits of small drifts) or in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from real.models.load import LanguageModel, load
from real.text.texts import calibration_tokens
from real.tracing import trace_sublayers
from tests.benchmarks.test_measure import textbook
from tests.real.conftest import byte_tokenizer

pytestmark = pytest.mark.benchmark
TOKENS, STEPS, ROUNDS = 256, 6, 4


def smollm2_shape(layers: int) -> LanguageModel:
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
def token_by_token(lm: LanguageModel, tokens: torch.Tensor, dtype: torch.dtype) -> float:
    """Seconds per token of the last STEPS tokens, compared one by one in ``dtype``."""
    model, caught = lm.model, {}

    def entering(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        caught[module] = args[0]

    handles = []
    for layer in model.model.layers:
        handles += [
            part.register_forward_pre_hook(entering) for part in (layer, layer.post_attention_layernorm)
        ]
    handles.append(model.model.norm.register_forward_pre_hook(entering))
    cache = model(tokens[:, : TOKENS - STEPS], use_cache=True, logits_to_keep=1).past_key_values
    start = time.process_time()
    for step in range(TOKENS - STEPS, TOKENS):
        model(tokens[:, step : step + 1], past_key_values=cache, use_cache=True)
        points = [
            caught[part] for layer in model.model.layers for part in (layer, layer.post_attention_layernorm)
        ]
        points.append(caught[model.model.norm])
        for without, dense in pairwise(points):
            pair = [model.lm_head(model.model.norm(point))[0] for point in (dense, without)]
            textbook(*(logits.to(dtype) for logits in pair))
    taken = time.process_time() - start
    for handle in handles:
        handle.remove()
    return taken / STEPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_one_pass_against_token_by_token(
    dtype: torch.dtype, record_property: Callable[[str, object], None]
) -> None:
    lm = load("smollm2-135m")
    tokens = calibration_tokens(lm.tokenizer, 1, TOKENS)
    list(trace_sublayers(lm, tokens[:, :4]))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: list(trace_sublayers(lm, tokens))) / TOKENS)
        theirs.append(token_by_token(lm, tokens, dtype))
    ratio = min(theirs) / min(ours)  # noise only ever adds
    record_property(f"token by token in {dtype} / one pass, per token", ratio)
    print(f"\nlayer-wise trace, per token: step by step in {dtype} {min(theirs) * 1e3:.0f} ms, ", end="")
    print(f"one pass {min(ours) * 1e3:.0f} ms; ratio of the fastest of {ROUNDS} rounds {ratio:.2f}x")
