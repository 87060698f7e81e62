"""Dropping: really zero, restored exactly, the same for good, in another process and with a cache."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from real.pruning.apply import prune, pruned
from real.pruning.spec import SpecError
from real.structure.drop import DropError, check_dropped, dropped, products_skipped
from real.structure.part import Part
from real.structure.recognise import anatomy
from real.structure.removal import LAYER_NUMBERS, drop_for_good, gone_for_good
from real.structure.stream import last_residual, stream
from tests.real.every_family import tiny
from tests.real.families import CONFIGS, LAYERS, TRANSFORMERS, encoder, family, language_model, some_tokens

THREE = [Part(0, "attn"), Part(1, "block"), Part(2, "mlp")]


def _logits(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=tokens).logits


def _parts(name: str) -> list[Part]:
    return THREE if name in TRANSFORMERS else [Part(1, "block")]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_dropping_changes_the_model_and_restores_it_exactly(name: str) -> None:
    model, tokens = family(name), some_tokens()
    before = _logits(model, tokens)
    with dropped(anatomy(model), _parts(name)):
        inside = _logits(model, tokens)
    assert not torch.equal(inside, before)
    assert torch.equal(_logits(model, tokens), before)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_dropped_sublayer_adds_exactly_nothing(name: str) -> None:
    found = anatomy(family(name))
    with dropped(found, [Part(1, "attn"), Part(2, "mlp")], verify=False):
        seen = stream(found, some_tokens())
    same = {
        (p.sublayer.layer, p.sublayer.kind): torch.equal(seen.points[p.dense], seen.points[p.dropped])
        for p in seen.pairs
    }
    assert {place for place, equal in same.items() if equal} == {(1, "attn"), (2, "mlp")}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_for_good_equals_by_hooks_to_the_last_bit(name: str) -> None:
    model, tokens = family(name), some_tokens()
    with dropped(anatomy(model), _parts(name)):
        expected = _logits(model, tokens)
    copied = copy.deepcopy(model)
    drop_for_good(anatomy(copied), _parts(name))
    assert torch.equal(_logits(copied, tokens), expected)
    assert len(anatomy(copied).layers) == LAYERS - 1


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "mamba"])
@pytest.mark.parametrize(
    "parts", [[Part(0, "attn")], [Part(0, "block")], [Part(0, "block"), Part(2, "attn")]], ids=str
)
def test_cached_generation_equals_uncached(name: str, parts: list[Part]) -> None:
    """Also with layer 0's attention gone, whose cache tells the model how long the past is."""
    model, prompt = family(name), some_tokens(rows=1, length=7)

    def generate(use_cache: bool) -> list[int]:
        written = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=8,
            do_sample=False,
            use_cache=use_cache,
            pad_token_id=0,
            eos_token_id=None,
        )
        return written[0].tolist()

    found = anatomy(model)
    with dropped(found, parts):
        by_hooks = generate(True)
        assert by_hooks == generate(False)
        with products_skipped(found, parts):
            assert generate(True) == generate(False) == by_hooks
    model = copy.deepcopy(model)
    drop_for_good(anatomy(model), parts)
    assert generate(True) == by_hooks
    assert generate(False) == by_hooks


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_products_nobody_needs_are_skipped(name: str) -> None:
    model, tokens = family(name), some_tokens()
    found = anatomy(model)
    with dropped(found, THREE):
        with FlopCounterMode(display=False) as all_products:
            expected = _logits(model, tokens)
        with products_skipped(found, THREE), FlopCounterMode(display=False) as needed:
            assert torch.equal(_logits(model, tokens), expected)
        with FlopCounterMode(display=False) as again:
            _logits(model, tokens)
    assert needed.get_total_flops() < all_products.get_total_flops() == again.get_total_flops()


def test_a_pruned_model_skips_them() -> None:
    lm, tokens = language_model("llama"), some_tokens()
    counts = []
    for spec in ("attn:[0]", "mlp:[0]", "block:[0]"):
        with pruned(lm, spec), FlopCounterMode(display=False) as needed:
            _logits(lm.model, tokens)
        counts.append(needed.get_total_flops())
    with FlopCounterMode(display=False) as dense:
        _logits(lm.model, tokens)
    assert counts[2] < min(counts[:2]) <= max(counts[:2]) < dense.get_total_flops()


def test_encoders_drop_too() -> None:
    model = copy.deepcopy(encoder())
    found = anatomy(model)
    with dropped(found, THREE):
        expected = last_residual(found, some_tokens())
    drop_for_good(found, THREE)
    with torch.no_grad():
        assert torch.equal(model(input_ids=some_tokens()).last_hidden_state, expected)


def test_a_drop_without_effect_raises() -> None:
    """Flags that a stock model ignores once compared dense with dense; here the contribution is looked at."""
    found = anatomy(family("llama"))
    with pytest.raises(DropError, match=r"could not drop attn:\[1\], block:\[2\] of LlamaForCausalLM"):
        check_dropped(found, [Part(1, "attn"), Part(2, "block")])


def test_hooks_go_even_when_the_block_raises() -> None:
    model = family("llama")
    before = _logits(model, some_tokens())
    with pytest.raises(RuntimeError, match="inside"), dropped(anatomy(model), THREE):
        raise RuntimeError("inside")
    assert torch.equal(_logits(model, some_tokens()), before)


def test_layer_indices_and_per_layer_settings_are_renumbered() -> None:
    lm = language_model("gemma3")
    types = lm.model.config.layer_types
    model = prune(lm, "block:[1]").model
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1]
    assert model.config.num_hidden_layers == 2
    assert model.config.layer_types == [types[0], types[2]]
    assert lm.model.config.num_hidden_layers == LAYERS


def test_prune_leaves_the_original_alone() -> None:
    lm = language_model("llama")
    before = _logits(lm.model, some_tokens())
    smaller = prune(lm, "attn:1+block:1", some_tokens())
    assert torch.equal(_logits(lm.model, some_tokens()), before)
    with pruned(lm, "attn:1+block:1", some_tokens()) as applied:
        assert torch.equal(_logits(lm.model, some_tokens(1)), _logits(smaller.model, some_tokens(1)))
    assert smaller.provenance["pruning"]["dropped"] == [str(part) for part in applied.parts]
    assert smaller.name == "llama attn:1+block:1"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("attn:9", "drops 9 of only 3 candidates"),
        ("mlp:[1,7]", "no layer 7 to drop from; the model has mlp 0, 1, 2"),
        ("attn:[1]+attn:[1]", "no layer 1 to drop from"),
        ("block:[1]+attn:[1]", "no layer 1 to drop from"),
        ("block:3", "at least one must stay"),
    ],
)
def test_specs_that_do_not_fit_the_model(spec: str, sentence: str) -> None:
    with pytest.raises((SpecError, ValueError), match=sentence):
        prune(language_model("llama"), spec, some_tokens())


def test_products_that_another_layer_needs_are_not_skipped() -> None:
    """Layer 2 reads layer 1's keys: without layer 1's attention, its keys are still computed."""
    lm = dataclasses.replace(language_model("llama"), model=copy.deepcopy(family("llama")))
    layers = lm.model.model.layers
    layers[2].self_attn.k_proj = layers[1].self_attn.k_proj
    lm = dataclasses.replace(lm, model=copy.deepcopy(lm.model))
    projection = lm.model.model.layers[1].self_attn.o_proj
    handle = projection.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
    truth = _logits(lm.model, some_tokens())
    handle.remove()
    with pruned(lm, "attn:[1]"):
        assert torch.equal(_logits(lm.model, some_tokens()), truth)


@pytest.mark.parametrize("attribute", LAYER_NUMBERS)
def test_whatever_a_layer_calls_its_number_is_renumbered(attribute: str) -> None:
    model = copy.deepcopy(family("llama"))
    for index, layer in enumerate(model.model.layers):
        setattr(layer.mlp, attribute, index)
    found = anatomy(model)
    with gone_for_good(found, [Part(1, "block")]):
        assert [getattr(layer.mlp, attribute) for layer in model.model.layers] == [0, 1]
    assert [getattr(layer.mlp, attribute) for layer in model.model.layers] == [0, 1, 2]
    assert model.config.num_hidden_layers == LAYERS


@pytest.mark.parametrize("name", ["zaya", "gemma4_text", "longcat_flash"])
def test_a_block_that_others_need_is_refused_and_all_comes_back(name: str) -> None:
    lm = tiny(name)
    before = _logits(lm.model, some_tokens())
    with pytest.raises(DropError, match=r"could not drop block:\[0\]"), pruned(lm, "block:[0]"):
        pass
    with pytest.raises(DropError):
        prune(lm, "block:[0]")
    assert torch.equal(_logits(lm.model, some_tokens()), before)
