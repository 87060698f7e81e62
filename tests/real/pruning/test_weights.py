"""What counts as a weight to prune: each is pruned along its inputs, or left and counted as left."""

from __future__ import annotations

import pytest
import torch

from real.pruning.apply import pruned
from real.pruning.spec import Unstructured
from real.pruning.wanda import InputNorms, wanda_mask
from real.structure.matrices import experts_one_by_one
from real.structure.probe import hooks
from real.structure.walk import Walk
from real.structure.weights import weights
from tests.real.every_family import tiny

TOKENS = torch.randint(1, 250, (4, 12), generator=torch.Generator().manual_seed(4))
# Stacked weights inside a layer, and the dimension that their inputs run along, from the classes' sources.
STACKS = {
    "mixtral": {"mlp.experts.gate_up_proj": 2, "mlp.experts.down_proj": 2},
    "gpt_oss": {"mlp.experts.gate_up_proj": 1, "mlp.experts.down_proj": 1},
    "llama4_text": {"feed_forward.experts.gate_up_proj": 1, "feed_forward.experts.down_proj": 1},
    "aria_text": {"mlp.experts.gate_up_proj": 1, "mlp.experts.down_proj": 1},
    "jetmoe": {"mlp.input_linear.weight": 2, "mlp.output_linear.weight": 2},
    "granitemoe": {"block_sparse_moe.experts.gate_up_proj": 2, "block_sparse_moe.experts.down_proj": 2},
}
ROUTERS = {
    "mixtral": ["mlp.gate.weight"],
    "gpt_oss": ["mlp.router.weight"],
    "llama4_text": ["feed_forward.router.weight"],
    "phimoe": ["mlp.router.weight"],
    "qwen2_moe": ["mlp.gate.weight", "mlp.shared_expert_gate.weight"],
    "jetmoe": ["mlp.router.layer.weight", "self_attention.experts.router.layer.weight"],
    "hunyuan_v1_moe": ["mlp.gate.wg.weight"],
}


def _layer(name: str) -> torch.nn.Module:
    return tiny(name).anatomy.layers[0].module


@pytest.mark.parametrize("name", list(STACKS))
@pytest.mark.parametrize("spec", ["wanda:2:4", "magnitude:2:4"])
def test_stacks_lose_two_of_every_four_inputs(name: str, spec: str) -> None:
    with pruned(tiny(name), spec, TOKENS) as applied:
        for path, along in STACKS[name].items():
            weight = _layer(name).get_parameter(path).detach().transpose(along, -1)
            zeros = (weight == 0).reshape(*weight.shape[:-1], -1, 4).sum(-1)
            assert (zeros >= 2).all(), path  # more where an input is always zero
            assert (zeros == 2).float().mean() > 0.9, path
        assert applied.facts[0]["sparsity"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", list(ROUTERS))
def test_routers_are_left_and_counted(name: str) -> None:
    before = {path: _layer(name).get_parameter(path).clone() for path in ROUTERS[name]}
    for spec in ("wanda:50%", "magnitude:50%", "int4"):
        with pruned(tiny(name), spec, TOKENS) as applied:
            for path, weight in before.items():
                assert torch.equal(_layer(name).get_parameter(path), weight)
                full = f"{tiny(name).anatomy.layers[0].name}.{path}"
                assert applied.facts[0]["left"][full] == weight.numel()


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss", "jamba", "zamba", "lfm2", "bloom"])
def test_every_weight_is_pruned_or_left(name: str) -> None:
    """Nothing twice, nothing forgotten; what layers share counts once."""
    found = weights(tiny(name).anatomy)
    inside = {
        id(p): p.numel()
        for layer in tiny(name).anatomy.layers
        for p in layer.module.parameters()
        if p.dim() >= 2
    }
    assert sum(matrix.view.numel() for matrix in found) + sum(found.left.values()) == sum(inside.values())


def test_batched_experts_have_their_own_statistics() -> None:
    """Llama 4 multiplies all experts at once, each with zeros for the tokens it was not given."""
    lm = tiny("llama4_text")
    experts, caught = _layer("llama4_text").feed_forward.experts, []
    with hooks([experts.register_forward_pre_hook(lambda m, args: caught.append(args[0]))]), torch.no_grad():
        lm.model(input_ids=TOKENS)
    norms = torch.linalg.vector_norm(caught[0].reshape(experts.num_experts, -1, 32), dim=1)
    weight = experts.gate_up_proj.detach().transpose(1, 2)
    masks = [wanda_mask(w, n, Unstructured(50)) for w, n in zip(weight, norms, strict=True)]
    with pruned(lm, "wanda:50%", TOKENS):
        zeros = experts.gate_up_proj.detach().transpose(1, 2) == 0
    for expert, mask in enumerate(masks):
        assert torch.equal(zeros[expert], mask)


@pytest.mark.parametrize("name", ["gemma3n_text", "gemma4_text", "zaya", "moshi", "bart"])
def test_calibration_sees_what_the_model_computes(name: str) -> None:
    """Also where layers are given something of each batch's tokens, or of each other, besides the stream."""
    lm, long = tiny(name), torch.randint(1, 250, (64, 64), generator=torch.Generator().manual_seed(5))
    layer = lm.anatomy.layers[-1]
    linear = {id(m.weight): m for m in layer.module.modules() if type(m) is torch.nn.Linear}
    seen: dict[int, InputNorms] = {key: InputNorms() for key in linear}
    with (
        torch.no_grad(),
        hooks(
            [
                m.register_forward_pre_hook(lambda m, args: seen[id(m.weight)].add(args[0]))
                for m in linear.values()
            ]
        ),
    ):
        for batch in torch.split(long, 32):
            lm.model(input_ids=batch, use_cache=False)
    matrices = [m for m in weights(lm.anatomy).matrices[-1] if id(m.parameter) in linear]
    with experts_one_by_one(lm.model):
        walk = Walk(lm.anatomy, long)
        for last in walk.layers():
            if last is layer:
                statistics = walk.observe(layer, matrices, InputNorms)
    assert len(walk.batches) == 2
    for matrix in matrices:
        found = statistics.get(matrix)
        if found is not None:
            torch.testing.assert_close(found.norms, seen[id(matrix.parameter)].norms, rtol=1e-4, atol=1e-4)
    assert any(statistics.get(matrix) is not None for matrix in matrices)
