"""Watch a forward pass from outside: what every submodule was given and gave, and which ones mix positions.

Nothing here knows a class name. Tensors are compared as matrices (rows = positions, columns = features),
because some decoder layers flatten the batch on the way (OPT, mixtures of experts).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

PROBE_LENGTH = 6
SECOND_PROBE_LENGTH = 9

# In what ways a model's own code, or the check of its configuration, says that something does not fit.
FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    StrictDataclassError,
)

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


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


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
        rest = (tensor, *value[1:])
        return value._make(rest) if hasattr(value, "_make") else rest
    if isinstance(value, list):
        return [tensor, *value[1:]]
    if isinstance(value, Mapping):
        first = next(key for key, item in value.items() if isinstance(item, Tensor))
        changed = copy.copy(value)
        changed[first] = tensor  # type: ignore[index]
        return changed
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


@contextmanager
def parameters_zeroed(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Inside, the parameters are zero; afterwards they are what they were."""
    before = [(parameter, parameter.detach().clone()) for parameter in parameters]
    with torch.no_grad():
        for parameter, _ in before:
            parameter.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, values in before:
                parameter.copy_(values)


def zero_output(module: nn.Module, args: Any, output: Any) -> Any:
    """Forward hook: the module adds nothing."""
    tensor = first_tensor(output)
    if tensor is None:
        raise TypeError(f"{type(module).__name__} returned no floating tensor to set to zero")
    return replace_first_tensor(output, torch.zeros_like(tensor))


def probe_tokens(model: nn.Module, length: int = PROBE_LENGTH, start: int = 7) -> Tensor:
    """A few distinct ordinary token ids ``(1, length)`` on the model's input device."""
    weight: Tensor = model.get_input_embeddings().weight  # type: ignore[operator]
    ids = (torch.arange(length) * 11 + start) % weight.shape[0]
    return ids.unsqueeze(0).to(weight.device)


def second_probe(model: nn.Module) -> Tensor:
    """Other tokens in another number: what holds on both probes is no accident of one."""
    return probe_tokens(model, SECOND_PROBE_LENGTH, start=5)


@torch.no_grad()
def record(
    model: nn.Module,
    tokens: Tensor,
    zeroed: Iterable[nn.Module] = (),
    without: Iterable[nn.Parameter] = (),
) -> list[Call]:
    """Run ``model`` once and return every submodule call in order of completion.

    ``zeroed`` modules return zeros, ``without`` are vectors set to zero meanwhile. Tensors are copies: some
    models add in place.
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
    with hooks(handles), parameters_zeroed(without):
        model(input_ids=tokens, **no_cache(model))
    return calls


def no_cache(model: nn.Module) -> dict[str, Any]:
    """Keyword for a forward pass without a key-value cache, for models that know of one."""
    return {"use_cache": False} if "use_cache" in signature(model.forward).parameters else {}


def position_mixers(model: nn.Module, tokens: Tensor, candidates: Sequence[nn.Module]) -> set[nn.Module]:
    """Those of ``candidates`` in which the last position sees an earlier one; asked of autograd.

    Attention (or a recurrence, or a short convolution) is the only kind of sublayer that does. The linear
    maps inside are asked as well: an attention whose output projection is zero still reads other positions.
    """
    mixing: set[nn.Module] = set()
    leaves: dict[nn.Module, Tensor] = {}
    inside: dict[nn.Module, nn.Module] = {}
    for top in candidates:
        inside |= {m: top for m in top.modules() if isinstance(m, nn.Linear | Conv1D)}

    def reads(module: nn.Module, args: Any, kwargs: Any) -> None:
        leaf, tensor = leaves.get(inside[module]), first_tensor((args, kwargs))
        if leaf is not None and tensor is not None and tensor.shape[:2] == tokens.shape and tensor.dim() == 3:
            look(inside[module], leaf, tensor)

    def look(candidate: nn.Module, leaf: Tensor, tensor: Tensor) -> None:
        if candidate in mixing or not tensor.requires_grad:
            return
        with torch.enable_grad():  # some parts compute without
            last = tensor.reshape(tokens.numel(), -1)[-1].float()
            total = (last * torch.linspace(1.0, 2.0, last.numel(), device=last.device)).sum()
        (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True, retain_graph=True)
        if gradient is not None and bool((gradient.reshape(tokens.numel(), -1)[:-1] != 0).any()):
            mixing.add(candidate)

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
        if leaf is not None and result is not None and not result.numel() % tokens.numel():
            look(module, leaf, result)

    handles: list[Any] = [m.register_forward_pre_hook(reads, with_kwargs=True) for m in inside]
    for module in candidates:
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    with torch.enable_grad(), hooks(handles):
        model(input_ids=tokens, **no_cache(model))
    return mixing
