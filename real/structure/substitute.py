"""Put something cheap in the place of what a dropped part gave: a linear map, read and written by hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from real.structure.probe import first_tensor, replace_first_tensor, rows

ATTRIBUTE = "substitutes"  # of a model that carries some; of its configuration: the carriers' names


class SubstituteError(ValueError):
    """A substitute that does not fit the model."""


class Substitute(nn.Module):
    """What the module named ``carrier`` gives from now on, position by position.

    ``bias`` ``(outputs,)`` alone: that vector. With ``weight`` ``(outputs, inputs)``: W x + b, x being what
    the module named ``reader`` is given. ``adds``: not instead of what the carrier gives, y, but on top of
    it: y + W y + b. The tensors are buffers that no checkpoint holds: they move with the model and are part
    of its content, and :func:`real.save` writes them beside the weights.
    """

    bias: Tensor
    weight: Tensor | None

    def __init__(
        self, carrier: str, reader: str, bias: Tensor, weight: Tensor | None = None, adds: bool = False
    ) -> None:
        super().__init__()
        self.carrier, self.reader, self.adds = carrier, reader, adds
        self.register_buffer("bias", bias, persistent=False)
        self.register_buffer("weight", weight, persistent=False)
        self._seen: Tensor | None = None

    def attach(self, model: nn.Module) -> list[Any]:
        """Hooks that make ``model`` compute with it; they go when removed.

        Raises
        ------
        SubstituteError
            The model has no module of that name.
        """
        try:
            carrier, reader = model.get_submodule(self.carrier), model.get_submodule(self.reader)
        except AttributeError as error:
            raise SubstituteError(f"{type(model).__name__} has no module {error}") from None
        reading = [] if self.weight is None or self.adds else [self._see]
        return [
            *(reader.register_forward_pre_hook(see, with_kwargs=True) for see in reading),
            carrier.register_forward_hook(self._give),
        ]

    def _see(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._seen = first_tensor((args, kwargs))

    def _give(self, module: nn.Module, args: Any, output: Any) -> Any:
        own = first_tensor(output)
        assert own is not None
        seen, self._seen = self._seen, None
        return replace_first_tensor(output, self.given(own, own if self.adds else seen))

    def given(self, own: Tensor, seen: Tensor | None) -> Tensor:
        """What the carrier gives instead of ``own``, of the same shape."""
        made = self.bias.to(own).expand(rows(own).shape)
        if self.weight is not None:
            assert seen is not None
            made = made + (rows(seen).to(own.device) @ self.weight.to(own).T)
        return made.reshape(own.shape) + (own if self.adds else 0)


def install(model: nn.Module, substitutes: Iterable[Substitute]) -> None:
    """Let ``model`` carry and compute with substitutes for good."""
    new = list(substitutes)
    for one in new:
        one.attach(model)
    if new:
        own = [*installed(model), *new]
        setattr(model, ATTRIBUTE, nn.ModuleList(own))
        setattr(model.config, ATTRIBUTE, [one.carrier for one in own])


def installed(model: nn.Module) -> list[Substitute]:
    """The substitutes that a model carries."""
    return list(getattr(model, ATTRIBUTE, ()))


@torch.no_grad()
def fold(carrier: nn.Module, weight: Tensor) -> None:
    """Write y + W y into a linear map: its weights and its bias, multiplied with 1 + W from the left.

    Raises
    ------
    SubstituteError
        It is no linear map.
    """
    if not is_linear(carrier):
        raise SubstituteError(f"{type(carrier).__name__} is no linear map")
    own: Any = carrier.weight
    outputs_first = isinstance(carrier, nn.Linear)
    matrix = (own if outputs_first else own.T).double()
    total = torch.eye(len(weight), dtype=torch.float64, device=weight.device) + weight.double()
    made = (total.to(matrix.device) @ matrix).to(own.dtype)
    own.copy_(made if outputs_first else made.T)
    if isinstance(carrier.bias, Tensor):
        carrier.bias.copy_((total.to(matrix.device) @ carrier.bias.double()).to(own.dtype))


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear map with a weight of its own, perhaps GPT-2's transposed one."""
    return isinstance(module, nn.Linear | Conv1D)
