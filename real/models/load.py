"""Load a language model: the embedded ones by name, any hub id, any local folder. Safetensors only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from real.models.convert import PROVENANCE, registry_folder
from real.models.registry import CAUSAL, ENCODERS, SOURCES
from real.structure.anatomy import NO_OVERRIDES, Anatomy, Overrides
from real.structure.recognise import examine
from theory.names import UnknownNameError, lookup

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class ModelUnavailableError(OSError):
    """A model that cannot be loaded: not there, not safetensors, or no network."""


@dataclass(frozen=True)
class LanguageModel:
    """A model in evaluation mode with its tokenizer and its parts.

    ``provenance`` says where it came from: name, source, version, sha256, weights, dtype and the library
    versions that loaded it. Put it beside every result. ``anatomy`` is found when none of this model is given
    and stays what it is while the model is pruned for a moment.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    provenance: dict[str, Any]
    anatomy: Anatomy = field(default=None, repr=False, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.anatomy is None or self.anatomy.model is not self.model:
            overrides = NO_OVERRIDES if self.anatomy is None else self.anatomy.overrides
            object.__setattr__(self, "anatomy", examine(self.model, overrides))

    @property
    def device(self) -> torch.device:
        """The device of the input embeddings, where tokens must be sent."""
        weight = self.model.get_input_embeddings().weight
        assert isinstance(weight, torch.Tensor)
        return weight.device

    @property
    def context_length(self) -> int:
        """Longest sequence in tokens that the model's positions were made for."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 2**31))


def load(
    name: str = "smollm2-135m",
    device: str = "cpu",
    dtype: str = "float32",
    overrides: Overrides = NO_OVERRIDES,
) -> LanguageModel:
    """Load a causal language model for inference.

    Parameters
    ----------
    name:
        ``smollm2-135m`` or ``gemma3-270m`` (fetched once, kept in :func:`real.cache_folder`), a hub id
        ``owner/name``, or a local folder that ``save_pretrained`` wrote.
    device:
        A torch device, or ``auto`` to let accelerate spread the layers.
    dtype:
        ``float64``, ``float32``, ``bfloat16`` or ``float16``.
    overrides:
        Names of layers, attention and MLP where they are not found; see :func:`real.anatomy`.

    Raises
    ------
    AnatomyError
        An override names a part that the model does not have.
    UnknownNameError
        ``name`` or ``dtype`` is none of these; the sentence lists the nearest valid names.
    ModelUnavailableError
        The hub cannot be reached or the folder holds no safetensors model.
    """
    return _load(AutoModelForCausalLM, name, device, dtype, overrides, kind="model", names=CAUSAL)


def load_encoder(name: str = "minilm-l6", device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Load a text encoder for retrieval: ``minilm-l6``, a hub id or a local folder; see :func:`load`."""
    return _load(AutoModel, name, device, dtype, NO_OVERRIDES, kind="encoder", names=ENCODERS)


def _load(
    auto: Any,
    name: str,
    device: str,
    dtype: str,
    overrides: Overrides,
    *,
    kind: str,
    names: tuple[str, ...],
) -> LanguageModel:
    torch_dtype = lookup("dtype", dtype, DTYPES)
    place, facts = _locate(name, kind, names)
    where: dict[str, Any] = {"device_map": "auto"} if device == "auto" else {}
    safe: dict[str, Any] = {"trust_remote_code": False}
    with _one_sentence(name), _quiet():
        tokenizer = AutoTokenizer.from_pretrained(place, **safe)
        model = auto.from_pretrained(place, use_safetensors=True, dtype=torch_dtype, **safe, **where)
    model.eval()
    if device != "auto":
        model.to(device)
    provenance = facts | {
        "dtype": dtype,
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    return LanguageModel(model, tokenizer, name, provenance, examine(model, overrides))


def _locate(name: str, kind: str, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return what ``from_pretrained`` takes, and what is known of its origin."""
    if name in names:
        folder = registry_folder(name, SOURCES[name])
        facts = json.loads((folder / PROVENANCE).read_text())
        return str(folder), {key: value for key, value in facts.items() if key != "files"}
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            raise ModelUnavailableError(
                f"folder {name!r} holds no *.safetensors file; only safetensors are loaded"
            )
        return str(folder), {"name": name, "source": str(folder.resolve()), "version": None, "sha256": None}
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return name, {"name": name, "source": f"hub:{name}", "version": None, "sha256": None}
    try:
        lookup(kind, name, dict.fromkeys(names))
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}; or give a hub id owner/name or a local folder") from None
    raise AssertionError("unreachable: a known name was located above")


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Turn the loader's paragraphs into one sentence that keeps their first line."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelUnavailableError(f"cannot load {name!r}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep retry remarks and half-second progress bars off the user's screen; failures still raise."""
    logs: Any = transformers.utils.logging
    logger = logging.getLogger("huggingface_hub")
    before, bars = logger.level, logs.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(before)
        if bars:
            logs.enable_progress_bar()
