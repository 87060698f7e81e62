"""What figures 14 to 21 share: one panel for each attention layer, every step of one text; one trace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure
from paper_figs.measured import sublayers
from paper_figs.style import layer_grid
from theory import catalogue

DECADES = 9  # that an axis shows: where p is one token, changes are smaller than anything worth seeing


@dataclass(frozen=True)
class Line:
    """A column of the table with its name in the legend."""

    column: str
    label: str
    colour: str


@dataclass(frozen=True)
class Panels:
    """One figure of the family: which lines, on what axis, and what the paper says about them."""

    id: str
    title: str
    lines: tuple[Line, ...]
    unit: str
    words: str
    claims: tuple[Claim, ...]


def compute(context: Context, columns: list[str]) -> pd.DataFrame:
    """Layer, step and the chosen columns of the family's one table."""
    return context.recall(per_layer)[["layer", "step", *columns]]


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


def draw(frame: pd.DataFrame, panels: Panels) -> Canvas:
    """A small panel for each layer, logarithmic, each with its own axis."""
    canvas, axes = layer_grid(sorted(frame["layer"].unique()))
    for axis, (_, part) in zip(axes, frame.groupby("layer"), strict=True):
        for line in panels.lines:
            axis.plot(part["step"], part[line.column], color=line.colour, lw=0.6, label=line.label)
        axis.set(yscale="log", ylim=_decades(part[[line.column for line in panels.lines]].to_numpy()))
        axis.minorticks_off()
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="upper center", ncols=len(labels))
    canvas.supxlabel("step", fontsize=8)
    canvas.supylabel(panels.unit, fontsize=8)
    return canvas


def _decades(values: NDArray[np.float64]) -> tuple[float, float]:
    """Whole decades that hold the values, so that every axis has two labels; at most ``DECADES``."""
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    return float(10 ** max(low, high - DECADES)), float(10 ** max(high, low + 1))


def caption(frame: pd.DataFrame, setup: Setup, panels: Panels) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"{panels.words} Input against output of the attention sublayer of every layer, "
        f"{frame['step'].nunique()} positions of one text sampled by the dense model (T = 1, one open "
        "prompt), each panel on its own logarithmic axis (at most nine decades); logits through the final "
        "norm. The dense vector (with the sublayer) is the reference and the divisor. The paper shows 28 "
        "layers of Qwen2.5-7B-Instruct, without the final norm, on linear axes; its values are not "
        "published, so there is no overlay."
    )


def layer_medians(frame: pd.DataFrame) -> pd.DataFrame:
    """Median over steps of every column, by layer."""
    return frame.groupby("layer").median()


def figure(panels: Panels) -> Figure:
    """The figure that shows ``panels``."""
    return Figure(
        id=panels.id,
        title=panels.title,
        compute=partial(compute, columns=[line.column for line in panels.lines]),
        draw=partial(draw, panels=panels),
        caption=partial(caption, panels=panels),
        claims=panels.claims,
    )
