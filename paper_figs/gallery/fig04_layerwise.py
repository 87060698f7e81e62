"""Figure 4: how similar h, z and p stay when one sublayer is dropped, layer by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.measured import reference, sublayers
from paper_figs.style import SPACE_COLOUR, SPACE_DASH, SPACE_LABEL, layer_axis, legend_above, letter, panels

KINDS = {"attn": "attention dropped", "mlp": "MLP dropped"}
SPACES = {"h": "h_cosdist", "z": "cosdist_z", "p": "cosdist_p"}


def similarity(trace: pd.DataFrame) -> pd.DataFrame:
    """Mean, minimum and maximum cosine over prompts and positions, one row for each kind, layer and space."""
    rows = []
    for space, column in SPACES.items():
        distance = trace.groupby(["kind", "layer"])[column].agg(["mean", "min", "max", "count"])
        cosine = pd.DataFrame(
            {
                "mean": 1 - distance["mean"],
                "low": 1 - distance["max"],
                "high": 1 - distance["min"],
                "count": distance["count"],
            }
        )
        rows.append(cosine.reset_index().assign(space=space))
    return pd.concat(rows, ignore_index=True)


def compute(context: Context) -> pd.DataFrame:
    """This model's similarities, then the paper's."""
    ours = similarity(context.recall(sublayers.sublayers)).assign(source=context.setup.model)
    return pd.concat([ours, reference.layerwise()], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: attention, MLP. Columns: this model, the paper's."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(2, len(sources), sharey=True)
    for (row, kind), (column, source) in ((a, b) for a in enumerate(KINDS) for b in enumerate(sources)):
        axis = axes[row, column]
        for space in SPACES:
            part = frame.query("kind == @kind and source == @source and space == @space").sort_values("layer")
            colour = SPACE_COLOUR[space]
            axis.fill_between(part["layer"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)
            axis.plot(
                part["layer"],
                part["mean"],
                color=colour,
                dashes=SPACE_DASH[space] or (None, None),
                label=SPACE_LABEL[space],
            )
        axis.set(title=f"{KINDS[kind]}: {source}", ylim=(-0.6, 1.03))
        layer_axis(axis)
        axis.axhline(0, color="0.6", lw=0.5)
    for axis in axes[:, 0]:
        axis.set_ylabel("cosine, dense vs dropped")
    legend_above(canvas, axes[0, 0], 3, "mean; band: minimum to maximum")
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    count = int(frame.loc[frame["source"] == setup.model, "count"].max())
    return (
        "Cosine between the dense vector and the vector with one sublayer left out, in three spaces, for "
        f"each layer: mean (line) and minimum to maximum (band) over {count} positions sampled by the dense "
        f"model ({setup.profile.prompts_per_kind} prompts of each of three kinds, {setup.profile.tokens} "
        "tokens each). h is the residual stream after the sublayer, z passes it through the final norm and "
        "the head, p is the softmax at T = 1. The paper's curves (right) are Qwen2.5-7B-Instruct without "
        "the final norm before the head, over its own prompts, digitised from its figure 4."
    )


def worst_in_p(frame: pd.DataFrame) -> Finding:
    """Judge where the lowest cosine over positions lies."""
    table = _inner(frame).pivot_table(index=["kind", "layer"], columns="space", values="low")
    share = float(((table["p"] < table["h"]) & (table["p"] < table["z"])).mean())
    return Finding(graded(share), f"lowest cosine in p for {share:.0%} of {len(table)} inner sublayers")


def mean_in_p(frame: pd.DataFrame) -> Finding:
    """Judge in which space the mean deviation is largest."""
    table = 1 - _inner(frame).pivot_table(index=["kind", "layer"], columns="space", values="mean")
    over_z, over_h = float((table["p"] > table["z"]).mean()), float((table["p"] > table["h"]).mean())
    ratio_z, ratio_h = (table["p"] / table["z"]).median(), (table["p"] / table["h"]).median()
    return Finding(
        graded(min(over_z, over_h)),
        f"1-cos larger in p than in z for {over_z:.0%} (median ratio {ratio_z:.2g}) and than in h for "
        f"{over_h:.0%} (median ratio {ratio_h:.2g}) of {len(table)} inner sublayers",
    )


def _inner(frame: pd.DataFrame) -> pd.DataFrame:
    ours: pd.DataFrame = frame.loc[frame["source"] == frame["source"].iloc[0]]
    return ours.loc[ours["layer"].between(1, int(ours["layer"].max()) - 1)]


FIGURE = Figure(
    id="fig04",
    title="Layer-wise similarity of h, z and p when one sublayer is dropped",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "Hidden states and logits stay close when a sublayer is dropped; probabilities deviate more.",
            "paper, section 4 and figure 4",
            "Over all sublayers but the first and last layer's: mean 1-cos larger in p than in both z and h. "
            "Holds from 90 % of sublayers, partly from 50 %.",
            mean_in_p,
        ),
        Claim(
            "The worst case is in probability space.",
            "paper, figure 4 (bands)",
            "Over the same sublayers: the lowest cosine over positions is lower in p than in both z and h. "
            "Holds from 90 % of sublayers, partly from 50 %.",
            worst_in_p,
        ),
    ),
)
