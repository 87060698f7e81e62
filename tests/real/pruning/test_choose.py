"""Selection criteria against a plain recomputation."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from real.pruning.apply import pruned
from real.pruning.calibration import calibration_rows
from real.pruning.choose import Memory, choose_sublayers, cosine_distances
from real.pruning.divergence import divergences
from real.pruning.spec import parse_spec
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.recognise import anatomy
from tests.real.families import LAYERS, TRANSFORMERS, family, language_model, some_tokens

TOKENS = some_tokens(rows=3, length=10)


def test_cosine_is_the_papers_mean_over_tokens() -> None:
    """On Llama, whose residual stream transformers itself reports between layers."""
    lm = language_model("llama")
    layer = lm.model.model.layers[1]
    caught = []
    handle = layer.post_attention_layernorm.register_forward_pre_hook(lambda m, args: caught.append(args[0]))
    with torch.no_grad():
        states = lm.model(TOKENS, output_hidden_states=True).hidden_states
    handle.remove()
    cosine = torch.nn.functional.cosine_similarity
    expected = {
        Part(1, "attn"): cosine(states[1].double(), caught[0].double(), dim=-1),
        Part(1, "mlp"): cosine(caught[0].double(), states[2].double(), dim=-1),
        Part(1, "block"): cosine(states[1].double(), states[2].double(), dim=-1),
    }
    scores = cosine_distances(lm, TOKENS)
    for part, cosines in expected.items():
        assert scores[part] == pytest.approx(1 - float(cosines.mean()), rel=1e-6)


@pytest.mark.parametrize("criterion", ["kl", "tv"])
def test_divergences_against_torch_distributions(criterion: str) -> None:
    lm, part = language_model("llama"), Part(2, "mlp")
    with torch.no_grad():
        p = torch.distributions.Categorical(logits=lm.model(TOKENS).logits.double())
        with dropped(anatomy(lm.model), [part]):
            q = torch.distributions.Categorical(logits=lm.model(TOKENS).logits.double())
    kl = torch.distributions.kl_divergence(p, q).mean()
    tv = (p.probs - q.probs).abs().sum(-1).mean() / 2
    expected, found = {"kl": kl, "tv": tv}[criterion], divergences(lm, TOKENS, [part])[part]
    assert getattr(found, criterion) == pytest.approx(float(expected), rel=1e-4)


def test_most_similar_go_first() -> None:
    lm = language_model("qwen2")
    chosen = choose_sublayers(lm, "joint:4", TOKENS)
    assert len(chosen.parts) == 4
    assert sorted(chosen.scores, key=chosen.scores.__getitem__)[:4] == list(chosen.parts)
    assert len(chosen.scores) == 2 * LAYERS


def _passes(model: nn.Module) -> list[int]:
    """Counts the forward passes of ``model`` from now on."""
    count = [0]

    def one_more(*_: object) -> None:
        count[0] += 1

    model.model.register_forward_pre_hook(one_more)
    return count


SPECS = [
    "attn:1",
    "attn:2",
    "joint:2",
    "block:1",
    "attn:1@kl",
    "attn:2@tv",
    "joint:2@greedy",
    "attn:[0]+mlp:2",
]
WITH_WEIGHTS = ["magnitude:50%+attn:1", "wanda:2:4+attn:1", "attn:1+magnitude:50%+mlp:1"]


def test_scores_are_measured_once_and_never_for_another_model() -> None:
    """With a memory the same parts go as without, after weights changed as well, in fewer passes."""
    lm = dataclasses.replace(language_model("llama"), model=copy.deepcopy(family("llama")))
    plain, kept, memory = [], [], Memory()
    count = _passes(lm.model)
    for spec in [*SPECS, *WITH_WEIGHTS]:
        with pruned(lm, spec, TOKENS) as applied:
            plain.append(applied.parts)
    without, count[0] = count[0], 0
    for spec in [*SPECS, *WITH_WEIGHTS]:
        with pruned(lm, spec, TOKENS, memory=memory) as applied:
            kept.append(applied.parts)
    assert kept == plain
    assert count[0] < without
    weights = [key[0].steps for key in memory.cosines if key[0].steps]
    assert len(weights) == len(set(weights)) == len(WITH_WEIGHTS)


def test_greedy_takes_the_best_partner_not_the_best_alone() -> None:
    """Every step of the greedy choice has the smallest joint KL, recomputed here."""
    lm = language_model("llama")
    chosen = choose_sublayers(lm, "mlp:2@greedy", TOKENS)
    first, second = chosen.parts
    others = [Part(i, "mlp") for i in range(LAYERS) if i != first.layer]
    joint = {part: cost.kl for part, cost in divergences(lm, TOKENS, others, gone=[first]).items()}
    assert min(joint, key=joint.__getitem__) == second
    assert chosen.scores[second] == pytest.approx(joint[second], rel=1e-6)


def test_random_depends_on_the_seed_alone() -> None:
    lm = language_model("llama")
    draws = [str(choose_sublayers(lm, "random:3", seed=seed)) for seed in range(8)]
    assert draws[0] == str(choose_sublayers(lm, "random:3", seed=0))
    assert len(set(draws)) > 1


def test_a_second_step_does_not_choose_what_is_gone() -> None:
    lm = language_model("llama")
    first = choose_sublayers(lm, "attn:1", TOKENS)
    second = choose_sublayers(lm, "attn:2", TOKENS, gone=first.parts)
    assert not set(first.parts) & set(second.parts)


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("spec", ["attn:1", "block:1", "joint:1@kl"])
def test_every_family_can_be_ranked(name: str, spec: str) -> None:
    assert len(choose_sublayers(language_model(name), spec, TOKENS).parts) == 1


def test_calibration_from_strings_and_tensors() -> None:
    lm, step = language_model("llama"), parse_spec("attn:1").steps[0]
    texts = ["One sentence about whales.", "Another, longer one, about the tides of the sea."]
    assert calibration_rows(lm, texts, step).shape[1] <= 64
    joined = calibration_rows(lm, [torch.arange(40), torch.arange(50)], step)
    assert joined.tolist() == [(list(range(40)) + list(range(50)))[:64]]
    assert calibration_rows(lm, TOKENS, step) is TOKENS
    assert calibration_rows(lm, None, step).shape == (16, 64)
    assert calibration_rows(lm, TOKENS, parse_spec("attn:[1]").steps[0]) is None


@pytest.mark.parametrize(
    ("calibration", "sentence"),
    [
        ([], "need a list of strings or of token tensors"),
        ([""], "the texts hold no tokens"),
        (torch.zeros(3), r"need token ids of shape \(N, T\)"),
        (torch.zeros(3, 4), r"got torch.float32 \(3, 4\)"),
    ],
)
def test_wrong_calibration(calibration: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        calibration_rows(language_model("llama"), calibration, parse_spec("attn:1").steps[0])
