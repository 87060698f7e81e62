"""Other quantisations of a GGUF file, made by llama.cpp's own ``llama-quantize`` and kept in the cache."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

import torch

from real.cache import cache_folder, complete_folder
from real.engines.engine import EngineError
from real.engines.llama import PACKAGE
from real.models import fetch
from real.models.registry import SOURCES
from theory.names import lookup
from theory.terminal.console import remarks, say

AS_SHIPPED = "gguf"
LADDER = ("Q8_0", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
_FILE = "model.gguf"


def registry_gguf(name: str, quantisation: str = AS_SHIPPED) -> Path:
    """The GGUF file of a registry model: as its package ships it, or made from that by ``llama-quantize``.

    The shipped file is four-bit already: a finer quantisation of it keeps those weights nearly exactly, a
    coarser one loses more, as it does for a user who quantises a quantised file.

    Raises
    ------
    UnknownNameError
        No such model, or no such step of :data:`LADDER`.
    EngineError
        ``llama-quantize`` is not installed or failed.
    """
    files = {one: source for one, source in SOURCES.items() if source.sha256 is not None}
    source = lookup("model with a GGUF file", name, files)
    lookup("quantisation", quantisation, dict.fromkeys((AS_SHIPPED, *LADDER)))
    assert source.sha256 is not None
    sha256 = source.sha256

    def build(folder: Path) -> None:
        target = folder / _FILE
        if quantisation == AS_SHIPPED:
            say(f"{name}: fetching {source.size} once ({source.licence} licence)")
            fetch.join_members(source.wheels, sha256, target)
        else:
            with remarks.status(f"quantising {name} to {quantisation}"):
                quantise(registry_gguf(name), target, quantisation)
        (folder / "size").write_text(str(target.stat().st_size))

    folder = cache_folder() / "gguf" / f"{name}@{quantisation}-{sha256[:12]}"
    return complete_folder(folder, build, _is_complete) / _FILE


def quantise(source: Path, target: Path, quantisation: str) -> None:
    """Run ``llama-quantize`` from ``source`` to ``target``."""
    command = [str(_program()), "--allow-requantize", str(source), str(target), quantisation]
    result = subprocess.run([*command, str(torch.get_num_threads())], capture_output=True, text=True)
    if result.returncode or not target.exists():
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"llama-quantize could not make {quantisation} of {source}: {reason}")


def _program() -> Path:
    found = find_spec("ik_llama_cpp")
    if found is None or not found.submodule_search_locations:
        raise EngineError(
            f"quantising needs the optional package {PACKAGE}: pip install 'softmax-drift[gguf]'"
        )
    return Path(found.submodule_search_locations[0]) / "bin" / "llama-quantize"


def _is_complete(folder: Path) -> bool:
    try:
        return (folder / _FILE).stat().st_size == int((folder / "size").read_text())
    except (OSError, ValueError):
        return False
