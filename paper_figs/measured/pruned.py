"""Whole pruned models: which sublayers go, how far the text drifts, step by step."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from torch import Tensor

from paper_figs.context import Context
from paper_figs.measured.sublayers import (
    layer_count,
)
from paper_figs.measured.texts import (
    _places,
    calibration,
    chosen_prompts,
    predicting,
    sampled,
    table,
)
from real.forecast.stepwise import dense_pass, score_variant
from real.pruning.choose import choose_sublayers
from real.pruning.spec import Drop, Spec, Step, parse_spec
from real.pruning.variants import variant
from real.tracing import trace_joint
from real.tracing.free_running import free_runs
from theory import (
    survival_weights,
    tv_terms,
)
from theory.sequences.betting import betting_band


def ranking(context: Context, target: str, criterion: str) -> pd.DataFrame:
    """Sublayers of one target in the order in which ``target:k@criterion`` drops them, with their scores."""
    rows: Tensor = calibration(context)
    if criterion != "cosine":
        count, length = context.setup.profile.measured_calibration
        rows = rows[:count, :length]
    layers = layer_count(context)
    spec = f"{target}:{layers}@{criterion}".removesuffix("@cosine")
    chosen = choose_sublayers(context.lm, spec, rows, memory=context.memory)
    return pd.DataFrame(
        {
            "kind": [part.kind for part in chosen.parts],
            "layer": chosen.layers,
            "score": [chosen.scores[part] for part in chosen.parts],
        }
    )


def resolve(context: Context, spec: str) -> Spec:
    """``attn:8`` as the layers it stands for, so that they are chosen once and not for every prompt."""
    steps: list[Step] = []
    for step in parse_spec(spec).steps:
        if isinstance(step, Drop) and step.layers is None and step.target in ("attn", "mlp", "block"):
            order = context.recall(ranking, target=step.target, criterion=step.criterion)
            layers = sorted(map(int, order["layer"][: step.count]))  # two rankings may name the same set
            steps.append(replace(step, layers=tuple(layers), criterion="cosine"))
        else:
            steps.append(step)
    return Spec(tuple(steps))


def free_running(context: Context, spec: str) -> pd.DataFrame:
    """Both models write on their own: a row for each prompt and step, and for each part of the drift.

    part: "free" (each model on its own text), "direct" (pruned against dense, both on the dense text),
    "history" (pruned on its own text against pruned on the dense text).
    """
    chosen, resolved = chosen_prompts(context), resolve(context, spec)
    rows = []
    runs = free_runs(
        context.lm,
        resolved,
        chosen,
        context.setup.profile.free_steps,
        seed=context.setup.seed,
        calibration=calibration(context),
    )
    for index, run in enumerate(context.track(runs, f"{spec} writes freely", total=len(chosen))):
        for part, drift in (("free", run.logits), ("direct", run.direct), ("history", run.history)):
            frame = table(drift, run.hidden) if part == "free" else drift.frame().drop(columns="i0")
            rows.append(
                frame.assign(
                    part=part, prompt=index, step=range(len(frame)), first_difference=run.first_divergence
                )
            )
    return pd.concat(rows, ignore_index=True).assign(spec=spec)


def sequence_drift(context: Context, specs: list[str], level: float) -> pd.DataFrame:
    """TV and divergence over n generated tokens from dense samples (J1), one row for each spec and n.

    ``divergence``: texts differ under the best causal coupling (G2); ``shared_noise``: when both models
    sample with the same Gumbel noise (G11).

    Samples are independent given the prompts, so the bands are for the average over these prompts. A text
    that has ended stays as it is: its log-ratio no longer changes.
    """
    profile, lm = context.setup.profile, context.lm
    chosen = chosen_prompts(context)
    dense = dense_pass(lm, sampled(context, chosen, profile.sample_tokens, profile.samples))
    rows = []
    for spec in context.track(specs, "pruned models on dense texts"):
        with variant(lm, resolve(context, spec), calibration(context)) as other:
            scores = score_variant(lm, dense, other)
        tv, survival = tv_terms(scores.log_ratio), survival_weights(scores.log_ratio)
        band = betting_band(tv, level)
        rows.append(
            pd.DataFrame(
                {
                    "spec": spec,
                    "n": range(1, tv.shape[1] + 1),
                    "tv": tv.mean(0).numpy(),
                    "tv_lower": band.lower.numpy(),
                    "tv_upper": band.upper.numpy(),
                    "divergence": (1 - survival.mean(0)).numpy(),
                    "shared_noise": (1 - scores.shared.cumsum(1).exp().mean(0)).numpy(),
                    "step_tv": scores.tv.mean(0).numpy(),
                    "kl": scores.kl.cumsum(1).mean(0).numpy(),
                    "samples": len(tv),
                    "prompts": len(chosen),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def joint(context: Context, specs: list[str]) -> pd.DataFrame:
    """Models pruned by each spec on the dense model's texts: one row for each spec, prompt and step."""
    samples = sampled(context, chosen_prompts(context), context.setup.profile.tokens)
    positions = predicting(samples)
    prompt, step = _places(samples)
    resolved = [resolve(context, spec) for spec in specs]
    distinct = list(dict.fromkeys(resolved))
    found = trace_joint(
        context.lm, distinct, samples.tokens, calibration=calibration(context), positions=positions
    )
    traced = {
        name: table(trace.logits, trace.hidden).assign(prompt=prompt, step=step)
        for name, trace in zip(distinct, context.track(found, "pruned models", len(distinct)), strict=True)
    }
    rows = [traced[name].assign(spec=spec) for spec, name in zip(specs, resolved, strict=True)]
    return pd.concat(rows, ignore_index=True)
