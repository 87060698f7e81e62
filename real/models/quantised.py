"""Checkpoints whose weights are stored as codes of a quantisation library: plain numbers are made of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CompressedTensorsConfig, FineGrainedFP8Config, PretrainedConfig, PreTrainedModel

from real.structure.probe import no_cache, probe_tokens
from theory.terminal.console import say

_TOKENS = 16
_WRONG = 0.5  # nats per token between a library's kernels and the weights that it says it stores
_COMPRESSED = "compressed-tensors"
_READ_PLAIN: dict[str, Any] = {"fp8": FineGrainedFP8Config, _COMPRESSED: CompressedTensorsConfig}
WAY_ROUND = (
    "load the checkpoint that it was made from or a GGUF file of it, or serve it and name the server's "
    "address (real record, real forecast, real evaluate)"
)


class QuantisedError(OSError):
    """Codes that cannot be turned into plain weights; the message does not name the model."""


def stored_format(place: str) -> str | None:
    """How weights are stored by the configuration (``"torchao"``, ``"gptq"``), None if plainly."""
    facts, _ = PretrainedConfig.get_config_dict(place)
    found = facts.get("quantization_config") or facts.get("compression_config")
    return None if found is None else str(found.get("quant_method", "of unknown kind"))


def reading(place: str) -> dict[str, Any]:
    """What ``from_pretrained`` is told so that a library reads its codes as plain weights, where it can.

    Raises
    ------
    QuantisedError
        The library is not installed.
    """
    method = stored_format(place) or ""
    config = _READ_PLAIN.get(method)
    if method == _COMPRESSED and find_spec("compressed_tensors") is None:
        raise QuantisedError(f"it needs an optional package: pip install 'softmax-drift[{_COMPRESSED}]'")
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def plain_weights(model: PreTrainedModel, place: str, name: str) -> PreTrainedModel:
    """The model with ordinary linear maps whose weights are what the codes stand for.

    A library that also rounds activations computes something else; how much is measured on a few tokens and
    said.

    Raises
    ------
    QuantisedError
        The library does not say what its codes stand for, or its kernels compute something else.
    """
    if reading(place) and all(_plain(value) for value in model.parameters()):
        say(f"{name}: weights of {stored_format(place)} are dequantised; its own kernels do not run here")
        return _unmarked(model)
    quantiser: Any = getattr(model, "hf_quantizer", None)
    if quantiser is None:
        return model
    method = str(getattr(quantiser.quantization_config.quant_method, "value", "of unknown kind"))
    try:
        before = _laws(model)
        if not _dequantise(model):
            model = model.dequantize()  # type: ignore[no-untyped-call]
        after = _laws(model)
    except Exception as error:  # kernels that are not for this machine, formats that go one way only
        raise QuantisedError(f"{method} does not give plain weights ({type(error).__name__})") from error
    if not all(_plain(value) for value in model.parameters()):
        raise QuantisedError(f"{method} does not give plain weights")
    moved = float((before.exp() * (before - after)).sum(-1).mean())
    if not moved <= _WRONG:
        raise QuantisedError(f"the weights that {method} gives compute other text than its kernels do")
    say(f"{name}: weights of {method} are dequantised; its own kernels are {moved:.2g} nats per token away")
    return _unmarked(model)


def _unmarked(model: PreTrainedModel) -> PreTrainedModel:
    """It calls itself quantised and would be saved as codes, although its weights are plain."""
    model.hf_quantizer = None  # type: ignore[assignment]
    model._weight_conversions = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def _dequantise(model: nn.Module) -> bool:
    """Replace tensors that know what they stand for; False if there are none."""
    found = False
    for module in model.modules():
        for key, value in list(module.named_parameters(recurse=False)):
            if type(value.data) is not Tensor:
                weight: Any = value.data
                setattr(module, key, nn.Parameter(weight.dequantize().to(value.dtype), requires_grad=False))
                found = True
    return found


def _plain(value: nn.Parameter) -> bool:
    return type(value.data) is Tensor and value.is_floating_point()


@torch.no_grad()
def _laws(model: PreTrainedModel) -> Tensor:
    return torch.log_softmax(
        model(input_ids=probe_tokens(model, _TOKENS), **no_cache(model)).logits.double(), -1
    )
