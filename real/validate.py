"""Hold the forecast against what happens: let the pruned models write and answer, then compare.

Three claims are tested. Greedy text departs exactly where the forecast says (G10). Text sampled with shared
noise stays identical no longer than the best coupling allows (S_n, G2). Tasks suffer in the order of the
forecast KL per token (rank correlation): that one is an expectation, not a theorem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from real.decode import common_prefix
from real.evaluate import DENSE, evaluate
from real.forecast import DenseReference, Forecast, forecast, reference
from real.load import LanguageModel
from real.sample import Samples, sample
from real.tasks import TASKS, task
from real.variants import variant


@dataclass(frozen=True)
class Comparison:
    """Forecast and outcome for one variant.

    greedy_exact: share of prompts whose greedy text departed exactly where forecast (must be 1 in exact
    arithmetic). survival_upper, coupled: upper limit of the forecast S_n at the horizon, and the share of
    samples that stayed identical that long under shared noise. identical, identical_coupled: identical tokens
    as forecast (best coupling) and as seen under shared noise.
    choice_loss, generation_loss: mean drop of the scores of the tasks of either kind, measured.
    """

    spec: str
    kl_per_token: float
    sequence_tv: float
    greedy_exact: float
    survival_upper: float
    coupled: float
    identical: float
    identical_coupled: float
    choice_loss: float
    generation_loss: float


def validate(
    lm: LanguageModel,
    specs: Sequence[str],
    texts: Sequence[str],
    tasks: Sequence[str],
    *,
    tokens: int = 64,
    samples: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """One :class:`Comparison` per spec, as a table."""
    dense = reference(lm, texts, tokens, samples, seed=seed)
    forecasts = {one.spec: one for one in forecast(lm, specs, dense)}
    scores = pd.concat(evaluate(lm, specs, tasks, limit=limit, choice_only=False))
    losses = _losses(scores)
    rows = []
    for spec in specs:
        with variant(lm, spec) as other:
            rows.append(_compare(other, forecasts[spec], dense, losses[spec]))
    return pd.DataFrame([asdict(row) for row in rows])


def rank_correlation(table: pd.DataFrame) -> dict[str, Any]:
    """Spearman correlation over specs of the forecast KL per token with either measured loss."""
    found: dict[str, Any] = {}
    for loss in ("choice_loss", "generation_loss"):
        if min(table["kl_per_token"].nunique(), table[loss].nunique()) < 2:
            found[loss] = {"spearman": None, "p_value": None, "specs": len(table)}
            continue
        result = spearmanr(table["kl_per_token"], table[loss])
        found[loss] = {
            "spearman": float(result.statistic),
            "p_value": float(result.pvalue),
            "specs": len(table),
        }
    return found


def _compare(
    other: LanguageModel, predicted: Forecast, dense: DenseReference, losses: dict[str, float]
) -> Comparison:
    greedy = _again(other, dense.greedy.samples, predicted.horizon)
    coupled = _again(other, dense.sampled.samples, predicted.horizon)
    departs, kept = _identical(dense.greedy.samples, greedy), _identical(dense.sampled.samples, coupled)
    whole = dense.sampled.samples.lengths - dense.sampled.samples.prompt_lengths
    return Comparison(
        spec=predicted.spec,
        kl_per_token=predicted.kl_per_token.mean,
        sequence_tv=float(predicted.sequence_tv.mean[-1]),
        greedy_exact=float((departs == predicted.greedy_prefix).double().mean()),
        survival_upper=float(predicted.survival.upper[-1]),
        coupled=float((kept == whole).double().mean()),
        identical=predicted.identical_tokens.mean,
        identical_coupled=float(torch.where(kept == whole, predicted.horizon, kept).double().mean()),
        choice_loss=float(losses["choice"]),
        generation_loss=float(losses["generation"]),
    )


def _again(other: LanguageModel, samples: Samples, tokens: int) -> Samples:
    """The variant's own text from the same prompts with the same noise."""
    prompts = [
        ids[:n].tolist() for ids, n in zip(samples.tokens, samples.prompt_lengths.tolist(), strict=True)
    ]
    copies = len(samples) // (int(samples.prompt.max()) + 1)
    return sample(other, prompts[::copies], tokens, copies, samples.temperature, samples.seed)


def _identical(one: Samples, other: Samples) -> Tensor:
    return torch.tensor([common_prefix(one.continuation(i), other.continuation(i)) for i in range(len(one))])


def _losses(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean drop of the score from dense by spec and kind of task; every task counts alike."""
    means = scores.groupby(["spec", "task"]).correct.mean().unstack("task")
    drops = (means.loc[DENSE] - means).drop(index=DENSE)
    kinds = [task(name).kind if name in TASKS else "generation" for name in drops.columns]
    by_kind = drops.T.groupby(kinds).mean().reindex(["choice", "generation"])
    return {
        str(spec): {str(kind): float(x) for kind, x in column.items()} for spec, column in by_kind.items()
    }
