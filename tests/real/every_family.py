"""A tiny random model of every causal class of transformers that can be built tiny, and its parts by hand.

Sizes are given generically by the names that configurations use; what a class needs besides stands in NEEDS.
PARTS names, for every class that has them, the modules of one layer that write its attention and its MLP:
written by hand from the source of the class, never taken from what this project finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from real.models.load import LanguageModel
from tests.real.conftest import byte_tokenizer
from tests.real.families import spread_weights


def _words(text: str) -> list[str]:
    return text.split()


# fmt: off
SIZES: dict[str, Any] = dict(
    vocab_size=258, vocab_size_per_layer_input=258, type_vocab_size=2, bos_token_id=256, eos_token_id=257,
    pad_token_id=0, max_position_embeddings=128, n_positions=128, n_ctx=128, max_seq_len=128,
    hidden_size=32, d_model=32, n_embd=32, dim_model=32, dim=32, emb_dim=32, embedding_size=32, lru_width=32,
    word_embed_proj_dim=32, intermediate_size=48, ffn_dim=48, decoder_ffn_dim=48, encoder_ffn_dim=48,
    n_inner=48, d_inner=48, dim_ff=48, dff=48,
    num_hidden_layers=3, n_layer=3, n_layers=3, num_layers=3, decoder_layers=3, encoder_layers=3,
    num_decoder_layers=3, num_attention_heads=4, n_head=4, n_heads=4, num_heads=4,
    decoder_attention_heads=4, encoder_attention_heads=4, num_key_value_heads=2, num_kv_heads=2, head_dim=8,
    dim_head=8, rotary_dim=4, sliding_window=8, attention_window=8,
    q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8, n_group=1,
    topk_group=1, index_head_dim=8, index_n_heads=2, index_topk=4,
    num_experts=4, num_local_experts=4, n_routed_experts=4, moe_num_experts=4, num_experts_per_tok=2,
    moe_topk=2, moe_k=2, top_k_experts=2, moe_intermediate_size=24, expert_hidden_size=24, expert_dim=48,
    shared_expert_intermediate_size=24, shared_intermediate_size=24, moe_shared_expert_intermediate_size=24,
    mamba_n_heads=8, mamba_num_heads=8, mamba_head_dim=8, mamba_d_head=8, mamba_n_groups=1, n_groups=1,
    mamba_d_state=4, state_size=4, ssm_state_size=4, mamba_d_ssm=64, mamba_chunk_size=8, chunk_size=8,
    mamba_ngroups=1, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
    linear_value_head_dim=8, time_step_rank=4, hidden_size_per_layer_input=8, laurel_rank=4,
)
_LATENT = dict(num_key_value_heads=4, head_dim=4)
_DECODER = dict(is_decoder=True)
NEEDS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_words("axk1 axk2 bailing_hybrid deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa "
                           "longcat_flash minicpm3 youtu"), _LATENT),
    **dict.fromkeys(_words("bert bert-generation camembert data2vec-text electra ernie megatron-bert rembert "
                           "roberta roberta-prelayernorm roc_bert roformer xlm-roberta "
                           "xlm-roberta-xl"), _DECODER),
    "bamba": dict(attn_layer_indices=[1]),
    "big_bird": dict(is_decoder=True, block_size=4, num_random_blocks=1),
    "cohere_compass_text": dict(layer_types=["full_attention"] * 3,
        rope_parameters={"full_attention": {"rope_theta": 10000.0, "rope_type": "default"}}),
    "deepseek_v2": dict(_LATENT, num_experts_per_tok=2, first_k_dense_replace=1),
    "dots1": dict(n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1,
        num_key_value_heads=2),
    "dots3_note_text": dict(num_key_value_heads=4),
    "gemma3n_text": dict(num_kv_shared_layers=1, num_hidden_layers=4, layer_types=["full_attention"] * 4),
    "git": dict(vision_config=dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, image_size=16, patch_size=8)),
    "gpt_neo": dict(attention_types=[[["global", "local", "global"], 1]],
        attention_layers=["global", "local", "global"]),
    "granitemoehybrid": dict(layer_types=["mamba", "attention", "mamba"]),
    "hunyuan_v1_dense": dict(head_dim=8),
    "hunyuan_v1_moe": dict(head_dim=8, num_experts=4, moe_topk=2),
    "jamba": dict(attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1),
    "lfm2": dict(layer_types=["conv", "full_attention", "conv"]),
    "lfm2_moe": dict(layer_types=["conv", "full_attention", "conv"], num_dense_layers=1),
    "mamba2": dict(num_heads=8, head_dim=8),
    "ministral": dict(head_dim=8),
    "nemotron": dict(num_key_value_heads=2, head_dim=8),
    "reformer": dict(is_decoder=True, attn_layers=["local", "lsh", "local"], attention_head_size=8,
        axial_pos_embds_dim=(16, 16), axial_pos_shape=(8, 16), feed_forward_size=48,
        hash_seed=0, local_attn_chunk_length=4, lsh_attn_chunk_length=4, num_buckets=4),
    "whisper": dict(max_target_positions=128, num_mel_bins=8, max_source_positions=16),
    "xlm": dict(causal=True),
    "xmod": dict(is_decoder=True, default_language="en_XX"),
    "zamba": dict(num_hidden_layers=4, layer_types=["mamba", "hybrid"] * 2,
        layers_block_type=["mamba", "hybrid"] * 2, attention_hidden_size=64, attention_head_dim=16,
        n_mamba_heads=2, mamba_dt_rank=4),
    "zamba2": dict(num_hidden_layers=4, layers_block_type=["mamba", "hybrid"] * 2, hybrid_layer_ids=[1, 3],
        num_mem_blocks=1, n_mamba_heads=8, mamba_headdim=8),
    "zaya": dict(num_experts_per_tok=1),
}
ALIASES = ("gpt-sw3", "internlm3", "iquestcoder")  # of gpt2 and llama
# Classes that cannot be built tiny, or that take something else than token ids alone.
NOT_BUILT = {
    "blt": "patches of bytes need a second model",
    "dbrx": "its attention settings have no rope_theta in this release",
    **dict.fromkeys(("fuyu", "got_ocr2", "mllama", "moss_transcribe_diarize"),
        "its language model is another class of this list"),
    "gemma4_assistant": "a draft head that reads another model's states",
    "gemma4_unified_assistant": "a draft head that reads another model's states",
    "kimi_linear": "a recurrence in Python loops over every position: minutes for a short text",
    "musicgen": "several codebooks for each position",
    "musicgen_melody": "several codebooks for each position",
    "phi4_multimodal": "its vision and speech encoders have fixed sizes",
    "xlstm": "its recurrent step refuses the states of its own chunks at tiny sizes",
    "qwen4_exp": "token budgets that its own defaults leave undefined",
}
# fmt: on


def _names() -> list[str]:
    """One configuration name for each class, sorted."""
    known, first = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, dict[str, str]()
    for name, model in known.items():
        if name not in ALIASES:
            first.setdefault(model, f"{name}_text" if f"{name}_text" in known else name)
    return sorted(
        name for name in set(first.values()) if not {name, name.removesuffix("_text")} & set(NOT_BUILT)
    )


EVERY = _names()


def tiny_config(name: str) -> Any:
    """The configuration of that name with every size that it has made small."""
    plain = CONFIG_MAPPING[name]()
    text = plain if hasattr(plain, "decoder_layers") else plain.get_text_config(decoder=True)
    known, aliases = vars(text), getattr(type(text), "attribute_map", {})
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    sizes = {k: v for k, v in SIZES.items() if known.get(aliases.get(k, k)) is not None or k in special}
    for key in ("layer_types", "mlp_layer_types", "layers_block_type"):
        kinds = list(dict.fromkeys(known.get(key) or ()))
        if kinds:
            sizes[key] = (kinds * 3)[:3]
    return type(text)(**(sizes | NEEDS.get(name, {})))


@cache
def tiny_model(name: str) -> PreTrainedModel:
    """The random model of that class, the same on every call: tests that change it must restore it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = tiny_config(name)
        if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
            model = AutoModelForCausalLM.from_config(config)
        else:
            model = getattr(transformers, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[name])._from_config(config)
    return spread_weights(model)


@cache
def tiny(name: str) -> LanguageModel:
    """The class's model with a byte tokenizer."""
    return LanguageModel(tiny_model(name), byte_tokenizer(), name, {"name": name})


# Layers, then modules of one layer whose output is what attention and MLP write.
Parts = tuple[str, tuple[str, ...], tuple[str, ...]]


def _many(names: str, parts: Parts) -> dict[str, Parts]:
    return dict.fromkeys(_words(names), parts)


_BERT = (("attention.output.dense",), ("output.dense",))
# fmt: off
PARTS: dict[str, Parts] = {
    **_many("afmoe apertus arcee aria_text axk1 bailing_hybrid beam bitnet cohere cohere2 cohere2_moe "
            "cohere_compass_text cwm deepseek_v2 deepseek_v3 deepseek_v32 diffllama doge dots1 "
            "dots3_note_text emu3 ernie4_5 ernie4_5_moe exaone4 exaone_moe flex_olmo flint gemma "
            "gemma2 gemma3_text gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa "
            "gpt_oss granite granite_swa helium hunyuan_v1_dense hunyuan_v1_moe hy_v3 hyperclovax "
            "inkling_text jais2 kolibri1 laguna llama mellum mimo_v2_flash minicpm3 minimax_m2 "
            "minimax_m3_vl_text ministral ministral3 mistral mixtral moshi nanochat nemotron olmo "
            "olmo2 olmo3 olmoe persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe seed_oss "
            "smollm3 solar_open stablelm starcoder2 vaultgemma youtu zaya",
            ("model.layers", ("self_attn",), ("mlp",))),
    **_many("olmo_hybrid qwen3_5_text qwen3_5_moe_text qwen3_next",
            ("model.layers", ("self_attn", "linear_attn"), ("mlp",))),
    **_many("bamba jamba", ("model.layers", ("self_attn", "mamba"), ("feed_forward",))),
    **_many("lfm2 lfm2_moe lfm3", ("model.layers", ("self_attn", "conv"), ("feed_forward",))),
    "llama4_text": ("model.layers", ("self_attn",), ("feed_forward",)),
    "granitemoe": ("model.layers", ("self_attn",), ("block_sparse_moe",)),
    **_many("granitemoe_swa granitemoeshared",
            ("model.layers", ("self_attn",), ("block_sparse_moe", "shared_mlp"))),
    "granitemoehybrid": ("model.layers", ("self_attn", "mamba"), ("block_sparse_moe", "shared_mlp")),
    "jetmoe": ("model.layers", ("self_attention",), ("mlp",)),
    "modernbert-decoder": ("model.layers", ("attn",), ("mlp",)),
    "recurrent_gemma": ("model.layers", ("temporal_block",), ("mlp_block",)),
    **_many("bart bigbird_pegasus blenderbot blenderbot-small marian mbart mvp opt pegasus plbart trocr "
            "whisper",
            ("model.decoder.layers", ("self_attn",), ("fc2",))),
    "biogpt": ("biogpt.layers", ("self_attn",), ("fc2",)),
    "xglm": ("model.layers", ("self_attn",), ("fc2",)),
    "bloom": ("transformer.h", ("self_attention.dense",), ("mlp.dense_4h_to_h",)),
    "falcon": ("transformer.h", ("self_attention",), ("mlp",)),
    **_many("codegen gpt2 gpt_bigcode gpt_neo gptj openai-gpt", ("transformer.h", ("attn",), ("mlp",))),
    "mpt": ("transformer.blocks", ("attn",), ("ffn.down_proj",)),
    "ctrl": ("transformer.h", ("multi_head_attention",), ("ffn",)),
    "gpt_neox": ("gpt_neox.layers", ("attention",), ("mlp",)),
    "gpt_neox_japanese": ("gpt_neox_japanese.layers", ("attention",), ("mlp",)),
    **_many("bert bert-generation big_bird megatron-bert", ("bert.encoder.layer", *_BERT)),
    **_many("camembert roberta xlm-roberta xlm-roberta-xl", ("roberta.encoder.layer", *_BERT)),
    **{name: (f"{name.replace('-', '_')}.encoder.layer", *_BERT) for name in
       _words("data2vec-text electra ernie git rembert roberta-prelayernorm roc_bert roformer")},
}
# fmt: on


def zeroed(model: PreTrainedModel, modules: Iterable[torch.nn.Module]) -> list[Any]:
    """Hooks by which the modules return zeros (a bias that is returned beside the output too)."""

    def zero(value: Any) -> Any:
        return torch.zeros_like(value) if torch.is_tensor(value) and value.is_floating_point() else value

    def hook(module: torch.nn.Module, args: Any, output: Any) -> Any:
        if not isinstance(output, tuple | list):
            return zero(output)
        rest = map(zero, output[1:]) if "NeoXJapanese" in type(module).__name__ else output[1:]
        return type(output)([zero(output[0]), *rest])

    return [module.register_forward_hook(hook) for module in modules]


def by_hand(name: str, kind: str, layer: int) -> list[torch.nn.Module]:
    """The modules that write for one sublayer, from PARTS."""
    layers, attention, mlp = PARTS[name]
    block = tiny_model(name).get_submodule(layers)[layer]
    wanted = attention if kind == "attn" else mlp
    return [block.get_submodule(n) for n in wanted if getattr(block, n.split(".")[0], None) is not None]
