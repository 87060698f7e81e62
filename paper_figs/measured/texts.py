"""Measurements on the real model that several figures share; each is computed once and kept."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import LongTensor, Tensor

from paper_figs.context import Context
from real.text.sample import Samples, sample
from real.text.texts import calibration_tokens, prompts
from theory import (
    Drift,
    VectorDrift,
)

KINDS = ("multiple choice", "word problem", "open")


def chosen_prompts(context: Context) -> list[str]:
    """As many of the twelve prompts as the profile asks for, the same number of each kind."""
    per_kind = context.setup.profile.prompts_per_kind
    return [p.text for kind in KINDS for p in [p for p in prompts() if p.kind == kind][:per_kind]]


def calibration_texts(context: Context) -> pd.DataFrame:
    """Token ids by which sublayers are chosen and weights are pruned, one row for each text."""
    count, length = context.setup.profile.calibration
    rows = calibration_tokens(context.lm.tokenizer, count, length, context.setup.seed)
    return pd.DataFrame({"tokens": rows.tolist()})


def calibration(context: Context) -> LongTensor:
    """The kept calibration texts as one tensor."""
    kept = context.recall(calibration_texts)["tokens"]
    return cast(LongTensor, torch.from_numpy(np.stack(list(kept))))


def texts(context: Context, prompts: list[str], tokens: int, samples: int) -> pd.DataFrame:
    """Continuations drawn from the dense model at T = 1, one row for each."""
    drawn = sample(context.lm, prompts, tokens, samples, 1.0, context.setup.seed)
    return pd.DataFrame(
        {
            "tokens": drawn.tokens.tolist(),
            "prompt_length": drawn.prompt_lengths,
            "length": drawn.lengths,
            "prompt": drawn.prompt,
        }
    )


def sampled(context: Context, prompts: list[str], tokens: int, samples: int = 1) -> Samples:
    """The kept continuations as ``Samples``."""
    kept = context.recall(texts, prompts=prompts, tokens=tokens, samples=samples)
    columns = {name: torch.from_numpy(np.stack(list(kept[name]))) for name in kept.columns}
    return Samples(
        tokens=cast(LongTensor, columns["tokens"]),
        prompt_lengths=cast(LongTensor, columns["prompt_length"]),
        lengths=cast(LongTensor, columns["length"]),
        prompt=cast(LongTensor, columns["prompt"]),
        temperature=1.0,
        seed=context.setup.seed,
    )


def long_text(context: Context) -> Samples:
    """One continuation of the first open prompt, as long as the profile's steps."""
    opening = next(p.text for p in prompts() if p.kind == "open")
    return sampled(context, [opening], context.setup.profile.steps)


def predicting(samples: Samples) -> Tensor:
    """Boolean ``(N, L)``: the positions whose next token was generated."""
    place = torch.arange(samples.tokens.shape[1])
    return (place >= samples.prompt_lengths[:, None] - 1) & (place < samples.lengths[:, None] - 1)


def _places(samples: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompt and step of every predicting position, in the order of the traces' rows."""
    row, place = predicting(samples).nonzero(as_tuple=True)
    return samples.prompt[row].numpy(), (place - samples.prompt_lengths[row] + 1).numpy()


def table(logits: Drift, hidden: VectorDrift) -> pd.DataFrame:
    """Columns of both measurements side by side, those of the hidden state with the prefix ``h_``."""
    left, right = (part.frame().drop(columns="i0") for part in (logits, hidden))
    return pd.concat([left, right.add_prefix("h_")], axis=1)


def drift_of(frame: pd.DataFrame) -> Drift:
    """The ``Drift`` whose columns stand in ``frame``."""
    return Drift(**{name: torch.tensor(frame[name].to_numpy()) for name in Drift.__dataclass_fields__})
