"""Hold the forecast against what happens: let the pruned models write and answer, then compare.

- Greedy text departs exactly where forecast (G10).
- On prompts that the forecast has not seen, text stays identical as long as forecast: under maximal coupling
  of every step (G2) and under shared Gumbel noise (G11).
- No score moves by more than its ceiling. Multiple choice, answered at random with the options'
  probabilities: their total variation. Written answers: the total variation of sampled answers, and for
  greedy ones the share of questions whose answer is forecast to change.
- Written answers suffer in the order of the forecast KL per token: an expectation, not a theorem.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.forecast.answers import AnswerReference, answer_forecast, answer_reference
from real.forecast.coupled import Coupling, identical_prefix
from real.forecast.stepwise import DensePass, dense_pass
from real.forecast.text_drift import LEVEL, DenseReference, Forecast, by_prompt, doublings, observe, reference
from real.forecast.text_drift import summarise as summarise_forecast
from real.forecast.verdict import verdicts
from real.models.load import LanguageModel
from real.pruning.spec import names_checkpoint
from real.pruning.variants import variant
from real.tasks import task
from real.tasks.drafted import Drafts
from real.tasks.evaluate import DENSE, answer, summarise, task_manager
from real.text.sample import sample
from theory import Band
from theory.fingerprint import fingerprint
from theory.sequences.betting import betting_band
from theory.terminal.console import say, track

_SCORES = ("score", "lower", "upper", "change", "change_lower", "change_upper")
_ROUNDING = 1e-9
_PRUNED = "pruned"  # name of the other model in a table of answers, be it the dense one again
_ANSWER_TOKENS = 8  # of the total variation that is compared with the loss of short answers


@dataclass(frozen=True)
class Plan:
    """What is compared. samples: dense texts per unseen prompt. limit: items per (shipped) task."""

    specs: tuple[str, ...]
    texts: tuple[str, ...]
    tasks: tuple[str, ...]
    tokens: int = 64
    samples: int = 2
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.texts) < 2:
            raise ValueError(
                f"texts must be at least 2 prompts (every second is kept unseen), got {len(self.texts)}"
            )
        for name in self.tasks:
            if task(name).kind == "code":
                raise ValueError(f"task {name!r} has no single right answer, so no ceiling to validate")


@dataclass
class _Dense:
    """What the dense model gives, made when first needed and shared by all specs."""

    lm: LanguageModel
    plan: Plan
    drafts: Drafts = field(default_factory=dict)

    @cached_property
    def reference(self) -> DenseReference:
        return reference(self.lm, self.plan.texts[::2], self.plan.tokens, seed=self.plan.seed)

    @cached_property
    def unseen(self) -> DensePass:
        plan = self.plan
        return dense_pass(
            self.lm, sample(self.lm, plan.texts[1::2], plan.tokens, plan.samples, 1.0, plan.seed + 1)
        )

    @cached_property
    def answers(self) -> list[AnswerReference]:
        return [
            answer_reference(self.lm, name, self.plan.limit, seed=self.plan.seed)
            for name in track(self.plan.tasks, "dense answers")
            if task(name).kind == "generation"
        ]

    def prepare(self) -> None:
        """Make everything now, while the model is still dense."""
        _ = self.reference, self.unseen, self.answers, self.table

    @cached_property
    def table(self) -> pd.DataFrame:
        return _table(self.lm, DENSE, self.plan, DENSE, self.drafts)


def validate(lm: LanguageModel, plan: Plan, folder: Path | None = None) -> list[dict[str, Any]]:
    """One record per spec, forecast beside outcome; a record that ``folder`` holds is not made again.

    Keys: spec; kl_per_token, acceptance, sequence_tv (at 8 tokens and at the horizon); verdicts; greedy;
    survival and shared_noise (forecast and measured band at n = 1, 2, 4, …); tasks (one entry per task);
    within_ceiling (number of tasks; greedy: of written ones, since the most likely option is not forecast but
    measured); choice_loss, generation_loss, right_answer_loss (mean drops over tasks).
    """
    folder = (folder or cache_folder() / "validation") / _key(lm, plan)
    dense, records = _Dense(lm, plan), []
    for spec in track(plan.specs, "validating"):
        known = folder / f"{content_key(spec)}.json"
        # What lies in another checkpoint's folder may change; its answers are kept by content.
        record = None if names_checkpoint(spec) else read_record(known)
        if record is None:
            record = json.loads(json.dumps(_compare(lm, spec, dense)))
            write_record(known, record)
        records.append(record)
        say(f"{spec}: {records[-1]['kl_per_token']['mean']:.3f} nats per token forecast and checked")
    return records


def rank_correlation(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Spearman correlation over specs of two forecasts with each measured loss."""
    forecasts = {
        "kl_per_token": [record["kl_per_token"]["mean"] for record in records],
        f"tv_{_ANSWER_TOKENS}_tokens": [record["sequence_tv"]["short"]["mean"] for record in records],
    }
    found: dict[str, Any] = {"specs": len(records)}
    for name, forecast in forecasts.items():
        found[name] = {}
        for loss in ("choice_loss", "generation_loss", "right_answer_loss"):
            if any(record[loss] is None for record in records):
                found[name][loss] = None
                continue
            measured = [round(record[loss], 6) for record in records]  # equal losses are ties
            if min(len(set(forecast)), len(set(measured))) < 2:
                found[name][loss] = None
                continue
            result = spearmanr(forecast, measured)
            found[name][loss] = {"spearman": float(result.statistic), "p_value": float(result.pvalue)}
    return found


def _key(lm: LanguageModel, plan: Plan) -> str:
    """Another content, library, device, code or plan (specs apart) is another folder."""
    settings = {key: value for key, value in asdict(plan).items() if key != "specs"}
    libraries = {name: version(name) for name in ("torch", "transformers", "lm-eval", "tokenizers")}
    code = fingerprint("real.forecast.validate")
    return content_key([lm.content, settings, libraries, lm.device.type, code])


def _table(lm: LanguageModel, spec: str, plan: Plan, name: str, drafts: Drafts) -> pd.DataFrame:
    """Answers of one model; ``name`` tells them from others, of the dense model compared with itself too."""
    folder = cache_folder() / "answers"
    table = answer(lm, spec, plan.tasks, task_manager(plan.tasks), plan.limit, 16, folder, None, drafts)
    return table.assign(spec=name)


def _compare(lm: LanguageModel, spec: str, dense: _Dense) -> dict[str, Any]:
    dense.prepare()
    with variant(lm, spec) as other:
        forecast = summarise_forecast(spec, dense.reference, observe(lm, dense.reference, other))
        greedy = identical_prefix(other, dense.reference.greedy, "greedy")
        survival = _survival(forecast.survival, dense.unseen, other, "maximal", dense.plan.seed)
        shared = _survival(forecast.shared_noise, dense.unseen, other, "shared noise", dense.plan.seed)
        items = pd.concat(
            [dense.table, _table(other, spec, dense.plan, _PRUNED, dense.drafts)], ignore_index=True
        )
        written = {one.name: _written(lm, one, other) for one in dense.answers}
    rows = summarise(items).set_index(["spec", "task"]).loc[_PRUNED]
    tasks = [_task(name, rows.loc[name].to_dict(), items, written.get(name)) for name in dense.plan.tasks]
    return {
        "spec": spec,
        "kl_per_token": asdict(forecast.kl_per_token),
        "acceptance": asdict(forecast.acceptance),
        "sequence_tv": {
            "short": _at(forecast.sequence_tv, min(_ANSWER_TOKENS, forecast.horizon)),
            "long": _at(forecast.sequence_tv, forecast.horizon),
        },
        "verdicts": {
            verdict.kind: {"outcome": verdict.outcome.value, **asdict(verdict.number)}
            for verdict in verdicts(forecast)
        },
        "greedy": _greedy(forecast, greedy),
        "survival": survival,
        "shared_noise": shared,
        "tasks": tasks,
        "within_ceiling": {
            "sampled": sum(abs(one["sampled_change"]) <= one["ceiling_upper"] + _ROUNDING for one in tasks),
            "greedy": sum(
                abs(one["change"]) <= one["greedy_ceiling"] + _ROUNDING
                for one in tasks
                if "greedy_ceiling" in one
            ),
        },
        "choice_loss": _mean_loss(tasks, "choice", "change"),
        "generation_loss": _mean_loss(tasks, "generation", "change"),
        "right_answer_loss": _mean_loss(tasks, "generation", "sampled_change"),
    }


def _greedy(forecast: Forecast, measured: Tensor) -> dict[str, float]:
    """Share of prompts whose greedy text departs exactly where forecast, and mean identical tokens."""
    predicted, certified = forecast.greedy.identical, forecast.greedy.certified
    return {
        "exact": float((measured == predicted).double().mean()),
        "forecast": float(predicted.double().mean()),
        "measured": float(measured.double().mean()),
        "certified": float(certified.double().mean()),
        "certified_held": float((certified <= measured).double().mean()),
    }


def _survival(
    forecast: Band, dense: DensePass, other: LanguageModel, coupling: Coupling, seed: int
) -> list[dict[str, float]]:
    """Forecast and measured probability that n tokens are identical, at powers of two and the horizon."""
    prefix = identical_prefix(other, dense, coupling, seed + 2)
    length = dense.samples.lengths - dense.samples.prompt_lengths
    whole = prefix == length
    horizon = len(forecast.mean)
    counts = doublings(horizon)
    held = torch.stack([whole | (prefix >= n) for n in counts], dim=1).double()
    measured = betting_band(by_prompt(held, dense.samples), LEVEL)
    return [
        {"n": n}
        | {f"forecast_{key}": value for key, value in _at(forecast, n).items()}
        | {f"measured_{key}": value for key, value in _at(measured, column + 1).items()}
        for column, n in enumerate(counts)
    ]


def _written(lm: LanguageModel, one: AnswerReference, other: LanguageModel) -> dict[str, float]:
    found = answer_forecast(lm, one, other)
    ceiling = betting_band(found.tv.unsqueeze(1), LEVEL)
    return {
        "greedy_ceiling": float((~found.kept).double().mean()),
        "right_dense": float(found.right_dense.mean()),
        "sampled_change": float((found.right_pruned - found.right_dense).mean()),
        "ceiling": float(ceiling.mean),
        "ceiling_upper": float(ceiling.upper),
    }


def _chosen(name: str, items: pd.DataFrame) -> dict[str, float]:
    """Options drawn with their probabilities: exact for these items, so the ceiling is no estimate."""
    mine = items[items.task == name]
    dense, pruned = (
        [np.array(row) for row in mine[mine.spec == DENSE if is_dense else mine.spec != DENSE].probabilities]
        for is_dense in (True, False)
    )
    right = [item["answer"] for item in task(name).items[: len(dense)]]
    pairs = list(zip(dense, pruned, right, strict=True))
    ceiling = float(np.mean([np.abs(p - q).sum() / 2 for p, q, _ in pairs]))
    return {
        "right_dense": float(np.mean([p[answer] for p, _, answer in pairs])),
        "sampled_change": float(np.mean([q[answer] - p[answer] for p, q, answer in pairs])),
        "ceiling": ceiling,
        "ceiling_upper": ceiling,
    }


def _task(
    name: str, row: dict[Any, Any], items: pd.DataFrame, written: dict[str, float] | None
) -> dict[str, Any]:
    """Score of greedy or most likely answers, dense and pruned, then the ceilings."""
    return {
        "task": name,
        "kind": task(name).kind,
        "n": int(row["n"]),
        "dense": float(row["score"] - row["change"]),
        **{key: float(row[key]) for key in _SCORES},
        "changed": float(1 - row["agreement"]),
        **(written or _chosen(name, items)),
    }


def _mean_loss(tasks: Sequence[dict[str, Any]], kind: str, change: str) -> float | None:
    drops = [-one[change] for one in tasks if one["kind"] == kind]
    return float(np.mean(drops)) if drops else None


def _at(band: Band, n: int) -> dict[str, float]:
    return {key: float(getattr(band, key)[n - 1]) for key in ("mean", "lower", "upper")}
