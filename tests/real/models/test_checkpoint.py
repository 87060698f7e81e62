"""A checkpoint that is not whole is one sentence that names what is wrong; nothing is drawn at random."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
)

from real.models.checkpoint import ModelUnavailableError
from real.models.devices import DeviceError, check_device
from real.models.load import LanguageModel, load, load_encoder
from real.text.sample import sample
from tests.real.conftest import byte_tokenizer, tiny_language_model

Weights = dict[str, torch.Tensor]
LM = tiny_language_model()
NAMES = sorted(LM.model.state_dict())


def saved(folder: Path, lm: LanguageModel = LM, change: Callable[[Weights], object] = lambda _: None) -> str:
    """A folder with the model's files after ``change`` of its tensors."""
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def edit(folder: str, file: str = "config.json", **values: object) -> None:
    path = Path(folder) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refusal(place: str, **arguments: str) -> str:
    with pytest.raises(ModelUnavailableError) as error:
        load(place, **arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@given(name=st.sampled_from(NAMES))
def test_any_missing_tensor_is_named(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = saved(tmp_path_factory.mktemp("model"), change=lambda weights: weights.pop(name))
    assert name in refusal(place)
    assert "random" in refusal(place)


@given(
    name=st.sampled_from(NAMES),
    value=st.sampled_from([torch.nan, torch.inf, -torch.inf]),
    place=st.integers(0, 10**6),
)
def test_any_number_that_is_not_finite_is_named(
    name: str, value: float, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def change(weights: Weights) -> None:
        flat = weights[name].reshape(-1)
        flat[place % len(flat)] = value

    said = refusal(saved(tmp_path_factory.mktemp("model"), change=change))
    assert name in said
    assert "not finite" in said


@given(name=st.sampled_from(NAMES))
def test_any_other_shape_is_named(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    def change(weights: Weights) -> None:
        weights[name] = weights[name][:-1].contiguous()

    said = refusal(saved(tmp_path_factory.mktemp("model"), change=change))
    assert name in said
    assert str(tuple(LM.model.state_dict()[name].shape)) in said


@pytest.mark.parametrize(
    "extra",
    ["model.layers.3.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias", "lm_head.bias"],
)
def test_a_tensor_that_the_configuration_forgets_is_named(extra: str, tmp_path: Path) -> None:
    place = saved(tmp_path / "model", change=lambda weights: weights.update({extra: torch.ones(32)}))
    assert extra in refusal(place)


def test_another_part_of_a_larger_model_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tower = {"vision_tower.blocks.0.weight": torch.ones(4)}
    load(saved(tmp_path / "model", change=lambda weights: weights.update(tower)))
    assert "vision_tower.blocks.0.weight in the files" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("tied", [False, True])
def test_a_reward_model_is_no_language_model(tied: bool, tmp_path: Path) -> None:
    config = tiny_language_model(tie_word_embeddings=tied).model.config
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "reward")
    LM.tokenizer.save_pretrained(tmp_path / "reward")
    assert "LlamaForSequenceClassification" in refusal(str(tmp_path / "reward"))


@pytest.mark.parametrize("kept", ["model.embed_tokens.weight", "lm_head.weight"])
def test_tied_weights_may_be_stored_under_either_name(kept: str, tmp_path: Path) -> None:
    lm = tiny_language_model(tie_word_embeddings=True)
    first = "model.embed_tokens.weight"
    place = saved(tmp_path / "model", lm, lambda weights: weights.update({kept: weights.pop(first)}))
    tokens = torch.arange(20).unsqueeze(0)
    with torch.inference_mode():
        assert torch.equal(load(place).model(tokens).logits, lm.model(tokens).logits)


def test_an_adapter_is_not_ignored(tmp_path: Path) -> None:
    place = saved(tmp_path / "model")
    (tmp_path / "model" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "adapter" in refusal(place)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "cannot load"),
        (lambda data: data[: len(data) // 2], "cannot load"),
        (lambda data: bytes(range(256)) * 40, "cannot load"),
        (lambda data: data[:8] + b"{" * 64, "cannot load"),
    ],
)
def test_damaged_files_are_one_sentence(damage: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    place = saved(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert said in refusal(place)


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes"])
def test_a_quantised_checkpoint_without_its_package(method: str, tmp_path: Path) -> None:
    place = saved(tmp_path / "model")
    how = {"load_in_4bit": True} if method == "bitsandbytes" else {}
    edit(place, quantization_config={"quant_method": method, "bits": 4, **how})
    said = refusal(place)
    assert "stored quantised" in said
    assert method in said
    assert "GGUF" in said


def test_what_is_no_model_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no *.safetensors" in refusal(str(tmp_path / "empty"))
    LM.model.save_pretrained(tmp_path / "bare")
    assert "holds no tokenizer" in refusal(str(tmp_path / "bare"))
    with pytest.raises(ValueError, match="hub id"):
        load("~nobody-of-that-name")


def test_a_model_that_reads_ahead_is_refused(tmp_path: Path) -> None:
    sizes = dict(vocab_size=258, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    model: PreTrainedModel = BertForMaskedLM(BertConfig(**sizes, intermediate_size=48))
    model.save_pretrained(tmp_path / "bert")
    LM.tokenizer.save_pretrained(tmp_path / "bert")
    assert "not causal" in refusal(str(tmp_path / "bert"))
    assert load_encoder(str(tmp_path / "bert")).model.config.vocab_size == 258


def test_overflow_in_half_precision_names_the_module(tmp_path: Path) -> None:
    def change(weights: Weights) -> None:
        weights["model.layers.1.mlp.up_proj.weight"] *= 30
        weights["model.layers.1.mlp.down_proj.weight"] *= 3e4

    place = saved(tmp_path / "model", change=change)
    assert "model.layers.1" in refusal(place, dtype="float16")
    assert load(place).checks.sound


SETTINGS = {
    "repetition_penalty": 1.3,
    "no_repeat_ngram_size": 2,
    "suppress_tokens": list(range(64, 96)),
    "begin_suppress_tokens": list(range(128)),
    "forced_eos_token_id": 257,
    "forced_bos_token_id": 3,
    "bad_words_ids": [[token] for token in range(100)],
    "min_new_tokens": 20,
    "min_length": 30,
    "num_beams": 4,
    "do_sample": True,
    "temperature": 0.1,
    "top_k": 1,
    "top_p": 0.2,
    "min_p": 0.5,
    "typical_p": 0.3,
    "epsilon_cutoff": 0.1,
    "exponential_decay_length_penalty": [1, 2.0],
    "sequence_bias": [[[5], 9.0]],
    "guidance_scale": 2.0,
    "renormalize_logits": True,
    "encoder_repetition_penalty": 1.5,
    "watermarking_config": {"bias": 5.0},
    "max_length": 3,
    "max_time": 0.0,
    "stop_strings": ["a"],
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_setting_of_a_checkpoint_changes_what_is_drawn(
    setting: str, temperature: float, tmp_path: Path
) -> None:
    place = saved(tmp_path / "model")
    edit(place, "generation_config.json", **{setting: SETTINGS[setting]})
    lm = load(place)
    prompts = ["a", "some words", "zzzz zzzz"]
    drawn = sample(lm, prompts, 12, samples=2, temperature=temperature)
    expected = sample(LM, prompts, 12, samples=2, temperature=temperature)
    assert torch.equal(drawn.tokens, expected.tokens)
    assert setting in lm.provenance["settings left out"] or SETTINGS[setting] is True


def test_another_end_of_text_still_ends_it(tmp_path: Path) -> None:
    stop = int(sample(LM, ["ab"], 4, temperature=0).continuation(0)[2])
    place = saved(tmp_path / "model")
    edit(place, "generation_config.json", eos_token_id=[257, stop])
    assert int(sample(load(place), ["ab"], 9, temperature=0).continuation(0)[-1]) == stop


@pytest.mark.parametrize("device", ["cuda:99", "meta", "gpu", "CPU", "-1", "", "nonsense", "cpu:x", "mtia"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(DeviceError, match=re.escape(repr(device))):
        load("smollm2-135m", device=device)
    assert check_device("cpu") == "cpu"


def test_pad_token_outside_the_embedding(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    padded = LanguageModel(LM.model, tokenizer, "padded", {})
    lm = load(saved(tmp_path / "model", padded))
    prompts = ["a", "some words"]
    assert torch.equal(sample(lm, prompts, 5).continuation(0), sample(LM, prompts, 5).continuation(0))
