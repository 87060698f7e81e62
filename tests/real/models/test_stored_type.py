"""A copy takes no more room than its original, unless that would round its weights, which is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from real.models.load import load
from real.models.save import SaveError, check_folder, save
from real.pruning.apply import prune
from tests.real.conftest import tiny_language_model


def checkpoint(folder: Path, dtype: torch.dtype, tied: bool) -> str:
    lm = tiny_language_model(tie_word_embeddings=tied)
    lm.model.to(dtype).save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("spec", ["attn:[1]", "block:[1]+magnitude:50%"])
def test_dropped_and_zeroed_weights_keep_their_type(
    dtype: torch.dtype, tied: bool, spec: str, tmp_path: Path
) -> None:
    smaller = prune(load(checkpoint(tmp_path / "dense", dtype, tied)), spec)
    folder = save(smaller, tmp_path / "pruned")
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    assert ("lm_head.weight" in stored) != tied
    assert json.loads((folder / "config.json").read_text())["dtype"] == str(dtype)[6:]
    tokens = torch.arange(20).unsqueeze(0)
    with torch.inference_mode():
        assert torch.equal(load(str(folder)).model(tokens).logits, smaller.model(tokens).logits)


def test_new_weights_are_not_rounded_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smaller = prune(load(checkpoint(tmp_path / "dense", torch.bfloat16, False)), "int4")
    folder = save(smaller, tmp_path / "pruned")
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float32}
    assert "saved in float32" in " ".join(capsys.readouterr().err.split())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny_language_model()

    def full(folder: Path, **_: object) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(lm.model, "save_pretrained", full)
    with pytest.raises(SaveError, match="No space left"):
        save(lm, tmp_path / "new" / "pruned")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_takes_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    for place, said in {
        "link": "is a link",
        "dangling": "is a link",
        "file/inside": "cannot be written",
        "file": "exists already",
    }.items():
        with pytest.raises(ValueError, match=said):
            check_folder(tmp_path / place)
    for place in ("/proc/pruned", "~nobody-of-that-name/pruned", "/proc"):
        with pytest.raises(ValueError, match=r"cannot be written|mount point|exists already"):
            check_folder(place)
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
