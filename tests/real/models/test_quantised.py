"""Checkpoints as people have them: stored as codes, in shards, with pictures, with spare rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    TorchAoConfig,
)

from real.models.checkpoint import ModelUnavailableError
from real.models.load import load
from real.models.save import save
from real.pruning.apply import pruned
from real.pruning.variants import check_comparable
from tests.real.conftest import byte_tokenizer, tiny_language_model

quantization = pytest.importorskip("torchao.quantization")
TOKENS = torch.arange(24).unsqueeze(0)
FORMATS = ("Int8WeightOnlyConfig", "IntxWeightOnlyConfig", "Float8WeightOnlyConfig")
ROUNDED = "Int8DynamicActivationInt8WeightConfig"


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=TOKENS).logits.float()


def packed(place: Path, kind: str) -> tuple[str, torch.Tensor]:
    """A tiny model stored by torchao, and the logits that its own kernels give."""
    lm = tiny_language_model()
    lm.model.save_pretrained(place / "dense")
    how = TorchAoConfig(getattr(quantization, kind)())
    model = AutoModelForCausalLM.from_pretrained(
        place / "dense", quantization_config=how, dtype=torch.float32
    )
    model.save_pretrained(place / "packed")
    lm.tokenizer.save_pretrained(place / "packed")
    return str(place / "packed"), logits(model)


@pytest.mark.parametrize("kind", FORMATS)
def test_codes_become_the_weights_that_they_stand_for(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, expected = packed(tmp_path, kind)
    lm = load(place)
    assert all(type(value.data) is torch.Tensor for value in lm.model.parameters())
    assert logits(lm.model).allclose(expected, atol=1e-3)
    assert not logits(lm.model).allclose(logits(tiny_language_model().model), atol=1e-3)
    assert lm.provenance["weights"] == "dequantised from torchao"
    assert "weights of torchao are dequantised" in " ".join(capsys.readouterr().err.split())
    with pruned(lm, "attn:1"):
        assert not torch.equal(logits(lm.model), expected)
    again = load(str(save(lm, tmp_path / "plain")))
    assert torch.equal(logits(again.model), logits(lm.model))


def test_rounded_activations_are_measured_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, expected = packed(tmp_path, ROUNDED)
    found = torch.log_softmax(logits(load(place).model)[0].double(), -1)
    said = " ".join(capsys.readouterr().err.split())
    assert "nats per token away" in said
    apart = float(said.split("own kernels are ")[1].split(" ")[0])
    law = torch.log_softmax(expected[0].double(), -1)
    assert 0 < apart < 0.5
    # other tokens, the same order of magnitude
    assert float((law.exp() * (law - found)).sum(-1).mean()) == pytest.approx(apart, rel=9)


def test_codes_that_stand_for_other_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = packed(tmp_path, "Int8WeightOnlyConfig")
    codes = type(next(v.data for v in _packed_again(place).parameters() if type(v.data) is not torch.Tensor))
    monkeypatch.setattr(codes, "dequantize", lambda self, *_: 3 * torch.ones(self.shape))
    with pytest.raises(ModelUnavailableError, match="other text than its kernels") as refused:
        load(place)
    assert "GGUF" in str(refused.value)


def _packed_again(place: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)


def test_float8_blocks_become_the_weights_that_they_stand_for(tmp_path: Path) -> None:
    """As DeepSeek and others publish: float8 numbers with a scale for every block."""
    lm, block = tiny_language_model(hidden_size=64, intermediate_size=128), 32
    place = tmp_path / "fp8"
    lm.model.save_pretrained(place)
    lm.tokenizer.save_pretrained(place)
    stored, expected = load_file(place / "model.safetensors"), {}
    for key, weight in list(stored.items()):
        expected[key] = weight
        if "proj" in key:
            blocks = weight.unflatten(0, (-1, block)).unflatten(2, (-1, block))
            scale = blocks.abs().amax((1, 3), keepdim=True) / 448
            codes = (blocks / scale).to(torch.float8_e4m3fn)
            stored[key] = codes.flatten(2).flatten(0, 1)
            stored[key.replace("weight", "weight_scale_inv")] = scale[:, 0, :, 0].contiguous()
            expected[key] = (codes.float() * scale).flatten(2).flatten(0, 1)
    save_file(stored, place / "model.safetensors", {"format": "pt"})
    describe(place, quant_method="fp8", weight_block_size=[block, block], activation_scheme="dynamic")
    found = load(str(place))
    lm.model.load_state_dict(expected)
    assert torch.equal(logits(found.model), logits(lm.model))
    assert found.provenance["weights"] == "dequantised from fp8"
    assert torch.equal(logits(load(str(save(found, tmp_path / "plain"))).model), logits(lm.model))


def compressed(place: Path, preset: str) -> tuple[str, dict[str, torch.Tensor], torch.Tensor]:
    """A tiny model stored by the library itself, what its codes stand for, and its own logits."""
    from compressed_tensors import quantization as codes
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    lm = tiny_language_model(hidden_size=128, intermediate_size=256)
    scheme = codes.preset_name_to_scheme(preset, ["Linear"])
    how = codes.QuantizationConfig(config_groups={"all": scheme}, ignore=["lm_head"])
    codes.apply_quantization_config(lm.model, how)
    meant = {}
    for name, module in lm.model.named_modules():
        if (found := getattr(module, "quantization_scheme", None)) is None:
            continue
        weight, rows = module.weight.data, module.weight_scale.shape[0]
        ends = weight.reshape(rows, -1).amin(1, keepdim=True), weight.reshape(rows, -1).amax(1, keepdim=True)
        scale, zero = calculate_qparams(*ends, found.weights)
        module.weight_scale.data.copy_(scale)
        meant[f"{name}.weight"] = fake_quantize(weight, scale, zero, found.weights)
    own = logits(lm.model)
    library = ModelCompressor.from_pretrained_model(lm.model)
    library.compress_model(lm.model)
    lm.model.save_pretrained(place)
    library.update_config(str(place))
    lm.tokenizer.save_pretrained(place)
    return str(place), meant, own


@pytest.mark.parametrize("preset", ["W4A16", "W8A16", "INT8", "FP8_DYNAMIC"])
def test_compressed_tensors_are_read_as_plain_weights(preset: str, tmp_path: Path) -> None:
    """As llm-compressor and vLLM's publishers store them: packed codes, integers and float8."""
    pytest.importorskip("compressed_tensors", reason="the optional package compressed-tensors is missing")
    place, meant, own = compressed(tmp_path / "packed", preset)
    found = load(place)
    stored = dict(found.model.named_parameters())
    assert len(meant) == 21
    for key, weight in meant.items():
        assert torch.allclose(stored[key], weight, atol=1e-6), key
    if preset.endswith("A16"):  # no activation is rounded
        assert torch.allclose(logits(found.model), own, atol=1e-4)
    assert found.provenance["weights"] == "dequantised from compressed-tensors"
    assert torch.equal(logits(load(str(save(found, tmp_path / "plain"))).model), logits(found.model))
    with pruned(found, "attn:1"):
        assert not torch.equal(logits(found.model), own)


def test_compressed_tensors_without_the_library_name_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_language_model()
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    describe(tmp_path, quant_method="compressed-tensors", format="pack-quantized")
    monkeypatch.setattr("real.models.quantised.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match=r"softmax-drift\[compressed-tensors\]") as refused:
        load(str(tmp_path))
    assert "stored quantised by compressed-tensors" in str(refused.value)


def describe(place: Path, **how: object) -> None:
    config = place / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": how}))


def test_shards_are_one_model(tmp_path: Path) -> None:
    lm = tiny_language_model()
    lm.model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    lm.tokenizer.save_pretrained(tmp_path / "parts")
    parts = sorted((tmp_path / "parts").glob("model-*.safetensors"))
    assert len(parts) > 3
    assert torch.equal(logits(load(str(tmp_path / "parts")).model), logits(lm.model))
    parts[1].unlink()
    with pytest.raises(ModelUnavailableError, match=parts[1].name):
        load(str(tmp_path / "parts"))


def test_a_model_with_pictures_is_its_text_side(tmp_path: Path) -> None:
    sizes = dict(num_hidden_layers=3, num_attention_heads=4, intermediate_size=48)
    text = LlamaConfig(
        vocab_size=300, hidden_size=32, max_position_embeddings=256, initializer_range=0.3, **sizes
    )
    seen = CLIPVisionConfig(hidden_size=16, image_size=16, patch_size=8, **sizes)
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=seen, text_config=text, image_token_index=299)
    ).eval()
    model.save_pretrained(tmp_path / "llava")
    byte_tokenizer().save_pretrained(tmp_path / "llava")
    lm = load(str(tmp_path / "llava"))
    assert torch.equal(logits(lm.model), logits(model))
    assert len(lm.anatomy.layers) == 3
    assert lm.context_length == 256
    with pruned(lm, "attn:[1]"):
        assert not logits(lm.model).allclose(logits(model), atol=1e-2)


def test_spare_rows_of_a_vocabulary(tmp_path: Path) -> None:
    lm = tiny_language_model(vocab_size=320)  # the tokenizer has 258
    lm.model.save_pretrained(tmp_path / "padded")
    lm.tokenizer.save_pretrained(tmp_path / "padded")
    padded = load(str(tmp_path / "padded"))
    assert torch.equal(logits(padded.model), logits(lm.model))
    check_comparable(padded, lm)
