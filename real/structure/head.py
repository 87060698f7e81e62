"""From a residual vector to logits: final norm, head, and whatever the model does to its logits afterwards.

The model's own ``forward`` computes the logits (so tied weights, transforms before the output embedding,
logit scales and soft caps are right by construction): for the length of one call its backbone is replaced by
a function that returns the given hidden state. The result is compared with the model's logits, bit for bit,
when the head is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from real.structure.probe import FAILURES, Call, forwards_replaced, no_cache, probe_tokens, rows, same


class HeadError(ValueError):
    """The way from the last residual point to the logits could not be found or reproduced."""


@dataclass(frozen=True)
class Head:
    """What turns the last residual point into logits.

    ``backbone``: the submodule that returns the hidden state from which the model makes its logits.
    ``final_norm``: the modules between the last layer and that hidden state, in order (usually one norm;
    OPT-350m has a projection instead). ``no_lens``: one sentence on why ``final_norm`` could not be found;
    hidden states of the backbone still give logits. ``output_embedding`` is None where the model names none.
    """

    model: nn.Module
    backbone: nn.Module
    backbone_output: type
    final_norm: tuple[nn.Module, ...]
    output_embedding: nn.Module | None
    vocabulary: int
    no_lens: str | None = None

    @property
    def tied(self) -> bool:
        """Whether the head shares its weight with the input embedding."""
        weight = getattr(self.output_embedding, "weight", None)
        return weight is not None and weight is self.model.get_input_embeddings().weight  # type: ignore[operator]

    @torch.no_grad()
    def normalise(self, hidden: Tensor) -> Tensor:
        """The backbone's hidden state for residual vectors ``(..., d)``.

        Raises
        ------
        HeadError
            What stands between the last layer and the head is no chain of modules.
        """
        if self.no_lens is not None:
            raise HeadError(self.no_lens)
        for module in self.final_norm:
            hidden = module(hidden)
        return hidden

    @torch.no_grad()
    def logits(self, hidden: Tensor, final_norm: bool = True) -> Tensor:
        """Logits ``(..., V)`` of residual vectors ``(..., d)``; without the norm, the paper's lens."""
        flat = hidden if hidden.dim() == 3 else rows(hidden).unsqueeze(0)
        if final_norm:
            flat = self.normalise(flat)
        given = self.backbone_output(last_hidden_state=flat)
        with forwards_replaced({self.backbone: lambda *_, **__: given}):
            logits: Tensor = self.model(input_ids=probe_tokens(self.model, 1), **no_cache(self.model)).logits
        return logits.reshape(*hidden.shape[:-1], -1)


def find_head(model: nn.Module, calls: list[Call], layers: list[nn.Module]) -> Head | None:
    """Find the head in a recorded forward pass; None when the model has none (an encoder).

    Raises
    ------
    HeadError
        No submodule's hidden state gives the model's logits.
    """
    logits = calls[-1].output
    made = _output(model, model)
    if logits is None or getattr(made, "logits", None) is None:
        return None
    embedding = model.get_output_embeddings()  # type: ignore[operator]
    width = int(made.logits.shape[-1])
    for call in _backbones(model, calls):
        assert call.output is not None
        kind = type(_output(model, call.module))
        head = Head(model, call.module, kind, (), embedding, width)
        if _gives(head, call.output, logits, final_norm=False):
            return _with_norm(head, call.output, calls, layers)
    raise HeadError(
        f"the head of {type(model).__name__} could not be reproduced: no submodule's last hidden state gives "
        "the model's own logits"
    )


def _backbones(model: nn.Module, calls: list[Call]) -> Iterator[Call]:
    """Submodules that take token ids, innermost first; a model that is called whole has no other part."""
    for call in calls:
        takes_tokens = "input_ids" in signature(call.module.forward).parameters
        if call.module is not model and takes_tokens and call.output is not None:
            yield call


def _with_norm(head: Head, hidden: Tensor, calls: list[Call], layers: list[nn.Module]) -> Head:
    """The head with what stands between the last layer and its hidden state."""
    logits = calls[-1].output
    if layers and logits is not None:
        called = [call.module for call in calls]
        end = called.index(layers[-1])
        leaves = calls[end].output
        found = replace(head, final_norm=_chain(calls[end + 1 : called.index(head.backbone)], leaves, hidden))
        if leaves is not None and _gives(found, leaves, logits):
            return found
    name = type(head.model).__name__
    return replace(
        head, no_lens=f"{name}: no chain of modules leads from the last layer to the head: no lens"
    )


def _chain(calls: list[Call], start: Tensor | None, end: Tensor) -> tuple[nn.Module, ...]:
    """The modules that lead from the last layer's output to the backbone's, one feeding the next."""
    chain: list[nn.Module] = []
    for call in calls:
        if start is not None and call.takes(start) and not same(start, end):
            chain.append(call.module)
            start = call.output
    return tuple(chain)


def _output(model: nn.Module, module: nn.Module) -> Any:
    """What ``module`` returns in a forward pass of ``model``."""
    seen: list[Any] = []
    handle = module.register_forward_hook(lambda module, args, output: seen.append(output))
    try:
        with torch.no_grad():
            model(input_ids=probe_tokens(model, 1), **no_cache(model))
    finally:
        handle.remove()
    return seen[0]


def _gives(head: Head, hidden: Tensor, logits: Tensor, final_norm: bool = True) -> bool:
    """Whether the head makes exactly ``logits`` of ``hidden``; models refuse foreign states in many ways."""
    try:
        return same(head.logits(hidden, final_norm), logits)
    except FAILURES:
        return False
