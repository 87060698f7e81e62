"""Ours: when does the most probable token change? Flips against the margin, with the certificate."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import as_proved, count_passed, percent, untested
from paper_figs.limits import Limits, over, share
from paper_figs.measured import pruned
from paper_figs.style import BLACK, SERIES, legend_above, letter, panels
from paper_figs.words import in_words

SPECS = ("attn:1", "attn:4", "attn:8", "mlp:1", "mlp:4")
BINS = 8
IN_BIN = 6  # positions in a bin, at least: few positions make few bins


def compute(context: Context) -> pd.DataFrame:
    """Margin, oscillation and whether the top token changed, one row for each spec and position."""
    trace = context.recall(pruned.joint, specs=list(SPECS))
    frame = trace[["spec", "prompt", "step", "margin", "oscillation", "entropy"]]
    return frame.assign(
        flipped=~trace["top1_agree"],
        relative=trace["margin"] / trace["oscillation"],
        certified=trace["margin"] > trace["oscillation"],
    )


def draw(frame: pd.DataFrame) -> Canvas:
    """Left: against the margin. Right: against margin over oscillation, where 1 certifies."""
    canvas, axes = panels(1, 2, height=2.4, sharey=True)
    for axis, column in zip(axes[0], ("margin", "relative"), strict=True):
        for spec, colour in zip(SPECS, SERIES, strict=False):
            part = frame[frame["spec"] == spec]
            count = max(1, min(BINS, len(part) // IN_BIN))
            bins = part.groupby(pd.qcut(part[column], count, duplicates="drop"), observed=True)
            rate, error = bins["flipped"].mean(), bins["flipped"].sem()
            axis.errorbar(
                bins[column].median(),
                rate,
                yerr=error,
                color=colour,
                lw=1,
                elinewidth=0.6,
                marker="o",
                label=in_words(spec),
            )
        axis.set(xscale="log", ylim=(-0.02, 1))
    axes[0, 0].set(title="margin alone", xlabel="margin: top logit less second", ylabel="top token changed")
    axes[0, 1].set(title="margin over what moved", xlabel="margin / oscillation of Δz")
    for axis in axes[0]:
        axis.minorticks_off()
    axes[0, 1].axvline(1, color=BLACK, lw=0.8)
    axes[0, 1].text(1.05, 0.9, "certified:\nno flip", fontsize=6)
    axes[0, 1].set_xlim(None, max(2.0, 1.2 * frame["relative"].max()))
    legend_above(canvas, axes[0, 0], 3, "share of positions; bars: one standard error")
    letter(axes[0].tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    count = len(frame) // frame["spec"].nunique()
    return (
        "Share of positions whose most probable token changes under joint dropping, in bins of equal count "
        f"({count} positions of dense texts for each spec, teacher-forced; bars: one standard error, "
        "positions taken as independent). Where the margin exceeds the oscillation of the change, no flip "
        "is possible (G10, H2). Greedy decoding first diverges at the first flip (G10)."
    )


def _margin_predicts(frame: pd.DataFrame) -> Finding:
    passed, words = [], []
    for spec, part in frame.groupby("spec"):
        low, high = _rates(part)
        close = part["margin"] <= part["margin"].median()
        gap = over(
            part.assign(weight=close.map({True: 1.0, False: -2.0}) * part["flipped"]),
            lambda rows: float(rows["weight"].mean()),
        )
        passed.append(gap.above(0))
        words.append(f"{spec} {percent(low)} / {percent(high)}")
    return count_passed(passed, f"flips below / above the median margin: {', '.join(words)}")


def _rates(part: pd.DataFrame) -> tuple[Limits, Limits]:
    """Share of flips at margins up to the median, and above it."""
    close = part["margin"] <= part["margin"].median()
    low, high = (share(rows["flipped"], rows["prompt"]) for rows in (part[close], part[~close]))
    return low, high


def _certificate(frame: pd.DataFrame) -> Finding:
    sure = frame[frame["certified"]]
    if not len(sure):
        return untested(f"the margin exceeds the oscillation at none of {len(frame)} positions")
    return as_proved(
        not sure["flipped"].any(),
        f"{int(sure['flipped'].sum())} flips at {len(sure)} certified of {len(frame)} positions",
    )


def _takeaway(frame: pd.DataFrame) -> str:
    rates = {str(spec): _rates(part) for spec, part in frame.groupby("spec", sort=False)}
    spec = next(iter(rates))
    low, high = rates[spec]
    return (
        f"{in_words(spec)}: {low.value:.0%} of the close calls flip and {high.value:.0%} of the tokens "
        "the model is sure of"
    )


CLAIMS = (
    Claim(
        "Tokens that the dense model is sure of survive; close calls flip.",
        "ours, theorem H2",
        "For every spec: flips at margins below the median more than twice as frequent as above; all "
        "hold, some partly (limits over prompts).",
        _margin_predicts,
        Whose.OURS,
        ("H2",),
    ),
    Claim(
        "No token flips where the margin exceeds the oscillation.",
        "ours, theorem G10",
        "A theorem: contradicted by one such flip; not tested if no margin is that large.",
        _certificate,
        Whose.THEOREM,
        ("G10",),
    ),
)
FIGURE = listed("flips", compute, draw, caption, _takeaway, CLAIMS)
