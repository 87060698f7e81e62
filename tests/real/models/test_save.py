"""Saved checkpoints: plain from_pretrained, another process, no package of ours, the same logits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from real.models.load import load
from real.models.save import SaveError, save
from real.pruning.apply import prune, pruned
from tests.real.every_family import tiny
from tests.real.families import TRANSFORMERS, language_model, some_tokens

TOKENS = some_tokens()
SPEC = "attn:[0]+block:[1]+mlp:[2]"

FRESH = """
import json, sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokens = torch.tensor(json.loads(sys.argv[2]))
with torch.no_grad():
    logits = model(input_ids=tokens).logits
written = model.generate(tokens[:1], max_new_tokens=4, do_sample=False, pad_token_id=0)
ours = [name for name in sys.modules if name.split(".")[0] in ("real", "theory", "sim", "paper_figs")]
print(json.dumps({"logits": logits.tolist(), "written": written.tolist(), "ours": ours}))
"""


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_reloaded_equals_dropped_by_hooks(name: str, tmp_path: Path) -> None:
    lm = language_model(name)
    with pruned(lm, SPEC), torch.no_grad():
        expected = lm.model(input_ids=TOKENS).logits
    folder = save(prune(lm, SPEC), tmp_path / "pruned")
    again = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        assert torch.equal(again(input_ids=TOKENS).logits, expected)
    assert again.config.get_text_config().num_hidden_layers == 2


@pytest.mark.parametrize("spec", ["wanda:2:4", "sparsegpt:50%", "int4", "mlp:1+magnitude:50%"])
def test_weight_methods_survive_saving(spec: str, tmp_path: Path) -> None:
    lm = language_model("llama")
    with pruned(lm, spec, TOKENS), torch.no_grad():
        expected = lm.model(input_ids=TOKENS).logits
    again = load(str(save(prune(lm, spec, TOKENS), tmp_path / "pruned")))
    with torch.no_grad():
        assert torch.equal(again.model(input_ids=TOKENS).logits, expected)


def test_a_fresh_process_without_this_package(tmp_path: Path) -> None:
    lm = language_model("qwen2")
    with pruned(lm, SPEC), torch.no_grad():
        expected = lm.model(input_ids=TOKENS).logits
    folder = save(prune(lm, SPEC), tmp_path / "pruned")
    # -I: no access to the folder of the project.
    call = [sys.executable, "-I", "-c", FRESH, str(folder), json.dumps(TOKENS.tolist())]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    torch.testing.assert_close(torch.tensor(seen["logits"]), expected, rtol=1e-5, atol=1e-5)
    assert len(seen["written"][0]) == TOKENS.shape[1] + 4
    assert seen["ours"] == []


def test_model_card_says_what_was_done(tmp_path: Path) -> None:
    folder = save(prune(language_model("llama"), "attn:1+wanda:2:4", TOKENS, seed=5), tmp_path / "pruned")
    card = (folder / "README.md").read_text()
    for said in (
        "`attn:1` dropped `attn:[",
        "`wanda:2:4` left 50.0% of the pruned weights",
        "given, 2 x 12 tokens",
        "Seed: 5",
        "| name | llama |",
    ):
        assert said in card


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = prune(language_model("llama"), "attn:[1]")
    monkeypatch.setattr(smaller.tokenizer, "save_pretrained", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(smaller, tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SaveError, match="exists already and is not empty"):
        save(language_model("llama"), tmp_path)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_structure_no_configuration_describes(tmp_path: Path) -> None:
    """Every second layer here is dense by a rule on its index: removing one layer breaks the rule."""
    lm = language_model("qwen3-moe-alternating")
    with pytest.raises(SaveError, match="configuration cannot describe the pruned structure"):
        save(prune(lm, "block:[0]"), tmp_path / "pruned")


def test_layers_scaled_by_their_number_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    """Loaded again, layer 1 of the dense model would be scaled as layer 0 is."""
    with pytest.raises(SaveError, match="loaded again, the pruned model gives other logits than in memory"):
        save(prune(tiny("beam"), "block:[0]"), tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []
    save(prune(tiny("beam"), "attn:[0]"), tmp_path / "pruned")


def test_weights_that_loading_changes_are_named(tmp_path: Path) -> None:
    """This class empties the row of the padding token whenever it is loaded, whatever was saved."""
    with pytest.raises(SaveError, match=r"transformers changes \S*embed_tokens.weight while it loads"):
        save(prune(tiny("youtu"), "attn:[0]"), tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []
