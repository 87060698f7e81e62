"""Traces: zero for a model against itself, right against plain forward passes, shared and streamed alike."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import real.tracing.sublayers
import real.tracing.whole_model
from real.pruning.apply import pruned, unpruned
from real.pruning.spec import SpecError
from real.structure.anatomy import AnatomyError
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.recognise import anatomy
from real.tracing import sublayer_logits, trace_joint, trace_sublayers
from tests.real.families import LAYERS, TRANSFORMERS, encoder, language_model, some_tokens
from theory import Drift, measure, measure_vectors

TOKENS = some_tokens(rows=2, length=9)
DISTANCES = (
    "kl",
    "kl_reverse",
    "js",
    "tv",
    "hellinger_sq",
    "chi2",
    "cosdist_p",
    "cosdist_z",
    "oscillation",
    "var_p",
)


def _assert_zero(drift: Drift) -> None:
    for name in DISTANCES:
        assert (getattr(drift, name) == 0).all(), name


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_sublayer_that_adds_nothing_has_exactly_zero_drift(name: str) -> None:
    lm = language_model(name)
    with dropped(anatomy(lm.model), [Part(1, "attn"), Part(1, "mlp")]):
        for trace in trace_sublayers(lm, TOKENS):
            if trace.layer == 1:
                _assert_zero(trace.logits)
                assert (trace.hidden.cosdist == 0).all()
            else:
                assert (trace.logits.kl > 0).all()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_model_against_itself_is_exactly_zero(name: str) -> None:
    lm = language_model(name)
    (joint,) = trace_joint(lm, ["dense"], TOKENS)
    _assert_zero(joint.logits)
    assert (joint.hidden.cosdist == 0).all()
    assert (joint.log_ratio == 0).all()
    assert torch.equal(joint.dense_argmax, joint.pruned_argmax)


def test_last_sublayer_needs_no_lens() -> None:
    """Dropping the very last MLP alone is the same thing in the lens and in the whole model."""
    lm = language_model("llama")
    *_, last = trace_sublayers(lm, TOKENS)
    (joint,) = trace_joint(lm, [f"mlp:[{LAYERS - 1}]"], TOKENS)
    torch.testing.assert_close(last.logits.kl, joint.logits.kl, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(last.logits.tv, joint.logits.tv, rtol=1e-4, atol=1e-9)


def test_sublayer_trace_against_a_plain_recomputation() -> None:
    lm = language_model("llama")
    inner = lm.model.model
    with torch.no_grad():
        states = lm.model(TOKENS, output_hidden_states=True).hidden_states
        dense, without = (lm.model.lm_head(inner.norm(states[i])) for i in (2, 1))
    caught = {}
    handle = inner.layers[1].post_attention_layernorm.register_forward_pre_hook(
        lambda module, args: caught.update(middle=args[0].detach())
    )
    with torch.no_grad():
        lm.model(TOKENS)
        middle = lm.model.lm_head(inner.norm(caught["middle"]))
    handle.remove()
    traces = {trace.kind: trace for trace in trace_sublayers(lm, TOKENS, layers=[1], temperature=0.7)}
    torch.testing.assert_close(
        traces["attn"].logits.kl, measure(middle, without, 0.7).kl, rtol=1e-4, atol=1e-9
    )
    torch.testing.assert_close(traces["mlp"].logits.kl, measure(dense, middle, 0.7).kl, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(
        traces["mlp"].hidden.cosdist, measure_vectors(states[2], caught["middle"]).cosdist
    )


def test_lens_without_final_norm_is_the_papers() -> None:
    lm = language_model("llama")
    pair = next(sublayer_logits(lm, TOKENS, final_norm=False))
    with torch.no_grad():
        embedded = lm.model.model.embed_tokens(TOKENS)
        torch.testing.assert_close(pair.dropped, lm.model.lm_head(embedded).flatten(0, 1))


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt-neox", "opt-post-norm"])
def test_streaming_in_small_slices_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = language_model(name)
    whole = list(trace_sublayers(lm, TOKENS))
    joint = next(trace_joint(lm, ["attn:[1]"], TOKENS))

    def fours(count: int, vocabulary: int) -> list[slice]:
        return [slice(start, min(start + 4, count)) for start in range(0, count, 4)]

    monkeypatch.setattr(real.tracing.sublayers, "logit_slices", fours)
    monkeypatch.setattr(real.tracing.whole_model, "logit_slices", fours)
    for one, other in zip(whole, trace_sublayers(lm, TOKENS), strict=True):
        assert (one.kind, one.layer) == (other.kind, other.layer)
        torch.testing.assert_close(one.logits.kl, other.logits.kl, rtol=1e-4, atol=1e-9)
        assert torch.equal(one.hidden.cosdist, other.hidden.cosdist)
    torch.testing.assert_close(next(trace_joint(lm, ["attn:[1]"], TOKENS)).logits.tv, joint.logits.tv)


@pytest.mark.parametrize(("name", "points"), [("llama", 2 * LAYERS + 1), ("phi", 3 * LAYERS)])
def test_one_forward_pass_and_shared_head_products(name: str, points: int) -> None:
    """Sequential: neighbours share a residual point. Parallel: both sublayers of a layer share its output."""
    lm = language_model(name)
    anatomy(lm.model)
    layers, products = [], []
    handles = [
        lm.model.model.layers[0].register_forward_hook(lambda *_: layers.append(1)),
        lm.model.lm_head.register_forward_hook(lambda *_: products.append(1)),
    ]
    traces = list(trace_sublayers(lm, TOKENS))
    for handle in handles:
        handle.remove()
    assert len(traces) == 2 * LAYERS
    assert len(layers) == 1
    assert len(products) == points


def test_chosen_positions_are_rows_of_the_whole_trace() -> None:
    lm = language_model("qwen3")
    where = torch.zeros_like(TOKENS, dtype=torch.bool)
    where[0, 3] = where[1, 5] = where[1, 8] = True
    for whole, few in zip(
        trace_sublayers(lm, TOKENS), trace_sublayers(lm, TOKENS, positions=where), strict=True
    ):
        assert few.logits.kl.shape == (3,)
        torch.testing.assert_close(few.logits.kl, whole.logits.kl[where], rtol=1e-4, atol=1e-9)
        assert torch.equal(few.hidden.cosdist, whole.hidden.cosdist[where])
    (whole,), (few,) = (list(trace_joint(lm, ["mlp:[1]"], TOKENS, positions=p)) for p in (None, where))
    assert few.log_ratio.isnan().sum() == TOKENS[:, 1:].numel() - 2  # position 8 is the last: nothing follows
    torch.testing.assert_close(few.log_ratio[0, 3], whole.log_ratio[0, 3], rtol=1e-4, atol=1e-5)
    assert few.pruned_argmax[0, 0] == -1
    with pytest.raises(ValueError, match=r"positions must be boolean of the tokens' shape \(2, 9\)"):
        next(trace_sublayers(lm, TOKENS, positions=where[:, :4]))


def test_joint_trace_against_plain_forward_passes() -> None:
    lm, spec, temperature = language_model("mistral"), "attn:[0]+mlp:[2]", 1.7
    with torch.no_grad():
        p = lm.model(TOKENS).logits
        with pruned(lm, spec):
            q = lm.model(TOKENS).logits
    (joint,) = trace_joint(lm, [spec], TOKENS, temperature)
    torch.testing.assert_close(joint.logits.kl, measure(p, q, temperature).kl, rtol=1e-4, atol=1e-9)
    picked = [
        torch.log_softmax(z[:, :-1].double() / temperature, -1).gather(-1, TOKENS[:, 1:, None]).squeeze(-1)
        for z in (p, q)
    ]
    torch.testing.assert_close(joint.log_ratio, picked[1] - picked[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(joint.pruned_argmax, q.argmax(-1))
    assert str(joint.spec) == spec


def test_models_without_logits_cannot_be_traced() -> None:
    lm = dataclasses.replace(language_model("llama"), model=encoder())
    with pytest.raises(AnatomyError, match="BertModel has no language-model head"):
        next(trace_sublayers(lm, TOKENS))


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt-neox", "opt-post-norm", "qwen3-moe"])
def test_one_sublayer_replaced_by_its_pruned_version(name: str) -> None:
    """The last MLP alone, pruned: the lens must agree with a whole forward pass of that model."""
    lm = language_model(name)
    before = {key: weight.clone() for key, weight in lm.model.state_dict().items()}
    *_, last = trace_sublayers(lm, TOKENS, spec="magnitude:50%")
    assert all(torch.equal(weight, before[key]) for key, weight in lm.model.state_dict().items())
    with torch.no_grad():
        p = lm.model(TOKENS).logits
        with pruned(lm, "magnitude:50%") as applied:
            earlier = [s for s in anatomy(lm.model).sublayers() if (s.kind, s.layer) != ("mlp", LAYERS - 1)]
            with unpruned(applied, [module for s in earlier for module in s.modules]):
                q = lm.model(TOKENS).logits
    torch.testing.assert_close(last.logits.kl, measure(p, q).kl, rtol=1e-4, atol=1e-9)


def test_pruned_version_with_nothing_pruned_is_exactly_the_dense_one() -> None:
    lm = language_model("llama")
    for trace in trace_sublayers(lm, TOKENS, spec="magnitude:0%"):
        _assert_zero(trace.logits)
        assert (trace.hidden.cosdist == 0).all()
    with pytest.raises(SpecError, match="only weight pruning"):
        next(trace_sublayers(lm, TOKENS, spec="attn:1", calibration=TOKENS))
