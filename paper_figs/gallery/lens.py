"""Ours: the lens with and without the final norm."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery.centred_logits import _means
from paper_figs.gallery.fig04_layerwise import KINDS
from paper_figs.judging import count_passed
from paper_figs.measured import sublayers
from paper_figs.style import (
    SPACE_COLOUR,
    layer_axis,
    legend_above,
    letter,
    panels,
)

LENSES = {True: "with the final norm", False: "without (as in the paper)"}


def compute_lens(context: Context) -> pd.DataFrame:
    """As ``compute_centred``, for both lenses."""
    rows = [
        _means(context.recall(sublayers.sublayers, final_norm=norm)).assign(lens=LENSES[norm])
        for norm in LENSES
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
