"""What figures 14 to 21 share: attention layer by attention layer, every step of one text; one trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, listed
from paper_figs.judging import WITHIN
from paper_figs.limits import Limits, blocks, geometric
from paper_figs.measured import sublayers
from paper_figs.style import PAPER_ESTIMATE, TRUTH, layer_axis, letter, panels
from theory import catalogue

NEAR, FAR = 3.0, 30.0  # factors around 1 that the axis of estimate over truth shows, at least and at most
DECADES = 9  # that an axis shows: where p is one token, changes are smaller than anything worth seeing


@dataclass(frozen=True)
class Line:
    """A column of the table with its name in the legend."""

    column: str
    label: str
    colour: str


@dataclass(frozen=True)
class Layers:
    """One figure of the family: which columns, on what axis, and what the paper says about them.

    ``estimate``: the second line is an estimate of the first, and gets an axis of its own, over the truth.
    """

    id: str
    lines: tuple[Line, ...]
    unit: str
    words: str
    takeaway: Callable[[pd.DataFrame], str]
    claims: tuple[Claim, ...]
    estimate: bool = False


def compute(context: Context, columns: list[str]) -> pd.DataFrame:
    """Layer, step and the chosen columns of the family's one table."""
    return context.recall(per_layer)[["layer", "step", *columns]].assign(source=context.setup.model)


def per_layer(context: Context) -> pd.DataFrame:
    """Everything the family shows, one row for each attention layer and step."""
    trace = context.recall(sublayers.trajectory).query("kind == 'attn'")
    column = {name: torch.tensor(trace[name].to_numpy()) for name in trace.columns if name != "kind"}

    def estimate(theorem: str, **values: torch.Tensor) -> object:
        return catalogue[theorem].approximate(column | values).numpy()

    return pd.DataFrame(
        {
            "layer": trace["layer"],
            "step": trace["step"],
            "kl": trace["kl"],
            "kl_estimate": estimate("T3"),
            "cosdist_p": trace["cosdist_p"],
            "cosdist_p_estimate": estimate("T2"),
            "cosdist_h": trace["h_cosdist"],
            "cosdist_h_estimate": estimate("T1", orthogonal_sq=column["h_orthogonal_sq"]),
            "cosdist_z": trace["cosdist_z"],
            "cosdist_z_estimate": estimate("T1"),
            "relative_h": trace["h_orthogonal_sq"],
            "relative_z": trace["orthogonal_sq"],
            "var_u": trace["var_u"],
            "var_r": trace["var_r"],
            "var_r_over_h": trace["var_r"] / trace["h_orthogonal_sq"],
            "var_r_over_z": trace["var_r"] / trace["orthogonal_sq"],
        }
    ).reset_index(drop=True)


def draw(frame: pd.DataFrame, layers: Layers) -> Canvas:
    """Median and 10th to 90th percentile over steps against the layer; beside it the estimate over truth."""
    columns = 2 if layers.estimate else 1
    canvas, axes = panels(1, columns, width=7.0 if layers.estimate else 4.6, height=2.4)
    shown = layers.lines[:1] if layers.estimate else layers.lines
    for line in shown:
        _spread(axes[0, 0], frame["layer"], frame[line.column], line.colour, line.label)
    axes[0, 0].set(yscale="log", ylabel=layers.unit, title=f"attention left out, {frame['source'].iloc[0]}")
    values = frame[[line.column for line in shown]].to_numpy()
    top = values[values > 0].max(initial=1e-300)
    axes[0, 0].set_ylim(max(axes[0, 0].get_ylim()[0], top * 10.0**-DECADES), None)
    if layers.estimate:
        truth, guess = layers.lines
        axis = axes[0, 1]
        axis.axhspan(1 / WITHIN, WITHIN, color=TRUTH, alpha=0.12, lw=0, label=f"within a factor {WITHIN:g}")
        axis.axhline(1, color=TRUTH, lw=0.8)
        known = frame[(frame[truth.column] > 0) & (frame[guess.column] > 0)]
        ratio = known[guess.column] / known[truth.column]
        _spread(axis, known["layer"], ratio, PAPER_ESTIMATE, guess.label)
        axis.set(yscale="log", ylabel="estimate / truth", title="paper's estimate")
        _keep_near(axis, ratio.groupby(known["layer"]))
    found = [axis.get_legend_handles_labels() for axis in axes[0]]
    handles = [handle for some, _ in found for handle in some]
    labels = [label for _, some in found for label in some]
    band = "median; band: 10th to 90th percentile of positions"
    canvas.legend(handles, labels, loc="outside upper center", ncols=4, title=band)
    if layers.estimate:
        letter(axes[0].tolist())
    return canvas


def _keep_near(axis: Axes, ratio: Any) -> None:
    """Show at least a factor ``NEAR`` and at most ``FAR``; say which layers' bands reach beyond."""
    low, high = ratio.quantile(0.1), ratio.quantile(0.9)
    bottom, top = axis.get_ylim()
    axis.set_ylim(min(1 / NEAR, max(1 / FAR, bottom)), max(NEAR, min(FAR, top)))
    beyond = low.index[(low < 1 / FAR) | (high > FAR)]
    if len(beyond):
        axis.text(
            *(0.98, 0.03), f"bands beyond the axis: layer {', '.join(map(str, beyond))}",
            transform=axis.transAxes, ha="right", fontsize=6,
        )  # fmt: skip


def _spread(axis: Axes, layer: pd.Series, values: pd.Series, colour: str, label: str) -> None:
    grouped = values.groupby(layer.to_numpy())
    low, middle, high = (grouped.quantile(level) for level in (0.1, 0.5, 0.9))
    axis.fill_between(low.index, low, high, color=colour, alpha=0.2, lw=0)
    axis.plot(middle, "o-", ms=2, color=colour, label=label)
    layer_axis(axis)


def caption(frame: pd.DataFrame, setup: Setup, layers: Layers) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"{layers.words} Input against output of the attention sublayer of every layer, "
        f"{frame['step'].nunique()} positions of one text sampled by the dense model (T = 1, one open "
        "prompt), "
        "logits through the final norm; the CSV has every position. The dense vector (with the sublayer) is "
        "the reference and the divisor. The paper shows 28 layers of Qwen2.5-7B-Instruct, without the final "
        "norm, "
        "a panel for each layer; its values are not published, so there is no overlay."
    )


def by_block(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column ``block``: eight pieces of the text stand for independent units."""
    return frame.assign(block=blocks(frame["step"]))


def layer_ratios(frame: pd.DataFrame, above: str, below: str) -> list[Limits]:
    """Median over steps of one column over that of another, layer by layer, with limits over blocks."""
    return [
        geometric(part, lambda rows: float(rows[above].median() / rows[below].median()), "block")
        for _, part in by_block(frame).groupby("layer")
    ]


def layer_medians(frame: pd.DataFrame, column: str) -> pd.Series:
    """Median over steps, by layer."""
    return frame.groupby("layer")[column].median()


def growth(frame: pd.DataFrame, column: str) -> float:
    """Median layer of the last third over that of the first third."""
    middle = layer_medians(frame, column)
    third = max(1, len(middle) // 3)
    return float(np.median(middle.iloc[-third:]) / np.median(middle.iloc[:third]))


def figure(layers: Layers) -> Figure:
    """The figure that shows ``layers``."""
    return listed(
        layers.id,
        partial(compute, columns=[line.column for line in layers.lines]),
        partial(draw, layers=layers),
        partial(caption, layers=layers),
        layers.takeaway,
        layers.claims,
    )
