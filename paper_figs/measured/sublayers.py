"""One sublayer dropped at a time: its drift at every position."""

from __future__ import annotations

import pandas as pd

from paper_figs.context import Context
from paper_figs.measured.texts import (
    _places,
    calibration,
    chosen_prompts,
    long_text,
    predicting,
    sampled,
    table,
)
from real.structure.anatomy import Kind
from real.text.sample import Samples
from real.tracing import sublayer_logits, trace_sublayers
from theory import (
    best_interval,
    catalogue,
    enclose,
    measure,
)

ESTIMATES = {"cosdist_p": ("T2", "D2"), "kl": ("T3", "D3")}


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
    return len(context.lm.anatomy.layers)


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
