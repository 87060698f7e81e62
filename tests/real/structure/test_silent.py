"""A part that is silent already does not take its neighbour with it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from real.models.load import load
from real.models.save import save
from real.pruning.apply import prune, pruned
from real.structure.probe import hooks
from real.structure.recognise import examine
from real.tracing import trace_sublayers
from tests.real.every_family import by_hand, tiny, zeroed
from tests.real.families import LAYERS, TRANSFORMERS, family, language_model, some_tokens

TOKENS = some_tokens()


def _all_parts(found: object) -> list[str]:
    return [str(sublayer) for layer in found.layers for sublayer in layer.sublayers]


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("spec", ["attn:[1]", "mlp:[1]", "attn:[0]+attn:[1]+attn:[2]"])
def test_everything_is_found_again_after_a_drop_for_good(name: str, spec: str) -> None:
    smaller = prune(language_model(name), spec)
    again = examine(smaller.model)
    assert _all_parts(again) == _all_parts(language_model(name).anatomy)
    assert len(again.sublayers()) == 2 * LAYERS


def test_the_neighbour_is_dropped_and_traced_alone(tmp_path: Path) -> None:
    once = load(str(save(prune(language_model("llama"), "attn:[1]"), tmp_path / "once")))
    traced = [(t.kind, t.layer) for t in trace_sublayers(once, TOKENS)]
    assert traced == [(kind, layer) for layer in range(LAYERS) for kind in ("attn", "mlp")]
    twice = prune(once, "mlp:[1]")
    both = prune(language_model("llama"), "attn:[1]+mlp:[1]")
    with torch.no_grad():
        assert torch.equal(twice.model(TOKENS).logits, both.model(TOKENS).logits)


def test_zero_initialised_projections() -> None:
    """As residual branches often start."""
    model = copy.deepcopy(family("qwen3"))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    assert len(examine(model).sublayers()) == 2 * LAYERS


@pytest.mark.parametrize("name", ["doge", "lfm2", "jetmoe"])
def test_other_kinds_of_layers(name: str) -> None:
    lm = tiny(name)
    smaller = prune(lm, "attn:[1]")
    assert _all_parts(examine(smaller.model)) == _all_parts(lm.anatomy)
    with hooks(zeroed(lm.model, [*by_hand(name, "attn", 1), *by_hand(name, "mlp", 1)])), torch.no_grad():
        truth = lm.model(TOKENS).logits
    with pruned(smaller, "mlp:[1]"), torch.no_grad():
        assert torch.equal(smaller.model(TOKENS).logits, truth)
