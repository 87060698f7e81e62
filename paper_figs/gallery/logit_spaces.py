"""Ours: the logit cosine without what softmax ignores, and the lens with and without the final norm."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs import traces
from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery.fig04_layerwise import KINDS
from paper_figs.judging import count_passed
from paper_figs.style import (
    GREEN,
    ORANGE,
    SPACE_COLOUR,
    SPACE_LABEL,
    VERMILION,
    layer_axis,
    legend_above,
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
LENSES = {True: "with the final norm", False: "without (as in the paper)"}


def _means(trace: pd.DataFrame) -> pd.DataFrame:
    columns = {column: space for space, column in DISTANCES.items()}
    means = trace.groupby(["kind", "layer"])[list(columns)].mean().rename(columns=columns)
    means["positions"] = trace.groupby(["kind", "layer"]).size()
    return means.reset_index()


def compute_centred(context: Context) -> pd.DataFrame:
    """Mean 1 - cos in four spaces for each kind and layer."""
    return _means(context.recall(traces.sublayers))


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


def compute_lens(context: Context) -> pd.DataFrame:
    """As ``compute_centred``, for both lenses."""
    rows = [
        _means(context.recall(traces.sublayers, final_norm=norm)).assign(lens=LENSES[norm]) for norm in LENSES
    ]
    return pd.concat(rows, ignore_index=True)


def draw_lens(frame: pd.DataFrame) -> Canvas:
    """Rows: space. Columns: kind."""
    canvas, axes = panels(2, 2, height=1.9, sharex=True, sharey="row")
    for row, (space, words) in enumerate((("z", "mean 1 - cos(z, z')"), ("p", "mean 1 - cos(p, q)"))):
        for column, kind in enumerate(KINDS):
            axis = axes[row, column]
            for lens, style in zip(LENSES.values(), ("-", "--"), strict=True):
                part = frame[(frame["kind"] == kind) & (frame["lens"] == lens)]
                axis.plot(part["layer"], part[space], color=SPACE_COLOUR[space], ls=style, label=lens)
            axis.set(title=KINDS[kind], yscale="log")
        axes[row, 0].set_ylabel(words)
    for axis in axes[-1]:
        layer_axis(axis)
    legend_above(canvas, axes[0, 0], 2)
    letter(axes.ravel().tolist())
    return canvas


def caption_lens(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "The same dropped sublayers seen through two lenses: residual stream, final norm, head (ours), and "
        "residual stream, head, without the norm, as the paper's scripts do. Without the norm the logits "
        "of early layers are small and p is nearly uniform: the size of the residual stream acts as a "
        f"temperature. Mean over {int(frame['positions'].max())} positions, T = 1."
    )


def _same_picture(frame: pd.DataFrame) -> Finding:
    table = frame.pivot_table(index=["kind", "layer"], columns="lens", values="p")
    normed, plain = (table[name] for name in LENSES.values())
    rank, ratio = float(normed.corr(plain, method="spearman")), float((plain / normed).median())
    return count_passed(
        [rank >= 0.8, 0.5 <= ratio <= 2],
        f"rank correlation over sublayers {rank:.2f}, median ratio without/with the norm {ratio:.2g}",
    )


def _first_layer(frame: pd.DataFrame) -> Finding:
    first = frame[(frame["layer"] == 0) & (frame["kind"] == "attn")].set_index("lens")
    normed, plain = (first.loc[name] for name in LENSES.values())
    passed = [bool(plain["p"] < plain["h"]), bool(normed["p"] > plain["p"])]
    return count_passed(
        passed,
        f"1-cos at attention 0: h {plain['h']:.2g}; p without the norm {plain['p']:.2g}, with it "
        f"{normed['p']:.2g}",
    )


LENS = Figure(
    id="lens",
    title="The logit lens with and without the final norm",
    compute=compute_lens,
    draw=draw_lens,
    caption=caption_lens,
    claims=(
        Claim(
            "Leaving out the final norm does not change the picture.",
            "implied by the paper's protocol",
            "Over all sublayers: rank correlation of mean 1-cos(p,q) at least 0.8, and median ratio "
            "between 0.5 and 2: both hold, one holds partly.",
            _same_picture,
        ),
        Claim(
            "That probabilities look most stable at layer 0 is made by the missing norm.",
            "ours, on the paper's figure 4",
            "At attention layer 0: without the norm p moves less than h; with it p moves more than "
            "without: both hold, one holds partly.",
            _first_layer,
        ),
    ),
)
FIGURES = (CENTRED, LENS)
