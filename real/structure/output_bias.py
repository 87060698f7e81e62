"""A bias of a module's output as an ordinary parameter, where the architecture has a place for one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from real.structure.probe import FAILURES


def make_place_for_bias(model: PreTrainedModel, name: str) -> bool:
    """Let the module ``name`` have a bias, zeros where it is new; False where no checkpoint could hold it.

    Settings of the configuration whose name speaks of a bias are tried in turn: one that adds biases to the
    model, that one among them, and changes nothing else, is set (``attention_bias``, ``mlp_bias`` …).
    """
    if isinstance(getattr(model.get_submodule(name), "bias", None), nn.Parameter):
        return True
    config: Any = model.config.get_text_config()
    for setting, value in list(vars(config).items()):
        if value is False and "bias" in setting:
            new = _new_with(model, setting)
            if f"{name}.bias" in new and all(key.endswith(".bias") for key in new):
                setattr(config, setting, True)
                for key, shape in new.items():
                    _add_zeros(model.get_submodule(key.removesuffix(".bias")), shape)
                return True
    return False


def _new_with(model: PreTrainedModel, setting: str) -> dict[str, torch.Size]:
    """Names and shapes of the tensors that the model would have besides, were the setting true."""
    try:
        config = type(model.config).from_dict(model.config.to_dict())
        setattr(config.get_text_config(), setting, True)
        with torch.device("meta"):
            twin = type(model)(config)
    except FAILURES:
        return {}
    have, would = model.state_dict().keys(), twin.state_dict()
    return {} if have - would.keys() else {key: would[key].shape for key in would.keys() - have}


def _add_zeros(module: nn.Module, shape: torch.Size) -> None:
    weight: Any = module.weight
    bias = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
    module.register_parameter("bias", nn.Parameter(bias, requires_grad=weight.requires_grad))
