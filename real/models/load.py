"""Load a language model: the embedded ones by name, any hub id, any local folder. Safetensors only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from real.cache import cache_folder, content_key, read_record, write_record
from real.models.checkpoint import ModelUnavailableError, one_sentence, read_model, read_tokenizer
from real.models.checks import Checks, check, first_unsound
from real.models.content import content
from real.models.convert import PROVENANCE, registry_folder
from real.models.devices import AUTO, check_device
from real.models.registry import CAUSAL, ENCODERS, SOURCES
from real.models.settings import shipped_settings
from theory.fingerprint import fingerprint
from theory.names import UnknownNameError, lookup

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class LanguageModel:
    """A model in evaluation mode with its tokenizer.

    ``provenance`` says where it came from: name, source, version, sha256, weights, dtype and the library
    versions that loaded it. Put it beside every result.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    provenance: dict[str, Any]

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


def load(name: str = "smollm2-135m", device: str = "cpu", dtype: str = "float32") -> LanguageModel:
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

    Raises
    ------
    UnknownNameError
        ``name`` or ``dtype`` is none of these; the sentence lists the nearest valid names.
    ModelUnavailableError
        The hub cannot be reached, the folder holds no safetensors model, or what it holds is not whole, not
        finite or not causal; the sentence names the tensor.
    DeviceError
        The device is not there.
    """
    lm = _load(AutoModelForCausalLM, name, device, dtype, kind="model", names=CAUSAL)
    with one_sentence(name):
        vars(lm)["checks"] = remembered_checks(lm)
    refuse_untrusted(lm)
    lm.provenance["checked"] = asdict(lm.checks)
    lm.provenance["content"] = lm.content
    lm.provenance["settings left out"] = shipped_settings(lm.model)
    return lm


def load_encoder(name: str = "minilm-l6", device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Load a text encoder for retrieval: ``minilm-l6``, a hub id or a local folder; see :func:`load`."""
    return _load(AutoModel, name, device, dtype, kind="encoder", names=ENCODERS)


def _load(
    auto: Any, name: str, device: str, dtype: str, *, kind: str, names: tuple[str, ...]
) -> LanguageModel:
    torch_dtype = lookup("dtype", dtype, DTYPES)
    check_device(device)
    place, facts = _locate(name, kind, names)
    where: dict[str, Any] = {"device_map": AUTO} if device == AUTO else {}
    tokenizer = read_tokenizer(place, name)
    model = read_model(auto, place, name, dtype=torch_dtype, **where)
    if device != AUTO:
        model.to(device)  # type: ignore[arg-type]
    provenance = facts | {
        "dtype": dtype,
        "device": device,
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    return LanguageModel(model, tokenizer, name, provenance)


def remembered_checks(lm: LanguageModel) -> Checks:
    """What :func:`check` finds, or found for the same content, code and libraries on a like device."""
    facts = [lm.content, fingerprint("real.models.checks"), version("torch"), version("transformers")]
    known = cache_folder() / "checks" / f"{content_key([*facts, lm.device.type])}.json"
    record = read_record(known)
    if record is None:
        record = asdict(check(lm.model))
        write_record(known, record)
    return Checks(**record)


def refuse_untrusted(lm: LanguageModel) -> None:
    """Raise if the model gives no numbers or reads what is not there yet."""
    found = lm.checks
    if not found.sound:
        raise ModelUnavailableError(
            f"{lm.name}: the numbers are not finite from {first_unsound(lm.model)} on in {lm.model.dtype}; "
            "where float16 overflows, bfloat16 or float32 does not"
        )
    if not found.causal:
        raise ModelUnavailableError(
            f"{lm.name} is not causal: tokens that come later change the logits of "
            f"{type(lm.model).__name__} before them, so it cannot write text"
        )


def _locate(name: str, kind: str, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return what ``from_pretrained`` takes, and what is known of its origin."""
    if name in names:
        folder = registry_folder(name, SOURCES[name])
        facts = json.loads((folder / PROVENANCE).read_text())
        return str(folder), {key: value for key, value in facts.items() if key != "files"}
    folder = expanded(name)
    if name.lower().endswith(".gguf") or _only_gguf(folder):
        raise ModelUnavailableError(f"{name!r}: GGUF files are not loaded; convert it to safetensors first")
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


def expanded(name: str) -> Path:
    """The path that ``name`` would be, with ``~`` for a home that exists."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~nobody
        return Path(name)


def _only_gguf(folder: Path) -> bool:
    return folder.is_dir() and not list(folder.glob("*.safetensors")) and bool(list(folder.glob("*.gguf")))
