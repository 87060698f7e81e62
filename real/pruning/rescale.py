"""``+scale``: one number makes up for what dropped parts added to the size of the residual stream.

A pre-norm model reads only the direction of the stream. So a x instead of x, from some point on, is the same
as x there and everything that is written later divided by a: two weights of every later layer, an ordinary
checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from real.structure.anatomy import Anatomy, AnatomyError, Residual, Sublayer
from real.structure.part import Part
from real.structure.places import RepairError
from real.structure.probe import first_tensor, hooks, probe_tokens, record, replace_first_tensor
from real.structure.stream import stream
from real.structure.substitute import is_linear

_CLOSE = 1e-2  # relative: norms add a small number to the square that they divide by


def factor(anatomy: Anatomy, part: Part, tokens: Sequence[Tensor]) -> float:
    """The a for which a x is closest to x + what ``part`` adds, over batches of tokens ``(B, T)``."""
    product = size = 0.0
    for batch in tokens:
        seen = stream(anatomy, batch)
        if part.kind == "block":
            after, before = seen.points[seen.inputs[part.layer + 1]], seen.points[seen.inputs[part.layer]]
        else:
            pair = next(pair for pair in seen.pairs if pair.sublayer.part == part)
            after, before = seen.points[pair.dense], seen.points[pair.dropped]
        product += float((after.double() * before.double()).sum())
        size += float(before.double().square().sum())
    return product / size if product > 0 else 1.0


def later_writers(anatomy: Anatomy, part: Part) -> list[nn.Parameter]:
    """Everything that writes to the stream after ``part``.

    Raises
    ------
    RepairError
        Something that is no linear map does, or the stream is normed, so that its size is lost.
    """
    what = f"could not repair {part} of {type(anatomy.model).__name__} by a scale:"
    found: list[nn.Parameter] = []
    try:
        for sublayer in anatomy.sublayers():
            if _is_later(anatomy, sublayer, part):
                if not all(map(is_linear, sublayer.writers)) or sublayer.biases:
                    raise RepairError(f"{what} {sublayer} writes to the stream by no linear map")
                found += [p for writer in sublayer.writers for p in writer.parameters(recurse=False)]
    except AnatomyError as error:
        raise RepairError(f"{what} {error}") from error
    if not _reads_direction(anatomy, part.layer):
        raise RepairError(f"{what} its layers read more of the stream than its direction")
    return list(dict.fromkeys(found))


def _is_later(anatomy: Anatomy, sublayer: Sublayer, part: Part) -> bool:
    if sublayer.layer != part.layer:
        return sublayer.layer > part.layer
    beside = anatomy.layers[part.layer].residual is Residual.PARALLEL
    return part.kind != "block" and sublayer.kind != part.kind and (beside or part.kind == "attn")


def _reads_direction(anatomy: Anatomy, layer: int) -> bool:
    """Whether no logit changes if the stream after ``layer`` and all that is written later are doubled."""
    tokens, end = probe_tokens(anatomy.model), Part(layer, "block")
    later = [sublayer for sublayer in anatomy.sublayers() if _is_later(anatomy, sublayer, end)]
    written = [p for sublayer in later for writer in sublayer.writers for p in writer.parameters(False)]
    expected = record(anatomy.model, tokens)[-1].output
    handle = anatomy.layers[layer].module.register_forward_hook(
        lambda module, args, output: replace_first_tensor(output, 2 * _first(output))
    )
    with hooks([handle]), divided(written, 0.5):
        found = record(anatomy.model, tokens)[-1].output
    if expected is None or found is None:
        return False
    return float((expected - found).abs().max()) <= _CLOSE * float(expected.abs().max())


def _first(output: object) -> Tensor:
    tensor = first_tensor(output)
    assert tensor is not None
    return tensor


@contextmanager
def divided(parameters: Sequence[nn.Parameter], by: float) -> Iterator[None]:
    """Inside, the parameters are so much smaller; afterwards they are what they were."""
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.div_(by)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, values in zip(parameters, before, strict=True):
                parameter.copy_(values)
