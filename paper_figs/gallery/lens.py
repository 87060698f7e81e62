"""Ours: the lens with and without the final norm."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.gallery.centred_logits import prompt_means, ratio
from paper_figs.gallery.fig04_layerwise import KINDS
from paper_figs.judging import count_passed
from paper_figs.limits import Limits, geometric, over
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
        prompt_means(context.recall(sublayers.sublayers, final_norm=norm)).assign(lens=LENSES[norm])
        for norm in LENSES
    ]
    return pd.concat(rows, ignore_index=True).assign(source=context.setup.model)


def draw_lens(frame: pd.DataFrame) -> Canvas:
    """Rows: space. Columns: kind."""
    canvas, axes = panels(2, 2, height=1.9, sharex=True, sharey="row")
    for row, (space, words) in enumerate((("z", "mean 1 - cos(z, z')"), ("p", "mean 1 - cos(p, q)"))):
        for column, kind in enumerate(KINDS):
            axis = axes[row, column]
            for lens, style in zip(LENSES.values(), ("-", "--"), strict=True):
                part = frame[(frame["kind"] == kind) & (frame["lens"] == lens)]
                prompts = part.groupby("layer")[space]
                low, high = prompts.quantile(0.1), prompts.quantile(0.9)
                axis.fill_between(low.index, low, high, color=SPACE_COLOUR[space], alpha=0.15, lw=0)
                axis.plot(prompts.mean(), color=SPACE_COLOUR[space], ls=style, label=lens)
            axis.set(title=f"{KINDS[kind]}, {frame['source'].iloc[0]}", yscale="log")
        axes[row, 0].set_ylabel(words)
    for axis in axes[-1]:
        layer_axis(axis)
    legend_above(canvas, axes[0, 0], 2, "mean; band: 10th to 90th percentile of prompts")
    letter(axes.ravel().tolist())
    return canvas


def caption_lens(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "The same dropped sublayers seen through two lenses: residual stream, final norm, head (ours), and "
        "residual stream, head, without the norm, as the paper's scripts do. Without the norm the logits "
        "of early layers are small and p is nearly uniform: the size of the residual stream acts as a "
        f"temperature. Mean over {frame['prompt'].nunique()} prompts, T = 1."
    )


def _same_picture(frame: pd.DataFrame) -> Finding:
    rank, middle = over(frame, _rank), _without_over_with(frame)
    return count_passed(
        [rank.above(0.8), middle.above(0.5), middle.below(2)],
        f"rank correlation over sublayers {rank:.2f}, median 1-cos(p, q) without over with the norm "
        f"{middle:.2g}",
    )


def _lenses(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Mean 1 - cos(p, q) of every sublayer, with and without the norm."""
    table = frame.pivot_table(index=["kind", "layer"], columns="lens", values="p")
    normed, plain = (table[name] for name in LENSES.values())
    return normed, plain


def _rank(frame: pd.DataFrame) -> float:
    normed, plain = _lenses(frame)
    return float(normed.corr(plain, method="spearman"))


def _without_over_with(frame: pd.DataFrame) -> Limits:
    def middle(part: pd.DataFrame) -> float:
        normed, plain = _lenses(part)
        return float((plain / normed).median())

    return geometric(frame, middle)


def _first_layer(frame: pd.DataFrame) -> Finding:
    first = frame[(frame["layer"] == 0) & (frame["kind"] == "attn")]
    plain = ratio(first[first["lens"] == LENSES[False]], "p", "h")
    wide = first.pivot_table(index="prompt", columns="lens", values="p").reset_index()
    normed = ratio(wide, LENSES[True], LENSES[False])
    return count_passed(
        [plain.below(1), normed.above(1)],
        f"1-cos at attention 0: p over h without the norm {plain:.2g}; p with over without the norm "
        f"{normed:.2g}",
    )


def _takeaway(frame: pd.DataFrame) -> str:
    middle = _without_over_with(frame).value
    word = "less" if middle < 1 else "more"
    return (
        f"Without the final norm probabilities seem to move {max(middle, 1 / middle):.2g}x {word} "
        "(median sublayer)"
    )


CLAIMS = (
    Claim(
        "Leaving out the final norm does not change the picture.",
        "implied by the paper's protocol",
        "Over all sublayers: rank correlation of mean 1-cos(p,q) above 0.8, median ratio without over with "
        "the norm above 0.5, and below 2: all hold, some partly.",
        _same_picture,
    ),
    Claim(
        "That probabilities look most stable at layer 0 is made by the missing norm.",
        "ours, on the paper's figure 4",
        "At attention layer 0: without the norm p moves less than h; with it p moves more than "
        "without: both hold, one holds partly.",
        _first_layer,
        Whose.OURS,
    ),
)
LENS = listed("lens", compute_lens, draw_lens, caption_lens, _takeaway, CLAIMS)
