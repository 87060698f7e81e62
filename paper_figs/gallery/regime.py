"""Ours: when does the softmax amplify? Amplification against the entropy of p at every measured position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs import traces
from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.judging import count_passed
from paper_figs.style import BLACK, BLUE, GREY, panels

REFERENCES = {
    "raw": ("1-cos(p,q) over 1-cos(z,z')", "cosdist_z"),
    "centred": ("1-cos(p,q) over 1-cos of centred logits", "cosdist_z_centred"),
    "hidden": ("1-cos(p,q) over 1-cos(h,h')", "h_cosdist"),
}
BINS = 12


def compute(context: Context) -> pd.DataFrame:
    """Entropy and three amplification ratios, one row for each inner sublayer and position."""
    trace = context.recall(traces.sublayers)
    trace = trace[trace["layer"].between(1, trace["layer"].max() - 1)]
    ratios = {name: trace["cosdist_p"] / trace[column] for name, (_, column) in REFERENCES.items()}
    frame = trace[["kind", "layer", "prompt", "step", "entropy", "p_max"]].assign(**ratios)
    return frame.replace([np.inf, 0.0], np.nan).dropna().reset_index(drop=True)


def _binned(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    bins = pd.qcut(frame["entropy"], BINS, duplicates="drop")
    grouped = frame.groupby(bins, observed=True)
    low, middle, high = (grouped[name].quantile(level) for level in (0.1, 0.5, 0.9))
    return pd.DataFrame({"entropy": grouped["entropy"].median(), "low": low, "middle": middle, "high": high})


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel for each reference: positions, binned medians and 10th to 90th percentile."""
    canvas, axes = panels(1, 3, height=2.5, sharex=True, sharey=True)
    shown = frame.sample(min(len(frame), 4000), random_state=0)
    for axis, (name, (title, _)) in zip(axes[0], REFERENCES.items(), strict=True):
        axis.scatter(shown["entropy"], shown[name], s=1, color=GREY, alpha=0.3, lw=0, rasterized=True)
        table = _binned(frame, name)
        axis.fill_between(table["entropy"], table["low"], table["high"], color=BLUE, alpha=0.25, lw=0)
        axis.plot(table["entropy"], table["middle"], "o-", color=BLUE)
        axis.axhline(1, color=BLACK, lw=0.8)
        axis.set(title=title, xscale="log", yscale="log", xlabel="entropy of p, nats", ylim=(1e-5, 1e5))
        axis.title.set_fontsize(7)
    axes[0, 0].set_ylabel("amplification")
    for axis in axes[0]:
        axis.set_xlim(1e-3, None)
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "How much larger the change of p is than that of the space named above each panel, against the "
        f"entropy of the dense p, at {len(frame)} positions (inner sublayers dropped one at a time, final "
        "norm, T = 1). Grey: positions (at most 4000 shown); blue: median and 10th to 90th percentile in "
        "bins of equal count. Above the black line the softmax amplifies. The paper speaks of "
        "amplification without a regime."
    )


def _amplifies(name: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        share = float((frame[name] > 1).mean())
        return Finding(graded(share), f"{share:.0%} of positions, median ratio {frame[name].median():.2g}")

    return judge


def _saturates(frame: pd.DataFrame) -> Finding:
    table = _binned(frame, "centred")
    lowest, peak = float(table["middle"].iloc[0]), float(table["middle"].max())
    passed = [lowest < 1, lowest < peak / 10]
    return count_passed(
        passed,
        f"median amplification {lowest:.2g} in the bin of lowest entropy ({table['entropy'].iloc[0]:.2g} "
        f"nats), {peak:.2g} at its peak ({table['entropy'].iloc[int(table['middle'].argmax())]:.2g} nats)",
    )


_SHARE = "Share of positions with a ratio above 1: holds from 90 %, partly from 50 %."
FIGURE = Figure(
    id="regime",
    title="When the softmax amplifies: amplification against entropy",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "The softmax amplifies the logits' deviation.",
            "paper, sections on the probability space",
            _SHARE,
            _amplifies("raw"),
        ),
        Claim(
            "It also amplifies the part of the logits' deviation that it can see.",
            "ours (centred logits)",
            _SHARE,
            _amplifies("centred"),
        ),
        Claim(
            "Probabilities deviate more than hidden states.", "paper, figure 4", _SHARE, _amplifies("hidden")
        ),
        Claim(
            "A confident model damps: at low entropy the amplification is below one.",
            "a reviewer's question",
            "In the bin of lowest entropy: median below 1, and below a tenth of the peak: both hold, one "
            "holds partly.",
            _saturates,
        ),
    ),
)
