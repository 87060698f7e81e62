"""Repair: closed form, never worse on held-out text, and the same model in memory, for good and reloaded."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from real.models.beside import FILE
from real.models.checkpoint import ModelUnavailableError
from real.models.load import LanguageModel, load
from real.models.save import save, written
from real.pruning import repair as repairing
from real.pruning.apply import prune, pruned
from real.pruning.ridge import LinearFit
from real.structure.places import RepairError
from real.structure.probe import hooks
from tests.real.families import CONFIGS, TRANSFORMERS, language_model, some_tokens

CALIBRATION = some_tokens(rows=8, length=12)
TOKENS = some_tokens(seed=5)

# Layers whose MLP reaches the stream through a norm or by several experts carry no repair of blocks above.
NO_BLOCK = {"gemma2", "gemma3", "olmo2", "opt-post-norm", "qwen2-moe", "mixtral", "qwen3-moe"}
# Writers that are experts, or layers that read more of the stream than its direction.
NO_SCALE = {"gemma2", "gemma3", "olmo2", "opt-post-norm", "mixtral", "qwen2-moe", "qwen3-moe"}


@torch.no_grad()
def logits(lm: LanguageModel, tokens: Tensor = TOKENS) -> Tensor:
    return lm.model(input_ids=tokens).logits


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-6 * float(other.abs().max()))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_family_repaired_saved_and_loaded(name: str, tmp_path: Path) -> None:
    """attn+linear has a place in all of them; saved and loaded it writes the same text with a cache."""
    lm, spec = language_model(name), "attn:[1]+mlp:[2]+linear"
    before = logits(lm)
    with pruned(lm, spec, CALIBRATION) as applied:
        expected = logits(lm)
        text = written(lm.model, TOKENS[:1], use_cache=False)
    assert torch.equal(logits(lm), before)
    smaller = prune(lm, spec, CALIBRATION)
    same(logits(smaller), expected)
    with pruned(lm, "attn:[1]+mlp:[2]"):
        assert torch.equal(logits(lm), expected) != applied.facts[-1]["kept"]
    again = load(str(save(smaller, tmp_path / "repaired")))
    same(logits(again), expected)
    assert torch.equal(written(again.model, TOKENS[:1]), text)
    assert again.content["weights"] == smaller.content["weights"]


@pytest.mark.parametrize("kind", ["mean", "linear"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_blocks_of_every_family(name: str, kind: str) -> None:
    """Folded into the layer below where it can be, one sentence where not."""
    lm, spec = language_model(name), f"block:[1]+{kind}"
    if name in NO_BLOCK - ({"mixtral", "qwen3-moe"} if kind == "mean" else set()):
        with pytest.raises(RepairError, match=r"could not repair block:\[1\] of .*[^\n]*$"):
            prune(lm, spec, CALIBRATION)
        return
    with pruned(lm, spec, CALIBRATION) as applied:
        expected = logits(lm)
    smaller = prune(lm, spec, CALIBRATION)
    same(logits(smaller), expected)
    assert len(smaller.anatomy.layers) == 2
    went = smaller.provenance["pruning"].get("repair", {})
    assert bool(went) == bool(applied.repaired.substitutes)
    if kind == "linear" and went:
        assert set(went.values()) == {"weights"}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_scale_of_every_family(name: str) -> None:
    lm = language_model(name)
    if name in NO_SCALE:
        with pytest.raises(RepairError, match=r"could not repair mlp:\[1\] of \w+ by a scale: [^\n]*$"):
            prune(lm, "mlp:[1]+scale", CALIBRATION)
        return
    with pruned(lm, "mlp:[1]+scale", CALIBRATION) as applied:
        expected = logits(lm)
    assert torch.equal(logits(prune(lm, "mlp:[1]+scale", CALIBRATION)), expected)
    if applied.facts[-1]["kept"] and CONFIGS[name][1] == "sequential":  # so many times the stream after it
        by = applied.facts[-1]["repaired"]["mlp:[1]"]["factor"]
        layer = lm.anatomy.layers[1].module
        with pruned(lm, "mlp:[1]"):
            handle = layer.register_forward_hook(lambda m, args, output: _scaled(output, by))
            with hooks([handle]):
                torch.testing.assert_close(logits(lm), expected, rtol=1e-3, atol=2e-3)


def _scaled(output: object, by: float) -> object:
    return output * by if isinstance(output, Tensor) else (output[0] * by, *output[1:])


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt-j", "mixtral"])
def test_never_worse_than_no_repair(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that harms is found out on the held-out rows, and zero is kept to the last bit."""
    lm = language_model(name)
    with pruned(lm, "attn:[1]"):
        zero = logits(lm)
    harmful = LinearFit(None, 50 * torch.linspace(-1, 1, 32), 1.0, 0.0)
    monkeypatch.setattr(repairing, "_fit", lambda *_: harmful)
    with pruned(lm, "attn:[1]+linear", CALIBRATION) as applied:
        assert torch.equal(logits(lm), zero)
    fact = applied.facts[-1]
    assert not fact["kept"]
    assert fact["held_out_kl"] >= fact["held_out_kl_without"]


def test_mean_is_the_mean_on_the_rows_that_are_not_held_out() -> None:
    lm, seen = language_model("gpt2"), []
    writer = lm.anatomy.sublayer("attn", 1).writers[0]
    handle = writer.register_forward_hook(lambda m, args, output: seen.append(output.flatten(0, 1)))
    logits(lm, CALIBRATION[:6])
    handle.remove()
    with pruned(lm, "attn:[1]+mean", CALIBRATION) as applied:
        (one,) = applied.repaired.substitutes
    torch.testing.assert_close(one.bias, torch.cat(seen).mean(0), rtol=1e-5, atol=1e-6)
    smaller = prune(lm, "attn:[1]+mean", CALIBRATION)
    torch.testing.assert_close(smaller.model.transformer.h[1].attn.c_proj.bias, one.bias)


def test_parts_are_fitted_on_the_already_repaired_model() -> None:
    """The second part's inputs are those that the first one's repair leaves."""
    lm, spec = language_model("llama"), "attn:[0,1]+mean"
    with pruned(lm, spec, CALIBRATION) as applied:
        first, second = applied.repaired.substitutes
    writer, seen = lm.anatomy.sublayer("attn", 1).writers[0], []
    with pruned(lm, "attn:[0]+mean", CALIBRATION) as alone:
        torch.testing.assert_close(alone.repaired.substitutes[0].bias, first.bias)
        handle = writer.register_forward_hook(lambda m, args, output: seen.append(output.flatten(0, 1)))
        logits(lm, CALIBRATION[:6])
        handle.remove()
    torch.testing.assert_close(second.bias, torch.cat(seen).mean(0), rtol=1e-4, atol=1e-6)


FRESH = """
import json, sys, torch
from transformers import AutoModelForCausalLM
tokens, found = torch.tensor(json.loads(sys.argv[1])), []
for folder, loader in json.loads(sys.argv[2]):
    if loader:
        exec(loader, names := {})
    model = names["load"](folder) if loader else AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits
    text = model.generate(tokens[:1], max_new_tokens=4, do_sample=False, pad_token_id=0)
    found.append([logits.tolist(), text.tolist()])
print(json.dumps(found))
"""
# family, spec, whether plain from_pretrained is all that it takes
PLACES = (
    ("llama", "attn:[1]+mean", True),
    ("gpt2", "attn:[1]+mlp:[2]+mean", True),
    ("qwen2", "block:[1]+linear", True),
    ("falcon", "mlp:[1]+scale", True),
    ("llama", "attn:[1]+mlp:[2]+linear", False),
    ("mistral", "attn:[1]+mean", False),
)


def test_a_fresh_process_without_this_package(tmp_path: Path) -> None:
    """Where promised plain from_pretrained is all; else the lines of the model card are."""
    expected, asked = [], []
    for index, (name, spec, plain) in enumerate(PLACES):
        lm = language_model(name)
        with pruned(lm, spec, CALIBRATION) as applied:
            assert applied.facts[-1]["kept"]
            expected.append((logits(lm), written(lm.model, TOKENS[:1])))
        folder = save(prune(lm, spec, CALIBRATION), tmp_path / str(index))
        assert (folder / FILE).exists() != plain
        loader = None if plain else re.findall("```python\n(.*?)```", card(folder), re.DOTALL)[0]
        asked.append((str(folder), loader))
    # -I: no access to the folder of the project.
    call = [sys.executable, "-I", "-c", FRESH, json.dumps(TOKENS.tolist()), json.dumps(asked)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=True)
    for (seen, wrote), (right, text) in zip(json.loads(done.stdout.splitlines()[-1]), expected, strict=True):
        torch.testing.assert_close(torch.tensor(seen), right, rtol=1e-5, atol=1e-5)
        assert torch.equal(torch.tensor(wrote), text)


def card(folder: Path) -> str:
    return (folder / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with something beside it."""
    lm = language_model("llama")
    return save(prune(lm, "attn:[1]+linear", CALIBRATION), tmp_path_factory.mktemp("beside") / "repaired")


def _gone(file: Path) -> None:
    file.unlink()


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def _changed(file: Path, **tensors: Tensor) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        facts = opened.metadata()
    name = "model.layers.1.self_attn.o_proj"
    save_file(load_file(file) | {f"{name}.{kind}": value for kind, value in tensors.items()}, file, facts)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_gone, "lacks substitutes.safetensors, without which it would be another model"),
        (_truncated, "does not fit"),
        (lambda file: save_file(load_file(file), file), "does not fit"),
        (lambda file: _changed(file, bias=torch.zeros(5)), "o_proj has no bias of its width"),
        (lambda file: _changed(file, weight=torch.zeros(5, 32)), "o_proj has a weight of shape"),
        (lambda file: _changed(file, bias=torch.full((32,), torch.nan)), "numbers that are not finite"),
    ],
)
def test_what_lies_beside_is_applied_or_refused(
    damage: object, sentence: str, beside: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in beside.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder / FILE)  # type: ignore[operator]
    with pytest.raises(ModelUnavailableError, match=re.escape(sentence)) as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


def test_the_content_of_a_model_knows_what_stands_in_for_its_parts(beside: Path) -> None:
    """A cache must not take a repaired model for the one whose weights it has."""
    again = load(str(beside))
    assert (
        again.content["weights"]
        != LanguageModel(AutoModelForCausalLM.from_pretrained(beside), again.tokenizer, "plain", {}).content[
            "weights"
        ]
    )


def test_a_loaded_repaired_model_can_be_pruned_and_saved_again(beside: Path, tmp_path: Path) -> None:
    lm = load(str(beside))
    before = logits(lm)
    smaller = prune(lm, "mlp:[0]+block:[2]")
    with pruned(lm, "mlp:[0]+block:[2]"):
        expected = logits(lm)
    same(logits(smaller), expected)
    assert torch.equal(logits(lm), before)
    again = load(str(save(smaller, tmp_path / "again")))
    same(logits(again), expected)
    copied = copy.deepcopy(lm.model)
    copied.substitutes[0].bias.add_(1)
    assert torch.equal(logits(lm), before)


@pytest.mark.parametrize(
    ("name", "spec", "sentence"),
    [
        ("llama", "block:[0]+linear", "no layer is left below it"),
        ("llama", "block:[1]+mlp:[0]+mean", r"mlp:\[0\] below it, which would carry the repair, is dropped"),
        ("gemma3", "block:[1]+linear", "a norm or several experts stand in between"),
        ("opt-post-norm", "attn:[1]+scale", "read more of the stream than its direction"),
    ],
)
def test_no_place(name: str, spec: str, sentence: str) -> None:
    with pytest.raises(RepairError, match=sentence), pruned(language_model(name), spec, CALIBRATION):
        pass


def test_one_row_leaves_nothing_to_hold_out() -> None:
    lm = language_model("llama")
    with pytest.raises(RepairError, match="at least two rows"), pruned(lm, "attn:[1]+mean", CALIBRATION[:1]):
        pass
