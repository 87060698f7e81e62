"""Measurements on the real model that several figures share; each is computed once and kept."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import LongTensor, Tensor

from paper_figs.context import Context
from real.anatomy import anatomy
from real.choose import choose_sublayers
from real.decode import free_runs
from real.parts import Kind
from real.sample import Samples, sample
from real.spec import Drop, parse_spec
from real.stepwise import dense_pass, score_variant
from real.texts import calibration_tokens, prompts
from real.trace import sublayer_logits, trace_joint, trace_sublayers
from real.variants import variant
from theory import (
    Drift,
    VectorDrift,
    best_interval,
    catalogue,
    enclose,
    kl_terms,
    measure,
    survival_weights,
    tv_terms,
)
from theory.betting import betting_band

KINDS = ("multiple choice", "word problem", "open")
ESTIMATES = {"cosdist_p": ("T2", "D2"), "kl": ("T3", "D3")}


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


def _trace(
    context: Context, samples: Samples, kinds: tuple[Kind, ...], final_norm: bool, spec: str | None
) -> pd.DataFrame:
    positions = predicting(samples)
    prompt, step = _places(samples)
    count = len(kinds) * layer_count(context)
    found = trace_sublayers(
        context.lm,
        samples.tokens,
        kinds,
        final_norm=final_norm,
        positions=positions,
        spec=spec,
        calibration=None if spec is None else calibration(context),
    )
    parts = [
        table(trace.logits, trace.hidden).assign(kind=trace.kind, layer=trace.layer, prompt=prompt, step=step)
        for trace in context.track(found, "sublayers", total=count)
    ]
    return pd.concat(parts, ignore_index=True)


def sublayers(context: Context, final_norm: bool = True, spec: str | None = None) -> pd.DataFrame:
    """Every sublayer dropped alone (or pruned by ``spec``): a row for each kind, layer, prompt and step."""
    samples = sampled(context, chosen_prompts(context), context.setup.profile.tokens)
    return _trace(context, samples, ("attn", "mlp"), final_norm, spec)


def trajectory(context: Context) -> pd.DataFrame:
    """Every attention sublayer dropped alone at every step of one long text."""
    return _trace(context, long_text(context), ("attn",), final_norm=True, spec=None)


def layer_count(context: Context) -> int:
    """Number of layers of the model."""
    return len(anatomy(context.lm.model).layers)


def middle_layer(context: Context) -> int:
    """The layer that stands for the paper's 14th of 28."""
    return layer_count(context) // 2


def one_sublayer(context: Context, temperature: float, certified: bool = False) -> pd.DataFrame:
    """The middle attention sublayer dropped at every step of one long text, with the paper's estimates.

    ``certified`` adds our estimates and the certified interval of each quantity.
    """
    samples, layer = long_text(context), middle_layer(context)
    positions = predicting(samples)
    slices = []
    found = sublayer_logits(context.lm, samples.tokens, ("attn",), layers=[layer], positions=positions)
    for pair in found:
        drift = measure(pair.dense, pair.dropped, temperature)
        part = drift.frame().drop(columns="i0")
        for quantity, (paper, _) in ESTIMATES.items():
            part[f"estimate_{quantity}"] = catalogue[paper].approximate(drift).numpy()
        if certified:
            enclosure = enclose(pair.dense, pair.dropped, temperature)
            for quantity, (_, ours) in ESTIMATES.items():
                best = best_interval(enclosure, quantity)
                part[f"our_estimate_{quantity}"] = catalogue[ours].approximate(drift).numpy()
                part[f"lower_{quantity}"], part[f"upper_{quantity}"] = best.lower.numpy(), best.upper.numpy()
        slices.append(part)
    frame = pd.concat(slices, ignore_index=True)
    return frame.assign(layer=layer, step=range(len(frame)))


def ranking(context: Context, target: str, criterion: str) -> pd.DataFrame:
    """Sublayers of one target in the order in which ``target:k@criterion`` drops them, with their scores."""
    rows: Tensor = calibration(context)
    if criterion != "cosine":
        count, length = context.setup.profile.measured_calibration
        rows = rows[:count, :length]
    layers = layer_count(context)
    chosen = choose_sublayers(context.lm, f"{target}:{layers}@{criterion}".removesuffix("@cosine"), rows)
    return pd.DataFrame(
        {
            "kind": [part.kind for part in chosen.parts],
            "layer": chosen.layers,
            "score": [chosen.scores[part] for part in chosen.parts],
        }
    )


def resolve(context: Context, spec: str) -> str:
    """``attn:8`` as the layers it stands for, so that they are chosen once and not for every prompt."""
    steps = []
    for step in parse_spec(spec).steps:
        if isinstance(step, Drop) and step.layers is None and step.target in ("attn", "mlp", "block"):
            order = context.recall(ranking, target=step.target, criterion=step.criterion)
            layers = sorted(order["layer"][: step.count])  # two rankings may name the same set
            steps.append(f"{step.target}:[{','.join(map(str, layers))}]")
        else:
            steps.append(str(step))
    return "+".join(steps) or "dense"


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
                    "kl": kl_terms(scores.log_ratio).mean(0).numpy(),
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
