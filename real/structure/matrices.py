"""Weight matrices as they multiply activations, and how to watch the products they take part in.

A matrix is always seen as ``(outputs, inputs)``: a view of a linear layer's weight, of GPT-2's transposed
one, or of one expert's part of a mixture. :mod:`real.structure.weights` says which there are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, eq=False)
class Matrix:
    """One prunable matrix; ``view`` writes through to ``parameter``, which may hold ``experts`` of them."""

    name: str
    parameter: Tensor
    expert: int | None = None
    transposed: bool = False
    experts: int = 1

    @property
    def view(self) -> Tensor:
        """``(outputs, inputs)``."""
        weight = self.parameter.detach()  # not .data: writes must show in the parameter's version counter
        if self.expert is not None:
            weight = weight.view(self.experts, -1, weight.shape[-1])[self.expert]
        return weight.T if self.transposed else weight


@dataclass(frozen=True)
class Operand:
    """How a parameter is multiplied: in pieces of so many rows, inputs along its last dimension or not."""

    rows: int
    transposed: bool


_ADDING_PRODUCTS = {torch.addmm, torch.baddbmm, Tensor.addmm, Tensor.baddbmm}
_MATRIX_PRODUCTS = _ADDING_PRODUCTS | {
    torch.nn.functional.linear,
    torch.matmul,
    torch.mm,
    torch.bmm,
    Tensor.matmul,
    Tensor.__matmul__,
    Tensor.mm,
    Tensor.bmm,
}


class _Watched(TorchFunctionMode):
    """Calls ``seen(function, activations, weight)`` for every product of two tensors."""

    def __init__(self, seen: Callable[[Any, Tensor, Tensor], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Activations and weight are neighbours: linear(x, W), x @ W.T, addmm(bias, x, W).
        if func in _MATRIX_PRODUCTS:
            pair = args[1:3] if func in _ADDING_PRODUCTS else args[:2]
            if len(pair) == 2 and all(isinstance(item, Tensor) for item in pair):
                self._seen(func, *pair)
        return func(*args, **(kwargs or {}))


@contextmanager
def watch_products(matrices: Sequence[Matrix], seen: Callable[[Matrix, Tensor], None]) -> Iterator[None]:
    """Inside, every product of activations ``(..., inputs)`` with one of ``matrices`` is reported."""
    at = {matrix.view.data_ptr(): matrix for matrix in matrices}

    def look(func: Any, inputs: Tensor, weight: Tensor) -> None:
        # A batched product takes each expert's activations with its own matrix.
        batched = weight.dim() == 3 and inputs.dim() == 3 and len(inputs) == len(weight)
        for one, other in zip(inputs, weight, strict=True) if batched else [(inputs, weight)]:
            matrix = at.get(other.data_ptr())
            if matrix is not None and one.shape[-1] == matrix.view.shape[1]:
                seen(matrix, one)

    with _Watched(look):
        yield


@contextmanager
def watch_operands(parameters: Sequence[Tensor]) -> Iterator[dict[int, Operand]]:
    """Inside, find out how each parameter is multiplied; by the id of the parameter."""
    found: dict[int, Operand] = {}
    ordered = sorted(parameters, key=Tensor.data_ptr)
    starts = [parameter.data_ptr() for parameter in ordered]

    def look(func: Any, inputs: Tensor, weight: Tensor) -> None:
        place = bisect_right(starts, weight.data_ptr()) - 1
        if place < 0 or weight.dim() < 2:
            return
        parameter = ordered[place]
        if weight.data_ptr() >= starts[place] + parameter.numel() * parameter.element_size():
            return
        outputs_first = func is torch.nn.functional.linear
        along = weight.stride(-1 if outputs_first else -2)
        across = weight.stride(-2 if outputs_first else -1)
        if {along, across} == {parameter.stride(-1), parameter.stride(-2)}:
            transposed = along == parameter.stride(-2)
            rows = weight.shape[-1 if outputs_first == transposed else -2]
            found[id(parameter)] = Operand(rows, transposed)

    with _Watched(look):
        yield found


@contextmanager
def experts_one_by_one(model: nn.Module) -> Iterator[None]:
    """Inside, a mixture multiplies by one expert's matrix at a time, so that each product can be watched."""
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    before = getattr(config, "_experts_implementation", None)
    if before is None:
        yield
        return
    config._experts_implementation = "eager"
    try:
        yield
    finally:
        config._experts_implementation = before


def one_expert_at_a_time(model: nn.Module) -> None:
    """For good: grouped products of several experts exist in no more than single precision."""
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    if getattr(config, "_experts_implementation", None) is not None:
        config._experts_implementation = "eager"
