"""Figure 5: relative orthogonal change of h and z at every step, one attention sublayer dropped."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.measured import sublayers
from paper_figs.style import COLUMN, SPACE_COLOUR, panels

LINES = {"relative_z": ("‖Δz⊥‖²/‖z‖²", "z"), "relative_h": ("‖Δh⊥‖²/‖h‖²", "h")}


def compute(context: Context) -> pd.DataFrame:
    """One row for each step."""
    trace = context.recall(sublayers.trajectory)
    trace = trace.loc[trace["layer"] == int(trace["layer"].max()) // 2 + 1]
    return trace[["layer", "step"]].assign(
        relative_z=trace["orthogonal_sq"], relative_h=trace["h_orthogonal_sq"]
    )


def draw(frame: pd.DataFrame) -> Canvas:
    """Two lines in units of one per cent, as in the paper."""
    canvas, ((axis,),) = panels(1, 1, width=COLUMN)
    for column, (label, space) in LINES.items():
        axis.plot(frame["step"], 100 * frame[column], color=SPACE_COLOUR[space], label=label)
    axis.set(xlabel="step", ylabel="relative magnitude, 10⁻²", ylim=(0, None))
    axis.legend(loc="upper right")
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        "Squared orthogonal change relative to the dense vector, of logits (final norm applied) and "
        f"residual stream, attention sublayer of layer {int(frame['layer'].iloc[0])} left out, {len(frame)} "
        "positions of one text sampled by the dense model (T = 1). The paper: attention layer 14 of "
        "Qwen2.5-7B-Instruct, 150 steps, no final norm; h up to 6e-2 and z near 0; values not published."
    )


def _logits_change_less(frame: pd.DataFrame) -> Finding:
    share = float((frame["relative_z"] < frame["relative_h"]).mean())
    middle = frame[list(LINES)].median()
    return Finding(
        graded(share),
        f"{share:.0%} of {len(frame)} steps; medians z {middle.iloc[0]:.2g}, h {middle.iloc[1]:.2g}",
    )


FIGURE = Figure(
    id="fig05",
    title="Relative orthogonal change of hidden state and logits at every step",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "The head damps: logits change less, relatively, than the hidden state.",
            "paper, figure 5",
            "Share of steps with the smaller relative change in z: holds from 90 %, partly from 50 %.",
            _logits_change_less,
        ),
    ),
)
