"""Bad input on the command line: one sentence and exit code 2, before minutes of work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from real.command_line import app
from real.pruning.variants import variant
from tests.real.conftest import byte_tokenizer, tiny_language_model


def checkpoint(folder: Path, seed: int = 0) -> str:
    lm = tiny_language_model(seed, max_position_embeddings=512)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return str(folder)


def said(*arguments: str) -> str:
    """The sentence of a refused command."""
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, ValueError | OSError), result.exception
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.mark.parametrize("command", ["evaluate", "trace"])
def test_a_device_that_is_not_there(command: str, tmp_path: Path) -> None:
    place, spec = checkpoint(tmp_path / "m"), [] if command == "anatomy" else ["int8"]
    for device in ("meta", "CPU", ""):
        assert "is not available" in said(command, place, *spec, "--device", device)


@pytest.mark.parametrize(
    "option", [("forecast", "--json"), ("forecast", "--csv"), ("forecast", "--plot"), ("evaluate", "--csv")]
)
def test_an_output_that_cannot_be_written_is_refused_first(option: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    command, name = option
    assert "cannot be written" in said(
        command, "no-such-model", "int8", name, str(tmp_path / "file" / "out.csv")
    )


def test_text_beyond_the_context(tmp_path: Path) -> None:
    sizes = dict(vocab_size=258, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3)).save_pretrained(tmp_path / "short")
    byte_tokenizer().save_pretrained(tmp_path / "short")
    place, out = str(tmp_path / "short"), str(tmp_path / "t.csv")
    assert "exceeds the context" in said("trace", place, "--out", out)
    assert "64 tokens" in said("forecast", place, "attn:1", "--tokens", "8")
    assert CliRunner().invoke(app, ["trace", place, "--tokens", "64", "--out", out]).exit_code == 0


def test_dtype_reaches_the_compared_folder(tmp_path: Path) -> None:
    from real.models.load import load

    place = checkpoint(tmp_path / "m")
    lm = load(place, dtype="bfloat16")
    with variant(lm, place) as other:
        assert other.model.dtype == torch.bfloat16
        assert other.content == lm.content


def test_a_folder_does_not_hide_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkpoint(tmp_path / "m")
    (tmp_path / "int8").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["forecast", place, "int8", "--tokens", "4"])
    assert ran.exit_code == 0, ran.output
    assert "holds no *.safetensors" in said("forecast", place, "./int8", "--tokens", "4")


def test_tokenizers_may_differ_in_spare_rows_only(tmp_path: Path) -> None:
    lm = tiny_language_model(vocab_size=264, max_position_embeddings=512)
    for name, token in {"plain": None, "more": "[PAD]", "also": "[SEP]"}.items():
        lm.model.save_pretrained(tmp_path / name)
        tokenizer = byte_tokenizer()
        tokenizer.add_tokens([token] if token else [])
        tokenizer.save_pretrained(tmp_path / name)
    places = {name: str(tmp_path / name) for name in ("plain", "more", "also")}
    ran = CliRunner().invoke(app, ["forecast", places["plain"], places["more"], "--tokens", "4"])
    assert ran.exit_code == 0, ran.output
    assert "[PAD]" in ran.stderr
    assert "different tokenizers" in said("forecast", places["more"], places["also"], "--tokens", "4")
