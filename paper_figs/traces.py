"""Measurements on the real model that several figures share; each is computed once and kept."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import LongTensor, Tensor

import theory
from paper_figs.context import Context
from real.choose import choose_sublayers
from real.decode import free_running as run_freely
from real.parts import Kind
from real.sample import Samples, sample
from real.spec import Drop, parse_spec
from real.texts import calibration_tokens, prompts
from real.trace import joint_log_ratio, sublayer_logits, trace_sublayers
from theory import (
    Drift,
    VectorDrift,
    catalogue,
    hoeffding_band,
    kl_terms,
    measure,
    survival_weights,
    tv_terms,
)

KINDS = ("multiple choice", "word problem", "open")
ESTIMATES = {"cosdist_p": ("T2", "D2"), "kl": ("T3", "D3")}


def chosen_prompts(context: Context) -> list[str]:
    """As many of the twelve prompts as the profile asks for, the same number of each kind."""
    per_kind = context.setup.profile.prompts_per_kind
    return [p.text for kind in KINDS for p in [p for p in prompts() if p.kind == kind][:per_kind]]


def calibration(context: Context) -> LongTensor:
    """Token ids by which sublayers are chosen and weights are pruned."""
    count, length = context.setup.profile.calibration
    return calibration_tokens(context.lm.tokenizer, count, length, context.setup.seed)


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


def table(logits: Drift, hidden: VectorDrift) -> pd.DataFrame:
    """Columns of both measurements side by side, those of the hidden state with the prefix ``h_``."""
    left, right = (part.frame().drop(columns="i0") for part in (logits, hidden))
    return pd.concat([left, right.add_prefix("h_")], axis=1)


def drift_of(frame: pd.DataFrame) -> Drift:
    """The ``Drift`` whose columns stand in ``frame``."""
    return Drift(**{name: torch.tensor(frame[name].to_numpy()) for name in Drift.__dataclass_fields__})


def _trace(context: Context, samples: Samples, kinds: tuple[Kind, ...], final_norm: bool) -> pd.DataFrame:
    positions = predicting(samples)
    row, place = positions.nonzero(as_tuple=True)
    prompt, step = samples.prompt[row].numpy(), (place - samples.prompt_lengths[row] + 1).numpy()
    count = len(kinds) * context.lm.model.config.get_text_config().num_hidden_layers
    found = trace_sublayers(context.lm, samples.tokens, kinds, final_norm=final_norm, positions=positions)
    parts = [
        table(trace.logits, trace.hidden).assign(kind=trace.kind, layer=trace.layer, prompt=prompt, step=step)
        for trace in context.track(found, "sublayers", total=count)
    ]
    return pd.concat(parts, ignore_index=True)


def sublayers(context: Context, final_norm: bool = True) -> pd.DataFrame:
    """Every sublayer dropped alone: one row for each kind, layer, prompt and step."""
    samples = sampled(context, chosen_prompts(context), context.setup.profile.tokens)
    return _trace(context, samples, ("attn", "mlp"), final_norm)


def trajectory(context: Context) -> pd.DataFrame:
    """Every attention sublayer dropped alone at every step of one long text."""
    return _trace(context, long_text(context), ("attn",), final_norm=True)


def middle_layer(context: Context) -> int:
    """The layer that stands for the paper's 14th of 28."""
    return int(context.lm.model.config.get_text_config().num_hidden_layers) // 2


def one_sublayer(context: Context, temperature: float) -> pd.DataFrame:
    """The middle attention sublayer dropped at every step of one long text, with estimates and certificates."""
    samples, layer = long_text(context), middle_layer(context)
    positions = predicting(samples)
    slices = []
    found = sublayer_logits(context.lm, samples.tokens, ("attn",), layers=[layer], positions=positions)
    for pair in found:
        drift = measure(pair.dense, pair.dropped, temperature)
        enclosure = theory.enclose(pair.dense, pair.dropped, temperature)
        part = drift.frame().drop(columns="i0")
        for quantity, (paper, ours) in ESTIMATES.items():
            part[f"estimate_{quantity}"] = catalogue[paper].approximate(drift)
            part[f"our_estimate_{quantity}"] = catalogue[ours].approximate(drift)
            part[f"lower_{quantity}"], part[f"upper_{quantity}"], _ = theory.best_interval(
                enclosure, quantity
            )
        slices.append(part)
    frame = pd.concat(slices, ignore_index=True)
    return frame.assign(layer=layer, step=range(len(frame)))


def ranking(context: Context, target: str, criterion: str) -> pd.DataFrame:
    """Sublayers of one target in the order in which ``target:k@criterion`` drops them, with their scores."""
    rows = calibration(context)
    layers = context.lm.model.config.get_text_config().num_hidden_layers
    chosen = choose_sublayers(context.lm, f"{target}:{layers}@{criterion}", rows, context.setup.seed)
    return pd.DataFrame(
        {
            "kind": [part.kind for part in chosen.parts],
            "layer": chosen.layers,
            "score": [chosen.scores[part] for part in chosen.parts],
        }
    )


def resolve(context: Context, spec: str) -> str:
    """``attn:8`` as the list of layers it stands for, so that they are chosen once and not for every prompt."""
    steps = []
    for step in parse_spec(spec).steps:
        if isinstance(step, Drop) and step.layers is None and step.target in ("attn", "mlp", "block"):
            order = context.recall(ranking, target=step.target, criterion=step.criterion)
            steps.append(f"{step.target}:[{','.join(map(str, order['layer'][: step.count]))}]")
        else:
            steps.append(str(step))
    return "+".join(steps)


def free_running(context: Context, spec: str) -> pd.DataFrame:
    """Both models write on their own: a row for each prompt and step, and for each part of the drift.

    part: "free" (each model on its own text), "direct" (pruned against dense, both on the dense text),
    "history" (pruned on its own text against pruned on the dense text).
    """
    chosen, resolved = chosen_prompts(context), resolve(context, spec)
    rows = []
    for index, prompt in enumerate(context.track(chosen, f"{spec} writes freely")):
        run = run_freely(
            context.lm,
            resolved,
            prompt,
            context.setup.profile.free_steps,
            seed=context.setup.seed,
            calibration=calibration(context),
        )
        for part, drift in (("free", run.logits), ("direct", run.direct), ("history", run.history)):
            frame = table(drift, run.hidden) if part == "free" else drift.frame().drop(columns="i0")
            rows.append(
                frame.assign(
                    part=part, prompt=index, step=range(len(frame)), first_difference=run.first_divergence
                )
            )
    return pd.concat(rows, ignore_index=True).assign(spec=spec)


def sequence_drift(context: Context, specs: list[str], level: float) -> pd.DataFrame:
    """TV and survival over n generated tokens from dense samples (J1), one row for each spec and n.

    Samples are independent given the prompts, so the bands are for the average over these prompts. A text
    that has ended stays equal from then on: its log-ratio no longer changes.
    """
    profile = context.setup.profile
    chosen = chosen_prompts(context)
    samples = sampled(context, chosen, profile.sample_tokens, profile.samples)
    positions = predicting(samples)
    resolved = [resolve(context, spec) for spec in specs]
    found = joint_log_ratio(
        context.lm, resolved, samples.tokens, calibration=calibration(context), positions=positions
    )
    rows = []
    for spec, ratios in zip(
        specs, context.track(found, "pruned models on dense texts", len(specs)), strict=True
    ):
        steps = _from_first_token(ratios, samples)
        tv, survival = tv_terms(steps), survival_weights(steps)
        band = hoeffding_band(tv, level)
        rows.append(
            pd.DataFrame(
                {
                    "spec": spec,
                    "n": range(1, steps.shape[1] + 1),
                    "tv": tv.mean(0).numpy(),
                    "tv_lower": band.lower.numpy(),
                    "tv_upper": band.upper.numpy(),
                    "divergence": (1 - survival.mean(0)).numpy(),
                    "kl": kl_terms(steps).mean(0).numpy(),
                    "samples": len(samples),
                    "prompts": len(chosen),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def _from_first_token(ratios: Tensor, samples: Samples) -> Tensor:
    """Log-ratios ``(N, horizon)`` of the generated tokens, 0 after the end of a text."""
    place = samples.prompt_lengths[:, None] - 1 + torch.arange(samples.horizon)
    inside = place < samples.lengths[:, None] - 1
    taken = ratios.gather(1, place.clamp(max=ratios.shape[1] - 1))
    return torch.where(inside, taken, 0.0)
