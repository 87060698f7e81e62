"""Weight methods on whole models: what changes, what does not, and in which order."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from real.pruning.apply import prune, pruned
from real.pruning.sparsegpt import Hessian
from real.pruning.spec import SpecError, Unstructured
from real.pruning.wanda import InputNorms, wanda_mask
from real.structure.matrices import experts_one_by_one
from real.structure.recognise import anatomy
from real.structure.stream import stream
from real.structure.walk import Walk
from real.structure.weights import weights
from tests.real.families import TRANSFORMERS, encoder, family, language_model, some_tokens

TOKENS = some_tokens(rows=4, length=16)
WEIGHT_SPECS = [
    "magnitude:50%",
    "magnitude:2:4",
    "wanda:50%",
    "wanda:2:4",
    "wanda:4:8",
    "sparsegpt:50%",
    "sparsegpt:2:4",
]


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("spec", [*WEIGHT_SPECS, "int8", "int4"])
def test_only_matrices_inside_the_layers_change_and_all_comes_back(name: str, spec: str) -> None:
    lm = language_model(name)
    before = {key: weight.clone() for key, weight in lm.model.state_dict().items()}
    ours = {id(matrix.parameter) for matrix in weights(anatomy(lm.model))}
    inside = {key for key, parameter in lm.model.named_parameters() if id(parameter) in ours}
    with pruned(lm, spec, TOKENS) as applied:
        now = lm.model.state_dict()
        changed = {key for key in before if not torch.equal(now[key], before[key])}
        assert {now[key].dtype for key in now} == {before[key].dtype for key in before}
        if "sparsity" in applied.facts[0]:
            assert applied.facts[0]["sparsity"] == pytest.approx(0.5, abs=0.01)
            assert applied.facts[0].get("damping", {}) == {}
    assert changed == inside
    assert not any("lm_head" in key or "embed" in key or "norm" in key for key in changed)
    assert all(torch.equal(weight, before[key]) for key, weight in lm.model.state_dict().items())


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "falcon"])
@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_groups_are_exact_in_every_matrix(name: str, method: str) -> None:
    smaller = prune(language_model(name), f"{method}:2:4", TOKENS)
    for matrix in weights(anatomy(smaller.model)):
        zeros = (matrix.view == 0).reshape(-1, 4).sum(-1)
        assert (zeros >= 2).all(), matrix.name  # more where the input feature is dead
        assert (zeros == 2).float().mean() > 0.99, matrix.name


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_walking_layer_by_layer_is_the_forward_pass(name: str) -> None:
    found = anatomy(family(name))
    walk, seen = Walk(found, TOKENS), stream(found, TOKENS)
    for layer in walk.layers():
        arrived = torch.cat([a.reshape(-1, *TOKENS.shape[1:], a.shape[-1]) for a in walk._activations])
        torch.testing.assert_close(arrived, seen.points[seen.inputs[layer.index]], rtol=1e-4, atol=1e-5)


def test_one_statistic_per_distinct_input() -> None:
    """Query, key and value share theirs, gate and up share theirs; output and down have their own."""
    found = anatomy(family("llama"))
    walk = Walk(found, TOKENS)
    layer = next(walk.layers())
    matrices = list(weights(found).matrices[0])
    statistics = walk.observe(layer, matrices, Hessian)
    assert len(matrices) == 7
    assert len(statistics) == 4
    named = {matrix.name.split(".")[-2]: statistics.get(matrix) for matrix in matrices}
    assert named["q_proj"] is named["k_proj"] is named["v_proj"]
    assert named["gate_proj"] is named["up_proj"]
    assert len({id(named[n]) for n in ("q_proj", "o_proj", "up_proj", "down_proj")}) == 4


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "falcon", "bloom", "phi3"])
def test_statistics_are_those_of_module_hooks(name: str) -> None:
    """Products are watched by where the weight lies in memory; plain hooks on modules must see the same."""
    model = family(name)
    found = anatomy(model)
    caught: dict[int, list[torch.Tensor]] = {}
    modules = {
        id(m.weight): m for m in found.layers[0].module.modules() if getattr(m, "weight", None) is not None
    }
    handles = [
        module.register_forward_pre_hook(
            lambda m, args: caught.setdefault(id(m.weight), []).append(args[0].reshape(-1, args[0].shape[-1]))
        )
        for module in modules.values()
    ]
    with torch.no_grad():
        model(TOKENS)
    for handle in handles:
        handle.remove()
    walk = Walk(found, TOKENS)
    layer = next(walk.layers())
    matrices = list(weights(found).matrices[0])
    statistics = walk.observe(layer, matrices, InputNorms)
    for matrix in matrices:
        expected = torch.linalg.vector_norm(torch.cat(caught[id(matrix.parameter)]), dim=0)
        torch.testing.assert_close(statistics.get(matrix).norms, expected, rtol=1e-4, atol=1e-5)


def test_experts_are_calibrated_by_the_tokens_that_chose_them() -> None:
    model = family("mixtral")
    found, block = anatomy(model), family("mixtral").model.layers[0].mlp
    caught = []
    handle = block.experts.register_forward_pre_hook(lambda m, args: caught.append(args))
    with torch.no_grad():
        model(TOKENS)
    handle.remove()
    hidden, chosen, _ = caught[0]
    with experts_one_by_one(model):
        walk = Walk(found, TOKENS)
        layer = next(walk.layers())
        matrices = list(weights(found).matrices[0])
        statistics = walk.observe(layer, matrices, InputNorms)
    first = {m.expert: m for m in matrices if "gate_up_proj" in m.name}
    for expert, matrix in first.items():
        mine = hidden[(chosen == expert).any(-1)]
        expected = torch.linalg.vector_norm(mine, dim=0)
        torch.testing.assert_close(statistics.get(matrix).norms, expected, rtol=1e-4, atol=1e-5)
    assert model.config._experts_implementation != "eager"


def test_later_layers_are_calibrated_on_pruned_activations() -> None:
    """Sequential calibration, recomputed: layer 1's Wanda mask from what a pruned layer 0 gives it."""
    lm = language_model("llama")
    smaller = prune(lm, "wanda:50%", TOKENS)
    hybrid = copy.deepcopy(lm.model)
    hybrid.model.layers[0].load_state_dict(smaller.model.model.layers[0].state_dict())
    caught = []
    target = hybrid.model.layers[1].self_attn.q_proj
    target.register_forward_pre_hook(lambda m, args: caught.append(args[0]))
    with torch.no_grad():
        hybrid(TOKENS)
    norms = InputNorms()
    norms.add(caught[0])
    mask = wanda_mask(target.weight, norms.norms, Unstructured(50))
    assert torch.equal(smaller.model.model.layers[1].self_attn.q_proj.weight == 0, mask)


def test_an_expert_no_token_chose_is_cut_by_magnitude_and_reported() -> None:
    lm = language_model("mixtral")
    with pruned(lm, "wanda:50%", TOKENS[:1, :1]) as applied:
        assert applied.facts[0]["unseen"]
        assert applied.facts[0]["sparsity"] == pytest.approx(0.5, abs=0.01)


def test_half_precision_models_keep_their_dtype() -> None:
    lm = language_model("llama")
    half = copy.deepcopy(lm.model).to(torch.bfloat16)
    for spec in ("wanda:2:4", "sparsegpt:50%", "int8"):
        smaller = prune(dataclasses.replace(lm, model=half), spec, TOKENS)
        assert {p.dtype for p in smaller.model.parameters()} == {torch.bfloat16}
        assert all(p.isfinite().all() for p in smaller.model.parameters())


def test_patterns_that_do_not_fit_fail_before_any_change() -> None:
    lm = language_model("llama")
    before = {key: weight.clone() for key, weight in lm.model.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"spec 'wanda:2:5': model.layers.0.self_attn.q_proj.weight has 32 inputs"
    ):
        prune(lm, "wanda:2:5", TOKENS)
    assert all(torch.equal(weight, before[key]) for key, weight in lm.model.state_dict().items())


def test_calibration_order_does_not_matter_for_composition() -> None:
    """attn first, then Wanda: the statistics are those of the model without that attention."""
    lm = language_model("llama")
    composed = prune(lm, "attn:[0]+wanda:2:4", TOKENS)
    by_hand = prune(prune(lm, "attn:[0]"), "wanda:2:4", TOKENS)
    for one, other in zip(composed.model.parameters(), by_hand.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "spec", ["wanda:2:4", "sparsegpt:50%", "int8", "attn:1", "mlp:1+wanda:50%", "block:1"]
)
def test_encoders_are_pruned_too(spec: str) -> None:
    lm = dataclasses.replace(language_model("llama"), model=encoder())
    with torch.no_grad():
        before = lm.model(input_ids=TOKENS).last_hidden_state
        with pruned(lm, spec, TOKENS):
            inside = lm.model(input_ids=TOKENS).last_hidden_state
        assert not torch.equal(inside, before)
        assert torch.equal(lm.model(input_ids=TOKENS).last_hidden_state, before)
        assert torch.equal(prune(lm, spec, TOKENS).model(input_ids=TOKENS).last_hidden_state, inside)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
@pytest.mark.parametrize("spec", ["magnitude:50%", "wanda:2:4", "sparsegpt:50%", "int8", "int4"])
def test_a_step_restricted_to_layers_is_the_step_of_a_model_of_these_layers(name: str, spec: str) -> None:
    """Other layers keep their bits; these are as if the layers below had always been so."""
    lm = language_model(name)
    dense = {key: weight.clone() for key, weight in lm.model.state_dict().items()}
    matrices = [[m.parameter for m in layer] for layer in weights(lm.anatomy).matrices]
    with pruned(lm, f"{spec}@[0,2]", TOKENS) as applied:
        changed = {id(p) for p in lm.model.parameters() if p in applied.before}
        assert changed == {id(p) for layer in (0, 2) for p in matrices[layer]}
        if "sparsity" in applied.facts[0]:
            assert applied.facts[0]["sparsity"] == pytest.approx(0.5, abs=0.01)
        first = [p.clone() for p in matrices[0]]
    with pruned(lm, spec, TOKENS):
        assert all(torch.equal(one, p) for one, p in zip(first, matrices[0], strict=True))
    assert all(torch.equal(weight, dense[key]) for key, weight in lm.model.state_dict().items())
    smaller = prune(lm, f"{spec}@[0]+{spec}@[2]", TOKENS)
    with pruned(lm, f"{spec}@[0,2]", TOKENS):
        now = lm.model.state_dict()
        assert all(torch.equal(weight, now[key]) for key, weight in smaller.model.state_dict().items())


def test_no_such_layer_costs_one_sentence() -> None:
    with pytest.raises(SpecError, match=r"'int4@\[1,7\]': no layer 7; the model has layers 0 to 2"):
        prune(language_model("llama"), "int4@[1,7]")
