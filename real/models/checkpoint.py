"""From a folder or hub id to a tokenizer and a model that holds exactly what the files hold.

The library draws at random what a checkpoint lacks and leaves out what it does not know; here either is one
sentence that names the tensor. Nothing is unpickled and no code of a checkpoint runs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)
from transformers.utils.peft_utils import find_adapter_config_file

from real.models.quantised import WAY_ROUND, QuantisedError, plain_weights, reading, stored_format
from theory.terminal.console import say

_SAFE = {"trust_remote_code": False}
_LANGUAGE_MODELS = ("CausalLM", "LMHead", "ForConditionalGeneration", "LM")
_LONGEST = 400  # characters of a library's explanation


class ModelUnavailableError(OSError):
    """A model that cannot be loaded: not there, not safetensors, not whole, not a language model."""


def read_tokenizer(place: str, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id."""
    with one_sentence(name), quiet():
        if Path(place).is_dir() and not tokenizer_files(Path(place)):
            raise ModelUnavailableError(
                f"folder {name!r} holds no tokenizer (tokenizer.json, tokenizer_config.json)"
            )
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(place, **_SAFE)
    return tokenizer


def stored_dtype(place: str) -> str | None:
    """Type of the weights by the configuration that lies beside them, for example ``"bfloat16"``."""
    facts, _ = PretrainedConfig.get_config_dict(place)
    dtype = facts.get("dtype") or facts.get("torch_dtype")
    return None if dtype is None else str(dtype).removeprefix("torch.")


def tokenizer_files(folder: Path) -> list[Path]:
    """Files of a folder that hold a tokenizer."""
    patterns = ("tokenizer*", "vocab*", "merges*", "*.model", "*.tiktoken", "spiece*", "tekken*")
    return [path for pattern in patterns for path in folder.glob(pattern)]


def read_model(auto: Any, place: str, name: str, **how: Any) -> PreTrainedModel:
    """The model of a folder or hub id, in evaluation mode.

    Raises
    ------
    ModelUnavailableError
        It cannot be read; a tensor is missing, has another shape than the configuration says, is not finite,
        or belongs to a part that the configuration does not describe; the folder holds an adapter.
    """
    with one_sentence(name), quiet(), torch.random.fork_rng(devices=[]):
        _refuse_adapter(place, name)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        model, info = _from_pretrained(auto, place, name, how)
        drew = not torch.equal(before, torch.get_rng_state())
        refuse_incomplete(model, info, name)
        model = _plain(model, place, name)
        if drew:  # the library drew something, perhaps only to overwrite it
            torch.manual_seed(1)
            _refuse_difference(model, _plain(_from_pretrained(auto, place, name, how)[0], place, name), name)
        refuse_not_finite(model, name)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _from_pretrained(
    auto: Any, place: str, name: str, how: Mapping[str, Any]
) -> tuple[PreTrainedModel, dict[str, Any]]:
    try:
        read: tuple[PreTrainedModel, dict[str, Any]] = auto.from_pretrained(
            place,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **how,
            **reading(place),
            **_SAFE,
        )
    except Exception as error:
        if (method := stored_format(place)) is None:
            raise
        reason = _short(error)
        raise ModelUnavailableError(
            f"{name!r} is stored quantised by {method}, which cannot be read here ({reason}): {WAY_ROUND}"
        ) from error
    return read


def _plain(model: PreTrainedModel, place: str, name: str) -> PreTrainedModel:
    try:
        return plain_weights(model, place, name)
    except QuantisedError as error:
        raise ModelUnavailableError(f"{name!r} is stored quantised and {error}: {WAY_ROUND}") from error


def language_model(auto: Any, place: str) -> Any:
    """``auto``, or the class of models that read pictures too, whose text side is a language model."""
    if auto is not AutoModelForCausalLM:
        return auto
    config = AutoConfig.from_pretrained(place, **_SAFE)
    alone, beside = (
        type(config) in MODEL_FOR_CAUSAL_LM_MAPPING,
        type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )
    return AutoModelForImageTextToText if beside and not alone else auto


def _refuse_adapter(place: str, name: str) -> None:
    if find_adapter_config_file(place) is not None:
        raise ModelUnavailableError(
            f"{name!r} holds a PEFT adapter (adapter_config.json), whose base model alone would be another "
            "model; put it into a local folder, where it is merged"
        )


def refuse_incomplete(model: PreTrainedModel, info: Mapping[str, Any], name: str) -> None:
    """Raise for tensors that are missing, misshapen or without a place; say which parts are left out."""
    for tensor, stored, wanted in sorted(info["mismatched_keys"]):
        raise ModelUnavailableError(
            f"{name!r}: {tensor} has shape {tuple(stored)} in the file, {tuple(wanted)} by the configuration"
        )
    missing = sorted(key for key in info["missing_keys"] if not _never_asked(model, key))
    unused = sorted(info["unexpected_keys"])
    if missing:
        raise ModelUnavailableError(
            f"{name!r} lacks {_counted(missing)}, which would be random numbers{_instead(model, unused)}"
        )
    lost = [key for key in unused if _has_place(model, key)]
    if lost:
        raise ModelUnavailableError(
            f"{name!r} holds {_counted(lost)}, which its configuration does not describe: "
            f"{type(model).__name__} would compute without"
        )
    if unused and not _is_encoder(model) and (head := _other_head(model)):
        raise ModelUnavailableError(f"{name!r} is a {head} (with {_counted(unused)}), not a language model")
    if unused and not _is_encoder(model):
        say(f"{name}: {_counted(unused)} in the files, no part of {type(model).__name__}, not read")


def _is_encoder(model: Any) -> bool:
    return model.get_output_embeddings() is None


def _never_asked(model: nn.Module, key: str) -> bool:
    """Whether no vector or logit of ours depends on a tensor: an encoder's pooler."""
    return "pooler" in key and _is_encoder(model)


def _counted(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more tensors"


def _instead(model: PreTrainedModel, unused: list[str]) -> str:
    head = _other_head(model)
    if head:
        return f" (it is a {head}, not a language model)"
    return f" (it holds {_counted(unused)} instead)" if unused else ""


def _other_head(model: PreTrainedModel) -> str | None:
    """Class that wrote the checkpoint, if that was no language model: a classifier, a reward model."""
    written: list[str] = model.config.architectures or []
    other = [name for name in written if "For" in name and not any(part in name for part in _LANGUAGE_MODELS)]
    return other[0] if other else None


def _has_place(model: nn.Module, key: str) -> bool:
    """Whether a tensor belongs inside a module that the model has: a bias, a scale, one more layer.

    Whole other parts (a vision tower, heads for several tokens) do not.
    """
    modules = dict(model.named_modules())
    parts = key.split(".")[:-1]
    if ".".join(parts) in modules:
        return bool(parts)
    depth = next(i for i in range(len(parts), -1, -1) if not i or ".".join(parts[:i]) in modules)
    owner = modules[".".join(parts[:depth])]
    if isinstance(owner, nn.ModuleList):
        return True
    return any(isinstance(modules[".".join(parts[:i])], nn.ModuleList) for i in range(1, depth))


def _refuse_difference(model: nn.Module, again: nn.Module, name: str) -> None:
    """Raise if two readings of the same files differ: what differs was drawn."""
    other = dict(again.named_parameters())
    for key, parameter in model.named_parameters():
        if not torch.equal(parameter, other[key]) and not _never_asked(model, key):
            raise ModelUnavailableError(f"{name!r} lacks {key}, which would be random numbers")


def refuse_not_finite(model: nn.Module, name: str) -> None:
    """Raise and name the first parameter with NaN or infinity, or with packed codes."""
    for key, parameter in model.named_parameters():
        if type(parameter.data) is not torch.Tensor:
            kind = type(parameter.data).__name__
            raise ModelUnavailableError(
                f"{name!r} stores {key} quantised ({kind}); load the checkpoint that it was made from"
            )
        if parameter.is_meta or not parameter.numel() or not parameter.is_floating_point():
            continue
        low, high = torch.aminmax(parameter.detach())  # one pass, no copy; NaN comes through
        if not (low.isfinite() and high.isfinite()):
            raise ModelUnavailableError(
                f"{name!r}: {key} holds numbers that are not finite in {str(parameter.dtype)[6:]}"
            )


@contextmanager
def one_sentence(name: str, kind: str = "") -> Iterator[None]:
    """Turn whatever the loaders raise about foreign files into one sentence; ``kind`` is what they read."""
    try:
        yield
    except ModelUnavailableError:
        raise
    except Exception as error:  # truncated files, unknown architectures, packages that are not there
        read_as = f" as a {kind}" if kind else ""
        raise ModelUnavailableError(f"cannot load {name!r}{read_as}: {_short(error)}") from error


def _short(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _LONGEST else words[:_LONGEST] + " …"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep remarks, load reports and half-second progress bars off the user's screen; failures raise."""
    logs: Any = transformers.utils.logging
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "transformers")]
    before, bars = [logger.level for logger in loggers], logs.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    logs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You passed `quantization_config`")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
        if bars:
            logs.enable_progress_bar()
