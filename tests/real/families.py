"""Random models of a few thousand weights, one of every family that the anatomy must understand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    BloomConfig,
    CohereConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
    StableLmConfig,
)

from real.models.load import LanguageModel
from tests.real.conftest import byte_tokenizer

VOCABULARY = 258
LAYERS = 3

_size = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=LAYERS,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    bos_token_id=256,
    eos_token_id=257,
    pad_token_id=0,
)
_many_heads = _size | dict(num_key_value_heads=4)
_old = {k: v for k, v in _size.items() if k != "num_key_value_heads"}
_gpt = dict(
    vocab_size=VOCABULARY,
    n_embd=32,
    n_layer=LAYERS,
    n_head=4,
    n_positions=64,
    bos_token_id=256,
    eos_token_id=257,
)
_experts = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24)
_bloom = dict(
    vocab_size=VOCABULARY, hidden_size=32, n_layer=LAYERS, n_head=4, bos_token_id=256, eos_token_id=257
)
_falcon = _bloom | dict(num_hidden_layers=LAYERS, num_attention_heads=4)
_opt = _old | dict(ffn_dim=48, word_embed_proj_dim=32)

# name -> (configuration, how sublayers join the residual stream)
CONFIGS: dict[str, tuple[Callable[[], PreTrainedConfig], str | None]] = {
    "llama": (lambda: LlamaConfig(**_size), "sequential"),
    "llama-tied": (lambda: LlamaConfig(**_size, tie_word_embeddings=True), "sequential"),
    "mistral": (lambda: MistralConfig(**_size, sliding_window=8), "sequential"),
    "qwen2": (lambda: Qwen2Config(**_size), "sequential"),
    "qwen3": (lambda: Qwen3Config(**_size, head_dim=8), "sequential"),
    "gemma2": (
        lambda: Gemma2Config(**_size, head_dim=8, final_logit_softcapping=2.0, sliding_window=8),
        "sequential",
    ),
    "gemma3": (lambda: Gemma3TextConfig(**_size, head_dim=8, sliding_window=8), "sequential"),
    "gpt2": (lambda: GPT2Config(**_gpt), "sequential"),
    "gpt-j": (lambda: GPTJConfig(**_gpt, rotary_dim=4), "parallel"),
    "gpt-neox": (lambda: GPTNeoXConfig(**_old), "parallel"),
    "gpt-neox-sequential": (lambda: GPTNeoXConfig(**_old, use_parallel_residual=False), "sequential"),
    "opt": (lambda: OPTConfig(**_opt), "sequential"),
    "opt-post-norm": (
        lambda: OPTConfig(**_opt | dict(word_embed_proj_dim=16, do_layer_norm_before=False)),
        "post-norm",
    ),
    "phi": (lambda: PhiConfig(**_many_heads), "parallel"),
    "phi3": (lambda: Phi3Config(**_size), "sequential"),
    "falcon": (lambda: FalconConfig(**_falcon), "parallel"),
    "falcon-new": (
        lambda: FalconConfig(**_falcon, num_kv_heads=2, new_decoder_architecture=True),
        "parallel",
    ),
    "falcon-alibi": (lambda: FalconConfig(**_falcon, parallel_attn=False, alibi=True), "sequential"),
    "bloom": (lambda: BloomConfig(**_bloom), "sequential"),
    "stablelm": (lambda: StableLmConfig(**_size), "sequential"),
    "stablelm-parallel": (lambda: StableLmConfig(**_size, use_parallel_residual=True), "parallel"),
    "olmo2": (lambda: Olmo2Config(**_size), "sequential"),
    "granite": (
        lambda: GraniteConfig(**_size, residual_multiplier=0.3, logits_scaling=3.0, embedding_multiplier=4.0),
        "sequential",
    ),
    "cohere": (lambda: CohereConfig(**_size, logit_scale=0.3), "parallel"),
    "mixtral": (lambda: MixtralConfig(**_size, num_local_experts=4), "sequential"),
    "qwen2-moe": (
        lambda: Qwen2MoeConfig(**_size, **_experts, shared_expert_intermediate_size=24),
        "sequential",
    ),
    "qwen3-moe": (lambda: Qwen3MoeConfig(**_size, **_experts, head_dim=8), "sequential"),
    "qwen3-moe-alternating": (
        lambda: Qwen3MoeConfig(**_size, **_experts, head_dim=8, decoder_sparse_step=2),
        "sequential",
    ),
    "mamba": (lambda: MambaConfig(**_old, state_size=4), None),
}
TRANSFORMERS = [
    name
    for name, (_, residual) in CONFIGS.items()
    if residual is not None and name != "qwen3-moe-alternating"
]


def spread_weights(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Random weights large enough that every sublayer matters; norms and biases away from one and zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() >= 2:
                parameter.copy_(noise * 0.2)
            else:
                parameter.add_(noise * 0.1)
    return model.eval()


@cache
def family(name: str) -> PreTrainedModel:
    """The random model of that family, the same on every call: tests that change it must restore it."""
    torch.manual_seed(0)
    return spread_weights(AutoModelForCausalLM.from_config(CONFIGS[name][0]()))


@cache
def language_model(name: str) -> LanguageModel:
    """The family's model with a byte tokenizer."""
    return LanguageModel(family(name), byte_tokenizer(), name, {"name": name})


@cache
def encoder() -> PreTrainedModel:
    """A random BERT without a head."""
    return spread_weights(BertModel(BertConfig(**_old)))


def some_tokens(seed: int = 0, rows: int = 2, length: int = 12) -> torch.Tensor:
    """Random ordinary token ids."""
    return torch.randint(1, 250, (rows, length), generator=torch.Generator().manual_seed(seed))
