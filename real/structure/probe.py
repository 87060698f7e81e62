"""Watch a forward pass from outside: what every submodule was given and gave, and which ones mix positions.

Nothing here knows a class name. Tensors are compared as matrices (rows = positions, columns = features),
because some decoder layers flatten the batch on the way (OPT, mixtures of experts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

PROBE_LENGTH = 6

Hook = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One call of one module: the floating tensors it received and the first it returned, as matrices."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    output: Tensor | None

    def takes(self, point: Tensor) -> bool:
        """Whether the first tensor argument is exactly ``point``."""
        return bool(self.inputs) and same(self.inputs[0], point)


def first_tensor(value: Any) -> Tensor | None:
    """First floating tensor inside a module's output (tensor, tuple, ModelOutput), or None."""
    return next(floating_tensors(value), None)


def floating_tensors(value: Any) -> Iterator[Tensor]:
    """All floating tensors inside nested tuples, lists and mappings, in order."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from floating_tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from floating_tensors(item)


def replace_first_tensor(value: Any, tensor: Tensor) -> Any:
    """``value`` (a module's output) with its leading tensor replaced."""
    if isinstance(value, Tensor):
        return tensor
    if isinstance(value, tuple):
        return (tensor, *value[1:])
    raise TypeError(f"cannot replace the hidden state inside a module output of type {type(value).__name__}")


def replace_input(args: tuple[Any, ...], kwargs: dict[str, Any], tensor: Tensor) -> tuple[Any, Any]:
    """A module's arguments with their first floating tensor replaced."""
    old = first_tensor((args, kwargs))
    return (
        tuple(tensor if item is old else item for item in args),
        {key: tensor if item is old else item for key, item in kwargs.items()},
    )


def rows(tensor: Tensor) -> Tensor:
    """``tensor`` as a matrix ``(positions, features)``."""
    matrix: Tensor = tensor.reshape(-1, tensor.shape[-1]) if tensor.dim() else tensor.reshape(1, 1)
    return matrix


def same(one: Tensor, other: Tensor) -> bool:
    """Equality of two tensors as matrices, to the last bit, wherever they live."""
    return one.numel() == other.numel() and torch.equal(rows(one), rows(other).to(one.device))


@contextmanager
def hooks(handles: Iterable[Any]) -> Iterator[None]:
    """Keep hooks for the length of a block; remove them whatever happens."""
    kept = list(handles)
    try:
        yield
    finally:
        for handle in kept:
            handle.remove()


@contextmanager
def forwards_replaced(replacements: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Inside, calling a module runs its replacement, hooks as ever; afterwards its own ``forward`` again."""
    before = {module: module.__dict__.get("forward") for module in replacements}
    for module, replacement in replacements.items():
        module.__dict__["forward"] = replacement
    try:
        yield
    finally:
        for module, wrapper in before.items():
            if wrapper is None:
                del module.__dict__["forward"]
            else:  # that accelerate put there
                module.__dict__["forward"] = wrapper


def zero_output(module: nn.Module, args: Any, output: Any) -> Any:
    """Forward hook: the module adds nothing."""
    tensor = first_tensor(output)
    if tensor is None:
        raise TypeError(f"{type(module).__name__} returned no floating tensor to set to zero")
    return replace_first_tensor(output, torch.zeros_like(tensor))


def probe_tokens(model: nn.Module, length: int = PROBE_LENGTH) -> Tensor:
    """A few distinct ordinary token ids ``(1, length)`` on the model's input device."""
    weight: Tensor = model.get_input_embeddings().weight  # type: ignore[operator]
    ids = (torch.arange(length) * 11 + 7) % weight.shape[0]
    return ids.unsqueeze(0).to(weight.device)


@torch.no_grad()
def record(model: nn.Module, tokens: Tensor, zeroed: Iterable[nn.Module] = ()) -> list[Call]:
    """Run ``model`` once and return every submodule call in order of completion.

    ``zeroed`` modules return zeros. Tensors are copies: some models add in place.
    """
    calls: list[Call] = []
    pending: dict[nn.Module, list[tuple[Tensor, ...]]] = {}

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        tensors = tuple(rows(t.detach().clone()) for t in floating_tensors((args, kwargs)))
        pending.setdefault(module, []).append(tensors)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        tensor = first_tensor(output)
        calls.append(
            Call(module, pending[module].pop(), None if tensor is None else rows(tensor.detach().clone()))
        )

    handles = [module.register_forward_hook(zero_output) for module in zeroed]
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    with hooks(handles):
        model(input_ids=tokens, **no_cache(model))
    return calls


def no_cache(model: nn.Module) -> dict[str, Any]:
    """Keyword for a forward pass without a key-value cache, for models that know of one."""
    return {"use_cache": False} if "use_cache" in signature(model.forward).parameters else {}


def position_mixers(model: nn.Module, tokens: Tensor, candidates: Iterable[nn.Module]) -> set[nn.Module]:
    """Those of ``candidates`` whose output at the last position depends on their input at the first.

    Attention (or a recurrence) is the only kind of sublayer that does; asked of autograd, module by module.
    """
    mixing: set[nn.Module] = set()
    leaves: dict[nn.Module, Tensor] = {}

    def enter(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        tensor = first_tensor((args, kwargs))
        if tensor is None or tensor.numel() % tokens.numel():
            return None
        leaf = tensor.detach().clone().requires_grad_()
        leaves[module] = leaf
        # A copy, so that a module that works in place does not write into the leaf.
        fed = leaf.clone()
        return replace_input(args, kwargs, fed)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        leaf, result = leaves.pop(module, None), first_tensor(output)
        if leaf is None or result is None or not result.requires_grad or result.numel() % tokens.numel():
            return
        last = result.reshape(tokens.numel(), -1)[-1].float()
        weights = torch.linspace(1.0, 2.0, last.numel(), device=last.device)
        (gradient,) = torch.autograd.grad((last * weights).sum(), leaf, allow_unused=True, retain_graph=True)
        if gradient is not None and bool((gradient.reshape(tokens.numel(), -1)[0] != 0).any()):
            mixing.add(module)

    handles: list[Any] = []
    for module in candidates:
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    with torch.enable_grad(), hooks(handles):
        model(input_ids=tokens, **no_cache(model))
    return mixing
