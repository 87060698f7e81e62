"""Ours: the cosine of logits without what the softmax ignores."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery.fig04_layerwise import KINDS
from paper_figs.judging import count_passed
from paper_figs.measured import sublayers
from paper_figs.style import (
    GREEN,
    ORANGE,
    SPACE_COLOUR,
    SPACE_LABEL,
    VERMILION,
    layer_axis,
    letter,
    panels,
)

DISTANCES = {"h": "h_cosdist", "z": "cosdist_z", "z_centred": "cosdist_z_centred", "p": "cosdist_p"}
LINES = {
    "h": (SPACE_LABEL["h"], SPACE_COLOUR["h"], "--"),
    "z": ("logits z, as they are", GREEN, ":"),
    "z_centred": ("logits z, less their mean", ORANGE, "-"),
    "p": (SPACE_LABEL["p"], VERMILION, "-"),
}


def _means(trace: pd.DataFrame) -> pd.DataFrame:
    columns = {column: space for space, column in DISTANCES.items()}
    means = trace.groupby(["kind", "layer"])[list(columns)].mean().rename(columns=columns)
    means["positions"] = trace.groupby(["kind", "layer"]).size()
    return means.reset_index()


def compute_centred(context: Context) -> pd.DataFrame:
    """Mean 1 - cos in four spaces for each kind and layer."""
    return _means(context.recall(sublayers.sublayers))


def draw_centred(frame: pd.DataFrame) -> Canvas:
    """One panel for each kind."""
    canvas, axes = panels(1, 2, height=2.4, sharey=True)
    for axis, (kind, words) in zip(axes[0], KINDS.items(), strict=True):
        part = frame[frame["kind"] == kind]
        for space, (label, colour, style) in LINES.items():
            axis.plot(part["layer"], part[space], color=colour, ls=style, label=label)
        axis.set(title=words, yscale="log")
        layer_axis(axis)
    axes[0, 0].set_ylabel("mean 1 - cos, dense vs dropped")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=4)
    letter(axes[0].tolist())
    return canvas


def caption_centred(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "Mean 1 - cos between the dense vector and the vector with one sublayer left out, for each layer "
        f"({int(frame['positions'].max())} positions). Softmax ignores a shift common to all logits; the "
        "cosine of the logits does not. Orange: the same logits less their mean (one minus Pearson's "
        "correlation). Final norm applied, T = 1. The paper reports only the cosine of the logits as they "
        "are."
    )


def _inner(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["layer"].between(1, frame["layer"].max() - 1)]


def _common_part(frame: pd.DataFrame) -> Finding:
    part = _inner(frame)
    ratio = part["z_centred"] / part["z"]
    return count_passed(
        [bool(ratio.median() > 2), bool((ratio > 1).mean() > 0.9)],
        f"centred/raw 1-cos: median {ratio.median():.2g}, above 1 for {(ratio > 1).mean():.0%} of "
        f"{len(part)} inner sublayers",
    )


def _closer_than_hidden(column: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        part = _inner(frame)
        share = float((part[column] < part["h"]).mean())
        ratio = float((part["h"] / part[column]).median())
        return count_passed(
            [share >= 0.9, ratio > 2], f"{share:.0%} of inner sublayers, median h/z ratio {ratio:.2g}"
        )

    return judge


CENTRED = Figure(
    id="centred-logits",
    title="Cosine of the logits, with and without the part that softmax ignores",
    compute=compute_centred,
    draw=draw_centred,
    caption=caption_centred,
    claims=(
        Claim(
            "The logits' high cosine comes in part from a component common to all logits.",
            "ours; hypothesis on the paper's figure 4",
            "Over inner sublayers: 1-cos of centred logits at least twice that of raw ones in the median, "
            "and larger for over 90 %: both hold, one holds partly.",
            _common_part,
        ),
        Claim(
            "Logits are more robust than hidden states, as they are.",
            "paper, figure 4",
            "Over inner sublayers: smaller 1-cos than h for 90 %, and less than half of it in the median: "
            "both hold, one holds partly.",
            _closer_than_hidden("z"),
        ),
        Claim(
            "Logits are more robust than hidden states, also after centring.",
            "ours",
            "The same rule for centred logits.",
            _closer_than_hidden("z_centred"),
        ),
    ),
)
