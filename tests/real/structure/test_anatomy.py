"""Parts found by structure in every family, and proved on the model itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from real.pruning.apply import prune
from real.structure.anatomy import AnatomyError, Residual
from real.structure.recognise import anatomy
from real.structure.stream import last_residual, stream
from tests.real.every_family import tiny
from tests.real.families import CONFIGS, LAYERS, TRANSFORMERS, encoder, family, some_tokens


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_layers_sublayers_and_residual_kind(name: str) -> None:
    found = anatomy(family(name))
    assert len(found.layers) == LAYERS
    assert len(found.sublayers()) == 2 * LAYERS
    assert {layer.residual.value for layer in found.layers} == {CONFIGS[name][1]}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_head_reproduces_the_models_logits_to_the_last_bit(name: str) -> None:
    model, tokens = family(name), some_tokens()
    with torch.no_grad():
        expected = model(input_ids=tokens).logits
    found = anatomy(model)
    assert torch.equal(found.logits_from_hidden(last_residual(found, tokens)), expected)


@pytest.mark.parametrize("name", ["gemma2", "granite", "cohere", "llama-tied", "opt-post-norm"])
def test_head_after_rows_are_flattened(name: str) -> None:
    model, tokens = family(name), some_tokens()
    found = anatomy(model)
    hidden = last_residual(found, tokens)
    flat = found.logits_from_hidden(hidden.flatten(0, 1))
    torch.testing.assert_close(flat.reshape(*tokens.shape, -1), found.logits_from_hidden(hidden))


def test_tied_and_untied_heads() -> None:
    assert anatomy(family("llama-tied")).head.tied
    assert not anatomy(family("llama")).head.tied


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_points_of_the_stream_add_up(name: str) -> None:
    """Each layer's input plus both contributions (through post-norms) is the next layer's input."""
    found, tokens = anatomy(family(name)), some_tokens()
    seen = stream(found, tokens)
    ends = {(p.sublayer.layer, p.sublayer.kind): p for p in seen.pairs}
    for layer in found.layers:
        attention, mlp = ends[layer.index, "attn"], ends[layer.index, "mlp"]
        leave = seen.points[seen.inputs[layer.index + 1]]
        assert torch.equal(seen.points[mlp.dense], leave)
        for pair in (attention, mlp):
            assert not torch.equal(seen.points[pair.dense], seen.points[pair.dropped])
        if layer.residual.value == "sequential":
            assert attention.dropped == seen.inputs[layer.index]
            assert attention.dense == mlp.dropped
        if layer.residual.value == "parallel":
            entry = seen.points[seen.inputs[layer.index]]
            total = seen.points[attention.dropped] + seen.points[mlp.dropped] - entry
            torch.testing.assert_close(total, leave)


def test_writers_of_a_mixture_with_a_shared_expert_are_both_found() -> None:
    found = anatomy(family("qwen2-moe"))
    assert len(found.layers[0].mlp.writers) == 2


def test_encoder_has_sublayers_but_no_logits() -> None:
    found = anatomy(encoder())
    assert len(found.sublayers()) == 2 * LAYERS
    assert found.layers[0].residual.value == "post-norm"
    assert torch.equal(
        last_residual(found, some_tokens()), encoder()(input_ids=some_tokens()).last_hidden_state
    )
    with pytest.raises(AnatomyError, match="no language-model head"):
        found.logits_from_hidden(torch.zeros(1, 32))


def test_norms_that_happen_to_change_nothing_are_found() -> None:
    """A random BERT now and then leaves its normalised vectors as they are, to the last bit."""
    config = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    model = BertModel(BertConfig(vocab_size=300, layer_norm_eps=0.0, **config)).eval()
    signs = torch.tensor([1.0, -1.0] * 8)
    with torch.no_grad():  # every vector has mean 0 and variance 1 before the first norm
        model.embeddings.word_embeddings.weight.copy_(signs.expand(300, -1))
        model.embeddings.position_embeddings.weight.zero_()
        model.embeddings.token_type_embeddings.weight.zero_()
    for layer in anatomy(model).layers:
        assert layer.residual is Residual.POST_NORM
        assert layer.attention is not None
        assert layer.mlp is not None
        assert layer.attention.stream_norm is layer.module.attention.output.LayerNorm
        assert layer.mlp.stream_norm is layer.module.output.LayerNorm


def test_mamba_is_said_to_have_no_attention() -> None:
    found = anatomy(family("mamba"))
    assert len(found.layers) == LAYERS
    with pytest.raises(AnatomyError, match=r"MambaForCausalLM has no attention .* \('block:k'\)"):
        found.sublayers(("attn",))


def test_a_model_without_a_list_of_layers_says_so_for_every_spec() -> None:
    for spec in ("attn:[0]", "mlp:1", "block:[1]", "block:1"):
        with pytest.raises(AnatomyError, match="no list of layers found in HrmTextForCausalLM"):
            prune(tiny("hrm_text"), spec)


def test_override_names_the_parts() -> None:
    model = family("llama")
    found = anatomy(model, layers="model.layers", attention="self_attn", mlp="mlp")
    assert found.layers[1].attention.modules == (model.model.layers[1].self_attn,)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            {"layers": "model.blocks"},
            r"'model.blocks' is not a list of decoder layers; lists found: model.layers",
        ),
        ({"attention": "attn"}, r"layer 0 has no module 'attn'; it has: self_attn, mlp"),
    ],
)
def test_wrong_override(override: dict[str, str], sentence: str) -> None:
    with pytest.raises(AnatomyError, match=sentence):
        anatomy(family("llama"), **override)


class _NoLayers(nn.Module):
    """An embedding and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 4)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(input_ids)


def test_model_without_layers() -> None:
    with pytest.raises(
        AnatomyError, match=r"no list of layers found in _NoLayers; pass layers='dotted.name'"
    ):
        anatomy(_NoLayers())


def test_probing_leaves_no_trace() -> None:
    model = family("gpt2")
    weights = {name: p.clone() for name, p in model.named_parameters()}
    anatomy(model, layers="transformer.h")
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert "forward" not in model.transformer.__dict__
