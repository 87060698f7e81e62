"""From a residual vector to logits: final norm, head, and whatever the model does to its logits afterwards.

The model's own ``forward`` computes the logits (so tied weights, logit scales and soft caps are right by
construction): for the length of one call its backbone is replaced by a function that returns the given hidden
state. The result is compared with the model's logits, bit for bit, when the head is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from real.structure.probe import Call, forwards_replaced, no_cache, probe_tokens, rows, same


class HeadError(ValueError):
    """The way from the last residual point to the logits could not be found or reproduced."""


@dataclass(frozen=True)
class Head:
    """What turns the last residual point into logits.

    ``final_norm``: the modules between the last layer and the head, in order (usually one norm; OPT-350m has
    a projection instead). ``backbone``: the submodule that returns the head's input.
    """

    model: nn.Module
    backbone: nn.Module
    backbone_output: type
    final_norm: tuple[nn.Module, ...]
    output_embedding: nn.Module

    @property
    def tied(self) -> bool:
        """Whether the head shares its weight with the input embedding."""
        return self.output_embedding.weight is self.model.get_input_embeddings().weight  # type: ignore[operator]

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        weight = self.output_embedding.weight
        assert isinstance(weight, Tensor)
        return weight.shape[0]

    @torch.no_grad()
    def normalise(self, hidden: Tensor) -> Tensor:
        """The head's input for residual vectors ``(..., d)``."""
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
        The logits rebuilt from the last residual point are not the model's logits.
    """
    embedding = model.get_output_embeddings()  # type: ignore[operator]
    called = [call.module for call in calls]
    if embedding is None or embedding not in called:
        return None
    last = called.index(layers[-1])
    top = called.index(embedding)
    outer = [c for c in calls[last + 1 :] if layers[-1] in set(c.module.modules()) and c.module is not model]
    backbone = next(c for c in outer if c.output is not None and same(c.output, calls[top].inputs[0]))
    norm = _chain(calls[last + 1 : called.index(backbone.module)], calls[last].output, calls[top].inputs[0])
    head = Head(model, backbone.module, _output_type(model, backbone.module), norm, embedding)
    _check(head, calls[last].output, calls[-1].output)
    return head


def _chain(calls: list[Call], start: Tensor | None, end: Tensor) -> tuple[nn.Module, ...]:
    """The modules that lead from the last layer's output to the head's input, one feeding the next."""
    chain: list[nn.Module] = []
    for call in calls:
        if start is not None and call.takes(start) and not same(start, end):
            chain.append(call.module)
            start = call.output
    return tuple(chain)


def _output_type(model: nn.Module, backbone: nn.Module) -> type:
    """Class in which the backbone returns its hidden state."""
    seen: list[type] = []
    handle = backbone.register_forward_hook(lambda module, args, output: seen.append(type(output)))
    try:
        with torch.no_grad():
            model(input_ids=probe_tokens(model, 1), **no_cache(model))
    finally:
        handle.remove()
    return seen[0]


def _check(head: Head, residual: Tensor | None, logits: Tensor | None) -> None:
    assert residual is not None
    assert logits is not None
    if not same(head.logits(residual), logits):
        raise HeadError(
            f"the head of {type(head.model).__name__} could not be reproduced: logits rebuilt from the last "
            "residual point differ from the model's own"
        )
