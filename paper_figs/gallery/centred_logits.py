"""Ours: the cosine of logits without what the softmax ignores."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.gallery.fig04_layerwise import KINDS
from paper_figs.judging import count_passed, graded, percent
from paper_figs.limits import Limits, decided_share, geometric, mean_ratio
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


def prompt_means(trace: pd.DataFrame) -> pd.DataFrame:
    """Mean 1 - cos over the positions of each prompt, one row for each kind, layer and prompt."""
    columns = {column: space for space, column in DISTANCES.items()}
    grouped = trace.groupby(["kind", "layer", "prompt"])
    means = grouped[list(columns)].mean().rename(columns=columns)
    means["positions"] = grouped.size()
    return means.reset_index()


def ratio(frame: pd.DataFrame, above: str, below: str) -> Limits:
    """Mean of one column over that of another, with limits over prompts."""
    return mean_ratio(frame[above], frame[below], frame["prompt"])


def compute_centred(context: Context) -> pd.DataFrame:
    """Mean 1 - cos in four spaces for each kind, layer and prompt."""
    return prompt_means(context.recall(sublayers.sublayers)).assign(source=context.setup.model)


def draw_centred(frame: pd.DataFrame) -> Canvas:
    """One panel for each kind."""
    canvas, axes = panels(1, 2, height=2.4, sharey=True)
    for axis, (kind, words) in zip(axes[0], KINDS.items(), strict=True):
        means = frame[frame["kind"] == kind].groupby("layer")[list(LINES)].mean()
        for space, (label, colour, style) in LINES.items():
            axis.plot(means[space], color=colour, ls=style, label=label)
        axis.set(title=f"{words}, {frame['source'].iloc[0]}", yscale="log")
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
        f"({_positions(frame)} positions). Softmax ignores a shift common to all logits; the "
        "cosine of the logits does not. Orange: the same logits less their mean (one minus Pearson's "
        "correlation). Final norm applied, T = 1. The paper reports only the cosine of the logits as they "
        "are."
    )


def _inner(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["layer"].between(1, frame["layer"].max() - 1)]


def _positions(frame: pd.DataFrame) -> int:
    return int(frame.groupby(["kind", "layer"])["positions"].sum().max())


def _by_sublayer(frame: pd.DataFrame, above: str, below: str) -> tuple[Limits, Limits]:
    """Share of inner sublayers at which ``above`` exceeds ``below``; median over sublayers of their ratio."""
    part = _inner(frame)
    more = decided_share(ratio(rows, above, below).above(1) for _, rows in part.groupby(["kind", "layer"]))

    def middle(rows: pd.DataFrame) -> float:
        means = rows.groupby(["kind", "layer"])[[above, below]].mean()
        return float((means[above] / means[below]).median())

    return more, geometric(part, middle)


def _common_part(frame: pd.DataFrame) -> Finding:
    _, middle = _by_sublayer(frame, "z_centred", "z")
    return count_passed(
        [middle.above(2)], f"1-cos of centred over raw logits, median inner sublayer: {middle:.2g}"
    )


def _closer_than_hidden(column: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        more, middle = _by_sublayer(frame, "h", column)
        return graded(more, f"{percent(more)} of inner sublayers, h over z in the median one {middle:.2g}")

    return judge


def _takeaway(frame: pd.DataFrame) -> str:
    raw, centred = (_by_sublayer(frame, "h", column)[1].value for column in ("z", "z_centred"))
    return (
        f"Logits deviate {raw:.2g}x less than hidden states as they are, {centred:.2g}x less without the "
        "common shift that softmax ignores"
    )


CLAIMS = (
    Claim(
        "The logits' high cosine comes in part from a component common to all logits.",
        "ours; hypothesis on the paper's figure 4",
        "1-cos of centred logits over that of raw ones, in the median inner sublayer, above 2.",
        _common_part,
        Whose.OURS,
    ),
    Claim(
        "With one sublayer dropped, logits move less than hidden states, as they are.",
        "paper, figure 4",
        "Share of inner sublayers with smaller mean 1-cos in z than in h: holds from 90 %, partly from 50 %.",
        _closer_than_hidden("z"),
    ),
    Claim(
        "With one sublayer dropped, logits move less than hidden states, also after centring.",
        "ours",
        "The same rule for centred logits.",
        _closer_than_hidden("z_centred"),
        Whose.OURS,
    ),
)
CENTRED = listed("centred-logits", compute_centred, draw_centred, caption_centred, _takeaway, CLAIMS)
