"""From a name to an engine."""

from __future__ import annotations

from pathlib import Path

from real.engines.engine import Engine
from real.engines.names import is_served, needs_engine
from real.models.registry import SOURCES


def open_engine(
    name: str, device: str = "cpu", dtype: str = "float32", tokenizer: str | None = None
) -> Engine:
    """The engine that runs ``name``.

    A ``*.gguf`` file, or a registry model at a quantisation made once in the cache (``smollm2-135m@Q4_K_M``;
    ``smollm2-135m@gguf`` is the file as shipped), runs in llama.cpp with its own kernels. An address
    ``http://HOST:PORT/v1#model`` is asked over HTTP; ``tokenizer`` (anything :func:`real.load` takes) reads
    prompts for a server that does not. Anything else is what :func:`real.load` takes, and runs in
    transformers.

    Raises
    ------
    EngineError
        The engine's optional package is absent, it cannot read the file, or a server cannot be used.
    FileNotFoundError
        There is no such GGUF file.
    """
    if is_served(name):
        from real.engines.served import ServedEngine
        from real.models.load import load_tokenizer

        return ServedEngine(name, None if tokenizer is None else load_tokenizer(tokenizer))
    if needs_engine(name):
        from real.engines.gguf_file import GgufEngine
        from real.engines.quantise import registry_gguf

        model, _, quantisation = name.partition("@")
        path = registry_gguf(model, quantisation) if model in SOURCES else Path(name).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {name}")
        return GgufEngine(path, name)
    from real.engines.hugging_face import HuggingFaceEngine
    from real.models.load import load

    return HuggingFaceEngine(load(name, device, dtype))
