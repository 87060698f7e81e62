"""What counts as a weight to prune: the matrices that multiply activations inside the layers, as they do.

A linear layer's weight is one. Weights of other modules (stacked experts, whatever their layout) are watched
in a pass over a few tokens: the products they take part in say which dimension the inputs run along. Routers,
the gates of norms, convolutions and what takes part in no product are left as they are, and listed as left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from transformers.pytorch_utils import Conv1D

from real.structure.anatomy import Anatomy, Layer
from real.structure.matrices import Matrix, Operand, experts_one_by_one, watch_operands
from real.structure.probe import no_cache, probe_tokens, second_probe


@dataclass(frozen=True)
class Weights:
    """The matrices of each layer in order, and the name and size of every other weight that is no vector."""

    matrices: tuple[tuple[Matrix, ...], ...]
    left: dict[str, int]

    def __iter__(self) -> Iterator[Matrix]:
        return (matrix for layer in self.matrices for matrix in layer)


@torch.no_grad()
def weights(anatomy: Anatomy, only: Collection[int] | None = None) -> Weights:
    """Sort the weights inside the layers, or ``only`` those; what several share belongs to the first."""
    layers = anatomy.need_layers()
    stacked = _observe(anatomy)
    known: set[int] = set()
    left: dict[str, int] = {}
    found: list[tuple[Matrix, ...]] = []
    for layer in layers:
        matrices: list[Matrix] = []
        counts = _expert_counts(layer)
        for path, module, name, parameter in _parameters(layer):
            if id(parameter) in known:
                continue
            known.add(id(parameter))
            if only is not None and layer.index not in only:
                continue
            mine = _matrices(f"{layer.name}.{path}.{name}", module, parameter, stacked.get(id(parameter)))
            if not mine or _is_gate(path, module, mine[0].view.shape[0], counts):
                left[f"{layer.name}.{path}.{name}"] = parameter.numel()
            else:
                matrices += mine
        found.append(tuple(matrices))
    return Weights(tuple(found), left)


def _parameters(layer: Layer) -> Iterator[tuple[str, nn.Module, str, nn.Parameter]]:
    """Path and module, name and parameter of everything inside the layer that is no vector."""
    for path, module in layer.module.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() >= 2:
                yield path, module, name, parameter


def _matrices(name: str, module: nn.Module, parameter: nn.Parameter, seen: Operand | None) -> list[Matrix]:
    """The parameter as matrices (outputs, inputs); none if it does not multiply activations."""
    if isinstance(module, _ConvNd | nn.Embedding) or parameter.dim() > 3:
        return []
    if isinstance(module, nn.Linear):
        return [Matrix(name, parameter)]
    if isinstance(module, Conv1D):
        return [Matrix(name, parameter, transposed=True)]
    if seen is None:
        return []
    rows = parameter.shape[-2] if parameter.dim() == 3 else seen.rows
    count, rest = divmod(parameter.numel(), rows * parameter.shape[-1])
    if rest:
        return []
    if count == 1:
        return [Matrix(name, parameter, transposed=seen.transposed)]
    return [Matrix(f"{name}[{e}]", parameter, e, seen.transposed, count) for e in range(count)]


def _observe(anatomy: Anatomy) -> dict[int, Operand]:
    """How the weights of modules that are no linear maps are multiplied, by the id of the parameter."""
    own: list[Tensor] = [
        parameter
        for layer in anatomy.layers
        for _, module, _, parameter in _parameters(layer)
        if not isinstance(module, nn.Linear | Conv1D | _ConvNd | nn.Embedding)
    ]
    if not own:
        return {}
    model = anatomy.model
    with experts_one_by_one(model), watch_operands(own) as seen:
        for tokens in (probe_tokens(model, 64), second_probe(model)):
            model(input_ids=tokens, **no_cache(model))
    return seen


def _expert_counts(layer: Layer) -> set[int]:
    """Numbers of experts in a layer: of stacked weights, and of modules in a list."""
    stacks = {p.shape[0] for p in layer.module.parameters() if p.dim() == 3}
    return stacks | {len(m) for m in layer.module.modules() if isinstance(m, nn.ModuleList) and len(m) > 1}


def _is_gate(path: str, module: nn.Module, outputs: int, experts: set[int]) -> bool:
    """Whether a weight chooses experts, weighs a branch by one number, or belongs to a norm."""
    words = [*path.lower().split("."), type(module).__name__.lower()]
    if any("router" in word or "norm" in word for word in words):
        return True
    return any("gate" in word for word in words) and outputs in experts | {1}
