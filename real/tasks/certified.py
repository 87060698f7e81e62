"""Which multiple-choice decisions are certain not to change, and did the certain ones hold?

For every item the perturbation is measured twice: on the whole vocabulary and on the options alone. A
decision is certified when the margin between the two best options is larger than the oscillation of the
perturbation on the options (H2), both rounded against us: what is certified holds for the exact numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from real.models.load import LanguageModel
from real.pruning.calibration import Calibration
from real.pruning.variants import variant
from real.tasks.multiple_choice import PROBED, OptionItem, decision_hidden, option_items
from real.text.passes import head_logits
from theory import enclose, measure


def certified_decisions(
    lm: LanguageModel,
    spec: str,
    tasks: Sequence[str] = PROBED,
    *,
    limit: int | None = None,
    calibration: Calibration = None,
) -> pd.DataFrame:
    """One row per item: drift on the vocabulary and on the options, margin, certificate, outcome.

    Columns: task; kl, tv, oscillation (whole vocabulary); kl_options, tv_options, oscillation_options,
    margin, option_mass (dense mass on them); certified, unchanged, correct_dense, correct_pruned (bool).
    """
    items = option_items(lm, tasks)
    if limit is not None:
        counted = pd.Series([item.task for item in items])
        items = [items[index] for index in counted.groupby(counted).head(limit).index]
    dense_hidden = decision_hidden(lm, items)
    with variant(lm, spec, calibration) as other:
        hidden = decision_hidden(other, items)
        rows = [
            _row(item, head_logits(lm, before), head_logits(other, after))
            for item, before, after in zip(items, dense_hidden, hidden, strict=True)
        ]
    return pd.DataFrame(rows)


def _row(item: OptionItem, dense: torch.Tensor, pruned: torch.Tensor) -> dict[str, object]:
    options = torch.tensor(item.options)
    whole, few = measure(dense, pruned), measure(dense, pruned, options=options)
    chosen = dense[options], pruned[options]
    limits = enclose(*chosen)
    decided = [int(logits.argmax()) for logits in chosen]
    return {
        "task": item.task,
        "kl": float(whole.kl),
        "tv": float(whole.tv),
        "oscillation": float(whole.oscillation),
        "kl_options": float(few.kl),
        "tv_options": float(few.tv),
        "oscillation_options": float(few.oscillation),
        "margin": float(few.margin),
        "option_mass": float(few.option_mass),
        "certified": bool(limits["margin"][0] > limits["oscillation"][1]),
        "unchanged": decided[0] == decided[1],
        "correct_dense": decided[0] == item.answer,
        "correct_pruned": decided[1] == item.answer,
    }
