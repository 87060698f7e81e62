"""GGUF files and adapters load as the models they are; what cannot be taken is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from real.models import formats
from real.models.checkpoint import ModelUnavailableError
from real.models.load import LanguageModel, load
from tests.real.conftest import tiny_language_model

peft = pytest.importorskip("peft", reason="the optional package peft is not installed")
TOKENS = torch.arange(24).unsqueeze(0)


def save(lm: LanguageModel, folder: Path) -> Path:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(TOKENS).logits


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save(tiny_language_model(), tmp_path / "base")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """A LoRA adapter of random numbers on the saved model."""
    settings = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(load(str(base)).model, settings)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator))
    model.save_pretrained(tmp_path / "adapter")
    torch.save(logits(model), tmp_path / "expected.pt")
    return tmp_path / "adapter"


def test_an_adapter_is_merged_into_its_base(base: Path, adapter: Path, tmp_path: Path) -> None:
    lm = load(str(adapter))
    expected = torch.load(tmp_path / "expected.pt")
    assert logits(lm.model).allclose(expected, atol=1e-4)
    assert not logits(lm.model).allclose(logits(load(str(base)).model), atol=1e-2)
    assert not any("lora" in name for name, _ in lm.model.named_parameters())
    assert lm.provenance["base"] == str(base)
    assert lm.content["weights"] != load(str(base)).content["weights"]


def test_an_adapter_that_changes_nothing_is_said_to(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(load(str(base)).model, settings).save_pretrained(tmp_path / "adapter")
    capsys.readouterr()
    load(str(tmp_path / "adapter"))
    assert "changes no weight" in capsys.readouterr().err


def change(adapter: Path, **facts: Any) -> str:
    config = adapter / formats.ADAPTER
    config.write_text(json.dumps(json.loads(config.read_text()) | facts))
    with pytest.raises((ModelUnavailableError, ValueError)) as refused:
        load(str(adapter))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_adapters_that_cannot_be_merged(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not name its base" in change(adapter, base_model_name_or_path=None)
    assert "names itself" in change(adapter, base_model_name_or_path=str(adapter))
    assert "nearest" in change(adapter, base_model_name_or_path="smollm3")
    other = save(tiny_language_model(hidden_size=16, intermediate_size=24), adapter.parent / "other")
    assert "adapter" in change(adapter, base_model_name_or_path=str(other))
    (adapter / formats.ADAPTER).write_text("{")
    with pytest.raises(ModelUnavailableError, match="cannot load"):
        load(str(adapter))


def test_without_the_package_it_is_named(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match=r"softmax-drift\[peft\]"):
        load(str(adapter))


@pytest.fixture
def conversions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were converted: the conversion, which takes minutes, writes a tiny model."""
    asked: list[str] = []

    def dequantise(gguf: Path, folder: Path) -> None:
        asked.append(gguf.name)
        save(tiny_language_model(), folder)

    monkeypatch.setattr(formats, "dequantise", dequantise)
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    return asked


def test_a_gguf_file_is_converted_once_per_content(tmp_path: Path, conversions: list[str]) -> None:
    one, two = tmp_path / "one.gguf", tmp_path / "two.gguf"
    one.write_bytes(b"GGUF first")
    two.write_bytes(b"GGUF second")
    lm = load(str(one))
    load(str(one))
    assert conversions == ["one.gguf"]
    assert lm.provenance["source"] == str(one)
    assert lm.name == str(one)
    one.rename(tmp_path / "moved.gguf")
    load(str(tmp_path / "moved.gguf"))
    load(str(two))
    assert conversions == ["one.gguf", "two.gguf"]


def test_a_folder_of_one_gguf_file_is_that_file(tmp_path: Path, conversions: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.gguf").write_bytes(b"GGUF")
    load(str(folder))
    assert conversions == ["one.gguf"]
    (folder / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnavailableError, match="several GGUF files"):
        load(str(folder))


@pytest.mark.parametrize("data", [b"", b"no model", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_files_that_are_no_models(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelUnavailableError, match=r"broken\.gguf' .*GGUF file") as refused:
        load(str(path))
    assert "\n" not in str(refused.value)
    with pytest.raises(ModelUnavailableError, match="no file"):
        load(str(tmp_path / "absent.gguf"))


@pytest.mark.slow
def test_the_embedded_file_is_the_registry_model() -> None:
    pytest.importorskip("ik_llama_cpp")
    from real.engines.quantise import registry_gguf

    assert torch.equal(
        logits(load(str(registry_gguf("smollm2-135m"))).model), logits(load("smollm2-135m").model)
    )
