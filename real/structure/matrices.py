"""The weight matrices that sparsification and quantisation act on, and the products they take part in.

A matrix is always seen as ``(outputs, inputs)``: a view of a linear layer's weight, of GPT-2's transposed
one, or of one expert's slice of a mixture. Embeddings, head, norms and routers are not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from transformers.pytorch_utils import Conv1D

from real.structure.anatomy import Anatomy, Layer


@dataclass(frozen=True, eq=False)
class Matrix:
    """One prunable matrix; ``view`` writes through to ``parameter``."""

    name: str
    parameter: Tensor
    expert: int | None = None
    transposed: bool = False

    @property
    def view(self) -> Tensor:
        """``(outputs, inputs)``."""
        weight = self.parameter.detach()  # not .data: writes must show in the parameter's version counter
        weight = weight if self.expert is None else weight[self.expert]
        return weight.T if self.transposed else weight


def layer_matrices(layer: Layer) -> list[Matrix]:
    """All prunable matrices of one layer."""
    found: list[Matrix] = []
    for name, module in layer.module.named_modules():
        path = f"{layer.name}.{name}"
        if isinstance(module, nn.Linear):
            found.append(Matrix(f"{path}.weight", module.weight))
        elif isinstance(module, Conv1D):
            found.append(Matrix(f"{path}.weight", module.weight, transposed=True))
        elif not isinstance(module, _ConvNd):
            turned = bool(getattr(module, "is_transposed", False))
            stacks = [(n, p) for n, p in module.named_parameters(recurse=False) if p.dim() == 3]
            found += [Matrix(f"{path}.{n}[{e}]", p, e, turned) for n, p in stacks for e in range(p.shape[0])]
    return found


def all_matrices(anatomy: Anatomy) -> list[Matrix]:
    """All prunable matrices of all layers."""
    return [matrix for layer in anatomy.layers for matrix in layer_matrices(layer)]


class _Products(TorchFunctionMode):
    """Calls ``seen(matrix, inputs)`` for every product of activations with one of ``matrices``."""

    def __init__(self, matrices: list[Matrix], seen: Callable[[Matrix, Tensor], None]) -> None:
        super().__init__()
        self._at = {matrix.view.data_ptr(): matrix for matrix in matrices}
        self._seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Activations and weight are neighbours: linear(x, W), x @ W.T, addmm(bias, x, W).
        if func in _MATRIX_PRODUCTS and len(args) >= 2:
            inputs, weight = args[1:3] if func in _ADDING_PRODUCTS else args[:2]
            matrix = self._at.get(weight.data_ptr()) if isinstance(weight, Tensor) else None
            if matrix is not None:
                self._seen(matrix, inputs)
        return func(*args, **(kwargs or {}))


_ADDING_PRODUCTS = {torch.addmm, torch.baddbmm}
_MATRIX_PRODUCTS = _ADDING_PRODUCTS | {
    torch.nn.functional.linear,
    torch.matmul,
    torch.mm,
    Tensor.matmul,
    Tensor.__matmul__,
    Tensor.mm,
}


@contextmanager
def watch_products(matrices: list[Matrix], seen: Callable[[Matrix, Tensor], None]) -> Iterator[None]:
    """Inside, every product of activations ``(..., inputs)`` with one of ``matrices`` is reported."""
    with _Products(matrices, seen):
        yield


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
