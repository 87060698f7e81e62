"""Models in the formats that people have: GGUF files, adapters beside their base model."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from real.cache import cache_folder, complete_folder
from real.models.checkpoint import ModelUnavailableError, one_sentence, quiet
from real.models.convert import dequantise, is_complete, write_facts
from real.models.fetch import file_sha256
from theory.files import expanded
from theory.terminal.console import remarks, say

ADAPTER = "adapter_config.json"
_GGUF, _MAGIC = ".gguf", b"GGUF"


def gguf_file(name: str) -> Path | None:
    """The GGUF file that a name stands for: itself, or the only one of a folder without safetensors.

    Raises
    ------
    ModelUnavailableError
        There is no such file, or the folder holds several.
    """
    path = expanded(name)
    if path.is_dir():
        files = [] if list(path.glob("*.safetensors")) else sorted(path.glob(f"*{_GGUF}"))
        if len(files) > 1:
            several = ", ".join(file.name for file in files[:3])
            raise ModelUnavailableError(f"folder {name!r} holds several GGUF files ({several} …): name one")
        return files[0] if files else None
    if path.suffix.lower() != _GGUF:
        return None
    if not path.is_file():
        raise ModelUnavailableError(f"there is no file {name!r}")
    return path


def gguf_folder(path: Path) -> Path:
    """A folder of safetensors with the dequantised weights of a GGUF file, made once per content.

    Raises
    ------
    ModelUnavailableError
        The file is no GGUF model that transformers can read.
    """
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ModelUnavailableError(f"{str(path)!r} is no GGUF file")
    sha256 = file_sha256(path)

    def build(folder: Path) -> None:
        say(f"{path.name}: dequantising once; the GGUF engine (real record) runs its own kernels instead")
        with remarks.status(f"converting {path.name}"), one_sentence(str(path), "GGUF file"), quiet():
            dequantise(path, folder)
        facts = {"source": str(path.resolve()), "version": None, "sha256": sha256}
        write_facts(folder, facts | {"weights": "dense = dequantised GGUF file"})

    return complete_folder(cache_folder() / "models" / f"gguf-{sha256[:24]}", build, is_complete)


def adapter_base(folder: Path, name: str) -> str | None:
    """Name of the base model of a PEFT adapter's folder; None where there is no adapter.

    Raises
    ------
    ModelUnavailableError
        The adapter does not name its base model, or the package that merges it is not installed.
    """
    config = folder / ADAPTER
    if not config.is_file():
        return None
    with one_sentence(name):
        found: Any = json.loads(config.read_text("utf-8")).get("base_model_name_or_path")
    if not found:
        raise ModelUnavailableError(f"{name!r} holds an adapter that does not name its base model")
    if find_spec("peft") is None:
        raise ModelUnavailableError(
            f"{name!r} holds a PEFT adapter of {found!r}; merging it needs the optional package peft: "
            "pip install 'softmax-drift[peft]'"
        )
    return str(found)


def merged(base: PreTrainedModel, folder: Path, name: str) -> PreTrainedModel:
    """The base model with an adapter merged into its weights.

    Raises
    ------
    ModelUnavailableError
        The adapter does not fit the model, cannot be merged, or would change nothing.
    """
    peft: Any = import_module("peft")
    before = {key: value.detach().clone() for key, value in base.named_parameters()}
    with one_sentence(name), quiet():
        whole = peft.PeftModel.from_pretrained(base, str(folder))
        if not hasattr(whole, "merge_and_unload"):
            raise ModelUnavailableError(
                f"{name!r} holds an adapter of type {whole.peft_type}, which cannot be merged into weights"
            )
        model: PreTrainedModel = whole.merge_and_unload(safe_merge=True)
    after = dict(model.named_parameters())
    if all(key in after and value.equal(after[key]) for key, value in before.items()):
        say(f"{name}: the adapter changes no weight of its base model")
    model.eval()  # type: ignore[no-untyped-call]
    return model
