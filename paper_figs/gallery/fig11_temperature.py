"""Figure 11: truth and estimates at five temperatures."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.gallery.fig06_estimates import QUANTITIES
from paper_figs.judging import TRACKS_RULE, tracks
from paper_figs.measured import sublayers
from paper_figs.style import PAPER_ESTIMATE, QUANTITY_LABEL, TRUTH, legend_above, letter, panels

TEMPERATURES = (0.3, 0.5, 0.7, 1.0, 1.3)


def compute(context: Context) -> pd.DataFrame:
    """One row for each temperature, quantity and step of the same text."""
    rows = []
    for temperature in TEMPERATURES:
        trace = context.recall(sublayers.one_sublayer, temperature=temperature)
        rows += [
            trace[["layer", "step", "entropy"]].assign(
                temperature=temperature,
                quantity=quantity,
                truth=trace[quantity],
                estimate=trace[f"estimate_{quantity}"],
            )
            for quantity in QUANTITIES
        ]
    return pd.concat(rows, ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: quantity. Columns: temperature."""
    canvas, axes = panels(2, len(TEMPERATURES), height=1.7, sharex=True, sharey="row")
    for row, quantity in enumerate(QUANTITIES):
        for column, temperature in enumerate(TEMPERATURES):
            part = frame.query("quantity == @quantity and temperature == @temperature")
            axis = axes[row, column]
            axis.plot(part["step"], part["truth"], color=TRUTH, lw=0.8, label="truth")
            axis.plot(part["step"], part["estimate"], color=PAPER_ESTIMATE, lw=0.8, label="estimate (T2, T3)")
            axis.set(title=f"T = {temperature:g}", yscale="log")
        axes[row, 0].set_ylabel(QUANTITY_LABEL[quantity])
        shown = frame.loc[frame["quantity"] == quantity, "truth"]
        axes[row, 0].set_ylim(max(shown.quantile(0.02) / 3, 1e-12), 10 * shown.max())
    for axis in axes[-1]:
        axis.set_xlabel("step")
    legend_above(canvas, axes[0, 0], 2)
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"As figure 6 at T = {', '.join(f'{t:g}' for t in TEMPERATURES)}: the attention sublayer of layer "
        f"{int(frame['layer'].iloc[0])} left out at {frame['step'].nunique()} positions of one text that "
        "the dense model sampled at T = 1 (the same text for every temperature, so that only T differs; "
        "the paper samples anew at each T). Axes are cut below the 2nd percentile of the truth. The paper: "
        "Qwen2.5-7B-Instruct, linear axes, values not published."
    )


def _tracks_at_every_temperature(quantity: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        part = frame[frame["quantity"] == quantity]
        found = {str(t): tracks(group, "truth", "estimate") for t, group in part.groupby("temperature")}
        share = sum(finding.verdict == "holds" for finding in found.values()) / len(found)
        return Finding(graded(share), "; ".join(f"T {t}: {finding.evidence}" for t, finding in found.items()))

    return judge


def _monotone(frame: pd.DataFrame) -> Finding:
    middle = frame[frame["quantity"] == "cosdist_p"].groupby("temperature")["truth"].median().sort_index()
    share = float((middle.diff().dropna() < 0).mean())
    text = ", ".join(f"T {t:g}: {value:.2g}" for t, value in middle.items())
    return Finding(graded(share), f"median 1 - cos(p, q): {text}")


_RULE = (
    f"Each temperature by this rule: {TRACKS_RULE} Holds if it holds at 90 % of temperatures, partly "
    "from 50 %."
)

FIGURE = Figure(
    id="fig11",
    title="Truth and estimates at five temperatures",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "Theorem 2's estimate tracks the truth at every temperature.",
            "paper, figure 11a",
            _RULE,
            _tracks_at_every_temperature("cosdist_p"),
        ),
        Claim(
            "Theorem 3's estimate tracks the truth at every temperature.",
            "paper, figure 11b",
            _RULE,
            _tracks_at_every_temperature("kl"),
        ),
        Claim(
            "Lower temperature means larger deviation of the probabilities.",
            "paper, theorem 2 (1/T²)",
            "Median 1 - cos(p, q) falls from one temperature to the next higher: share of steps of the "
            "ladder, holds "
            "from 90 %, partly from 50 %.",
            _monotone,
        ),
    ),
)
