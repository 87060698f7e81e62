from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torchao.quantization import Int8WeightOnlyConfig
from transformers import AutoModelForCausalLM, LlamaForCausalLM, TorchAoConfig

from real.models import convert
from real.models.checkpoint import AutoTokenizer, ModelUnavailableError, refuse_not_finite
from real.models.load import LanguageModel, load, load_encoder
from real.models.registry import SOURCES
from real.structure.anatomy import AnatomyError
from tests.real.every_family import tiny
from tests.real.families import language_model
from theory.names import UnknownNameError


@pytest.fixture
def saved(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    tiny_lm.model.save_pretrained(tmp_path / "saved")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_local_folder_gives_the_same_logits(saved: Path, tiny_lm: LanguageModel) -> None:
    again = load(str(saved))
    tokens = torch.arange(20).unsqueeze(0)
    with torch.inference_mode():
        assert torch.equal(again.model(tokens).logits, tiny_lm.model(tokens).logits)
    assert again.context_length == 256
    assert not again.model.training
    assert {"name", "source", "sha256", "dtype", "torch", "transformers"} <= again.provenance.keys()


def test_dtype_is_as_asked(saved: Path) -> None:
    assert load(str(saved), dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(UnknownNameError, match="float32"):
        load(str(saved), dtype="float23")


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"nearest.*smollm2-135m.*hub id"):
        load("smollm-135m")
    with pytest.raises(UnknownNameError, match="minilm-l6"):
        load_encoder("minilm")


def test_a_pickle_is_not_loaded(saved: Path) -> None:
    weights = saved / "model.safetensors"
    weights.rename(saved / "pytorch_model.bin")
    with pytest.raises(ModelUnavailableError, match="only safetensors"):
        load(str(saved))


def test_a_truncated_local_file_is_one_sentence(saved: Path) -> None:
    (saved / "config.json").write_text("{")
    with pytest.raises(ModelUnavailableError) as error:
        load(str(saved))
    assert "\n" not in str(error.value)


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub.\nCheck your connection.")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", unreachable)
    with pytest.raises(ModelUnavailableError, match="cannot load 'owner/name': We couldn't connect") as error:
        load("owner/name")
    assert "\n" not in str(error.value)


def test_a_truncated_cached_model_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    convert._write_provenance("smollm2-135m", SOURCES["smollm2-135m"], tmp_path)
    assert convert.is_complete(tmp_path)
    facts = json.loads((tmp_path / convert.PROVENANCE).read_text())
    assert facts["sha256"] == SOURCES["smollm2-135m"].sha256
    for damaged in (b"1234", b"1234567\x00"):  # shorter, and of the same size with another byte
        (tmp_path / "model.safetensors").write_bytes(damaged)
        assert not convert.is_complete(tmp_path)
    facts["files"] = {"model.safetensors": 8}  # as an earlier version wrote it
    (tmp_path / convert.PROVENANCE).write_text(json.dumps(facts))
    assert convert.is_complete(tmp_path)


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss"])
def test_mixtures_in_double_precision(name: str, tmp_path: Path) -> None:
    """Grouped products of experts stop at single precision."""
    tiny(name).model.save_pretrained(tmp_path)
    tiny(name).tokenizer.save_pretrained(tmp_path)
    double, tokens = load(str(tmp_path), dtype="float64"), torch.arange(12).unsqueeze(0)
    assert len(double.anatomy.sublayers()) == len(tiny(name).anatomy.sublayers())
    with torch.no_grad():
        expected = tiny(name).model(input_ids=tokens).logits
        torch.testing.assert_close(
            double.model(input_ids=tokens).logits.float(), expected, rtol=1e-3, atol=1e-3
        )


def test_a_model_that_does_not_run_is_one_sentence() -> None:
    class Failing(LlamaForCausalLM):
        def forward(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError("no kernel for this.\nTry another.")

    model = Failing(language_model("llama").model.config)
    with pytest.raises(AnatomyError, match=r"^Failing fails on a few tokens: no kernel for this\.$"):
        LanguageModel(model, language_model("llama").tokenizer, "failing", {})


def test_packed_weights_are_one_sentence(saved: Path, tmp_path: Path) -> None:
    """Codes of a quantisation library can be run, but neither pruned nor looked at."""
    packed = TorchAoConfig(Int8WeightOnlyConfig())
    model = AutoModelForCausalLM.from_pretrained(saved, quantization_config=packed, dtype=torch.float32)
    with pytest.raises(
        ModelUnavailableError, match=r"q_proj.weight quantised \(Int8Tensor\); load the checkpoint"
    ):
        refuse_not_finite(model, "packed")
