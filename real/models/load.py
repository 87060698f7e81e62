"""Load a language model: the embedded ones by name, any hub id, folder, GGUF file or adapter."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from real.models.beside import read_beside
from real.models.checkpoint import (
    ModelUnavailableError,
    language_model,
    one_sentence,
    read_model,
    read_tokenizer,
    refuse_not_finite,
    stored_dtype,
    tokenizer_files,
)
from real.models.checks import Checks, check
from real.models.content import content
from real.models.convert import PROVENANCE, registry_folder
from real.models.devices import AUTO, check_device
from real.models.formats import adapter_base, gguf_file, gguf_folder, merged
from real.models.guard import guarded
from real.models.quantised import stored_format
from real.models.registry import CAUSAL, ENCODERS, SOURCES
from real.structure.anatomy import NO_OVERRIDES, Anatomy, Overrides
from real.structure.matrices import one_expert_at_a_time
from real.structure.recognise import examine
from theory.files import expanded
from theory.names import UnknownNameError, lookup

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


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

    @cached_property
    def checks(self) -> Checks:
        """What the model may be trusted with (padding, caches); :func:`load` remembers it by content."""
        return check(self.model)

    @property
    def content(self) -> dict[str, str]:
        """Hashes of weights, configuration and tokenizer as they are now; see :mod:`real.models.content`."""
        return content(self.model, self.tokenizer)


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
        ``owner/name``, a local folder that ``save_pretrained`` wrote, a ``*.gguf`` file (its dequantised
        weights; :func:`real.engines.open_engine` runs its own kernels), or a folder with a PEFT adapter,
        which is merged into the base model that it names. Weights that a library stores as codes (torchao,
        bitsandbytes, compressed-tensors) are dequantised if it is there; models that also read pictures are
        their text side.
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
        The hub cannot be reached, the folder holds no safetensors model, or what it holds is not whole, not
        finite or not causal; the sentence names the tensor. What stands in for dropped parts and lies beside
        the weights (:mod:`real.models.beside`) does not fit.
    DeviceError
        The device is not there.
    """
    model, tokenizer, facts = _read(AutoModelForCausalLM, name, device, dtype, kind="model", names=CAUSAL)
    checks, found = guarded(model, tokenizer, name)
    lm = LanguageModel(model, tokenizer, name, facts | found, examine(model, overrides))
    vars(lm)["checks"] = checks  # known already
    return lm


def from_memory(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str = "model in memory",
    overrides: Overrides = NO_OVERRIDES,
) -> LanguageModel:
    """A model that is loaded already, set to evaluation mode and checked as :func:`load` checks.

    Raises
    ------
    AnatomyError, ModelUnavailableError
        As :func:`load`.

    Example
    -------
    >>> lm = from_memory(model, tokenizer)  # doctest: +SKIP
    >>> real.forecast_scores(lm, ["int8"], ["sciq"])  # doctest: +SKIP
    """
    model.train(False)
    checks, found = guarded(model, tokenizer, name)
    facts = {"name": name, "source": "memory", "dtype": str(model.dtype)[6:]}
    lm = LanguageModel(model, tokenizer, name, facts | found, examine(model, overrides))
    vars(lm)["checks"] = checks  # known already
    return lm


AnyModel: TypeAlias = str | LanguageModel | tuple[PreTrainedModel, PreTrainedTokenizerBase]
"""What a function takes as a model: a name or folder, a loaded one, a transformers model and tokenizer."""


def loaded(model: AnyModel) -> LanguageModel:
    """The loaded model of any of them; errors as of :func:`load` and :func:`from_memory`."""
    if isinstance(model, tuple):
        return from_memory(*model)
    return load(model) if isinstance(model, str) else model


def load_encoder(name: str = "minilm-l6", device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Load a text encoder for retrieval: ``minilm-l6``, a hub id or a local folder; see :func:`load`."""
    model, tokenizer, facts = _read(AutoModel, name, device, dtype, kind="encoder", names=ENCODERS)
    return LanguageModel(model, tokenizer, name, facts | {"content": content(model, tokenizer)})


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of what :func:`load` takes, without the model."""
    place, _ = _locate(name, "model", CAUSAL)
    return read_tokenizer(place, name)


def _read(
    auto: Any, name: str, device: str, dtype: str, *, kind: str, names: tuple[str, ...]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, Any]]:
    torch_dtype = lookup("dtype", dtype, DTYPES)
    check_device(device)
    place, facts = _locate(name, kind, names)
    if (base := adapter_base(Path(place), name)) is not None:
        return _read_adapter(auto, Path(place), base, facts, device, dtype, kind=kind, names=names)
    where: dict[str, Any] = {"device_map": AUTO} if device == AUTO else {}
    tokenizer = read_tokenizer(place, name)
    with one_sentence(name):
        auto = language_model(auto, place)
    model = read_model(auto, place, name, dtype=torch_dtype, **where)
    read_beside(model, place, name)
    if torch_dtype == torch.float64:
        one_expert_at_a_time(model)
    if device != AUTO:
        model.to(device)  # type: ignore[arg-type]
    versions = {"torch": version("torch"), "transformers": version("transformers")}
    types = {"dtype": dtype, "stored dtype": stored_dtype(place), "device": device}
    if (method := stored_format(place)) is not None:
        types["weights"] = f"dequantised from {method}"
    return model, tokenizer, facts | types | versions


def _read_adapter(
    auto: Any, folder: Path, base: str, facts: dict[str, Any], device: str, dtype: str, **what: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, Any]]:
    name = str(facts["name"])
    if expanded(base).is_dir() and expanded(base).samefile(folder):
        raise ModelUnavailableError(f"{name!r} holds an adapter that names itself as its base model")
    model, tokenizer, below = _read(auto, base, device, dtype, **what)
    model = merged(model, folder, name)
    refuse_not_finite(model, name)
    if tokenizer_files(folder):
        tokenizer = read_tokenizer(str(folder), name)
    return model, tokenizer, below | facts | {"base": base, "weights": "base model with its adapter merged"}


def _locate(name: str, kind: str, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return what ``from_pretrained`` takes, and what is known of its origin."""
    if name in names:
        folder = registry_folder(name, SOURCES[name])
        facts = json.loads((folder / PROVENANCE).read_text())
        return str(folder), {key: value for key, value in facts.items() if key != "files"}
    folder = expanded(name)
    if (gguf := gguf_file(name)) is not None:
        made = gguf_folder(gguf)
        facts = json.loads((made / PROVENANCE).read_text())
        return str(made), {"name": name} | {key: facts[key] for key in facts if key != "files"}
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
