"""Calibration data: strings or token tensors, text that ships with the package, or the model's own text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.spec import Drop, Quantise, Repair, Sparsify, Spec, Step, names_checkpoint, parse_spec
from real.text.own import own_tokens
from real.text.texts import calibration_tokens
from theory.names import lookup

# Rows and length of the default calibration set. Choosing by measured divergence runs the model once per
# candidate, so it takes fewer tokens.
DEFAULT = (16, 256)
MEASURED = (8, 64)

Calibration = Tensor | Sequence[str] | Sequence[Tensor] | Literal["own"] | None
OWN: Literal["own"] = "own"
SEEDS = (0, 1, 2)  # of the calibration texts on which a chaotic spec is shown


def needs_calibration(spec: Spec) -> bool:
    """Whether any step looks at data."""
    return any(_looks_at_data(step) for step in spec.steps)


def _looks_at_data(step: Step) -> bool:
    if isinstance(step, Drop):
        return step.layers is None and step.target != "random" and step.count > 0
    if isinstance(step, Repair):
        return True
    return not isinstance(step, Quantise) and step.method != "magnitude"


def is_chaotic(spec: Spec) -> bool:
    """Whether another calibration text gives a visibly other model.

    Wanda and SparseGPT find masks layer by layer, each on what the pruned layers before it give: a few other
    weights early move many later.
    """
    return any(isinstance(step, Sparsify) and step.method != "magnitude" for step in spec.steps)


def calibration_seeds(name: str | Spec, calibration: Calibration = None) -> tuple[int, ...]:
    """Seeds of the calibration texts that a variant is shown on: three if it is chaotic, else the first.

    Token ids that are given are taken as they are: no seed draws others.
    """
    fixed = isinstance(calibration, Tensor) or any(isinstance(part, Tensor) for part in calibration or ())
    if fixed or (isinstance(name, str) and names_checkpoint(name)) or not is_chaotic(parse_spec(name)):
        return SEEDS[:1]
    return SEEDS


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Columns of a table: the least and the most of ``values`` over calibration texts; NaN without any."""
    return {
        f"{name}_least": min(values, default=float("nan")),
        f"{name}_most": max(values, default=float("nan")),
    }


def calibration_rows(
    lm: LanguageModel, calibration: Calibration, step: Step | None = None, seed: int = 0
) -> Tensor | None:
    """Token ids ``(N, T)`` for one step; None if the step needs none. ``lm`` is the dense model.

    Strings and token tensors of different lengths are joined and cut into rows; a tensor ``(N, T)`` is taken
    as it is. ``"own"``: text that the model writes (:func:`real.text.own.own_tokens`). Without data, text
    that ships with the package (disjoint from every evaluation text).

    Raises
    ------
    ValueError
        The data is empty or of the wrong type.
    UnknownNameError
        A single string other than ``"own"``.
    """
    if step is not None and not _looks_at_data(step):
        return None
    measured = isinstance(step, Drop) and step.criterion != "cosine"
    count, length = MEASURED if measured else DEFAULT
    length = min(length, lm.context_length)
    if calibration is None:
        return calibration_tokens(lm.tokenizer, count, length, seed)
    if isinstance(calibration, str):
        lookup("calibration", calibration, {OWN: OWN})
        return _own(lm, count * length, seed)
    if isinstance(calibration, Tensor):
        if calibration.dim() != 2 or not calibration.numel() or calibration.is_floating_point():
            raise ValueError(
                "calibration: need token ids of shape (N, T), "
                f"got {calibration.dtype} {tuple(calibration.shape)}"
            )
        return calibration
    items = list(calibration)
    if items and all(isinstance(item, str) for item in items):
        return _cut_texts(lm, cast(list[str], items), length, seed)
    if items and all(isinstance(item, Tensor) for item in items):
        joined = torch.cat([cast(Tensor, item).reshape(-1) for item in items])
        length = min(length, len(joined))
        return joined[: len(joined) // length * length].reshape(-1, length)
    raise ValueError(f"calibration: need a list of strings or of token tensors, got {calibration!r:.60}")


def _own(lm: LanguageModel, tokens: int, seed: int) -> Tensor:
    """The first rows of the model's own text, at least so many tokens: a prompt leaves short rows no text."""
    count, length = DEFAULT
    length = min(length, lm.context_length)
    return own_tokens(lm, count, length, seed)[: -(-tokens // length)]


def source(calibration: Calibration, seed: int) -> str:
    """Where calibration data comes from, for the record."""
    if calibration is None:
        return f"shipped text, seed {seed}"
    return f"the model's own text, seed {seed}" if isinstance(calibration, str) else "given"


def _cut_texts(lm: LanguageModel, texts: list[str], length: int, seed: int) -> Tensor:
    total = sum(len(lm.tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
    if not total:
        raise ValueError("calibration: the texts hold no tokens")
    length = min(length, total)
    return calibration_tokens(lm.tokenizer, total // length, length, seed, texts=texts)
