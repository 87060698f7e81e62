"""Figure 6: at every step the truth, the paper's estimate, ours, and the certified bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import TRACKS_RULE, WITHIN, as_proved, count_passed, graded, within
from paper_figs.limits import Limits, blocks, geometric
from paper_figs.measured import reference, sublayers
from paper_figs.style import BOUND, OUR_ESTIMATE, PAPER_ESTIMATE, QUANTITY_LABEL, TRUTH, letter, panels

QUANTITIES = {"cosdist_p": ("T2", "D2"), "kl": ("T3", "D3")}
ESTIMATES = {"estimate": ("paper's", PAPER_ESTIMATE, "o"), "our_estimate": ("symmetric", OUR_ESTIMATE, "s")}


def compute(context: Context) -> pd.DataFrame:
    """One row for each step and quantity: truth, two estimates, certified lower and upper bound."""
    trace = context.recall(sublayers.one_sublayer, temperature=1.0, certified=True)
    rows = [
        trace[["step", "layer", "oscillation"]].assign(
            quantity=quantity,
            truth=trace[quantity],
            estimate=trace[f"estimate_{quantity}"],
            our_estimate=trace[f"our_estimate_{quantity}"],
            lower=trace[f"lower_{quantity}"],
            upper=trace[f"upper_{quantity}"],
            source=context.setup.model,
        )
        for quantity in QUANTITIES
    ]
    return pd.concat([*rows, reference.estimates()], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Estimate over truth against truth. Rows: quantity. Columns: this model with bounds, the paper's."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(2, len(sources), sharey="row", sharex="row")
    for row, (quantity, (paper, ours)) in enumerate(QUANTITIES.items()):
        for column, source in enumerate(sources):
            part = frame.query("quantity == @quantity and source == @source and truth > 0").sort_values(
                "truth"
            )
            _scatter(axes[row, column], part)
            axes[row, column].set(
                title=f"{paper} and {ours}, {source}" if column == 0 else f"{paper}, {source}"
            )
            axes[row, column].set_xlabel(f"{QUANTITY_LABEL[quantity]} (truth)")
        axes[row, 0].set_ylabel("estimate / truth")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=4)
    letter(axes.ravel().tolist())
    return canvas


def _scatter(axis: Axes, part: pd.DataFrame) -> None:
    """Positions in the order of their truth; the band is what is certain of the truth."""
    if part["upper"].notna().any():
        axis.fill_between(
            *(part["truth"], part["lower"] / part["truth"], part["upper"] / part["truth"]),
            color=BOUND, alpha=0.25, lw=0, label="certified interval (C9) / truth",
        )  # fmt: skip
    for edge, label in ((1 / WITHIN, f"a factor {WITHIN:g}"), (WITHIN, None)):
        axis.axhline(edge, color=TRUTH, lw=0.8, ls=":", label=label)
    axis.axhline(1, color=TRUTH, lw=0.8)
    for column, (words, colour, marker) in ESTIMATES.items():
        known = part[part[column] > 0]
        if len(known):
            axis.plot(
                *(known["truth"], known[column] / known["truth"]), marker,
                color=colour, ms=2.5, mew=0, alpha=0.8, label=f"{words} estimate",
            )  # fmt: skip
    low = part["truth"].quantile(0.01)
    axis.set(xscale="log", yscale="log", ylim=(0.05, 20), xlim=(low / 2, 2 * part["truth"].max()))


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    ours = frame[frame["source"] == setup.model]
    layer, steps = int(ours["layer"].iloc[0]), ours["step"].nunique()
    return (
        f"The attention sublayer of layer {layer} is left out at {steps} positions sampled by the dense "
        "model "
        "(one open prompt, T = 1; logits through the final norm); each point is a position, estimate divided "
        "by the measured 1 - cos(p, q) or KL(p||q). Orange: the paper's estimates, Var_r/2T^2 (T2) and "
        "Var_p/2T^2 (T3). Purple: with both models' weights, 1 - exp(-Var_w/2), w ~ pq (D2), and (2 Var_p + "
        "Var_q)/6 (D3). Light band: the interval that certainly contains the truth in spite of rounding "
        "(C9), "
        "over the truth. Right: Qwen2.5-7B-Instruct, attention layer 12, 204 steps, from the repository of "
        "the paper; it has no final norm before the head, and no bounds. The paper draws both against the "
        "step."
    )


def _ours(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    part = frame[(frame["quantity"] == quantity) & frame["upper"].notna()]
    return part.assign(block=blocks(part["step"]))


def _tracks(quantity: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        part = _ours(frame, quantity)
        return graded(*within(part, "truth", "estimate", part["block"]))

    return judge


def _contained(frame: pd.DataFrame) -> Finding:
    part = frame[frame["upper"].notna()]
    inside = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
    width = ((part["upper"] - part["lower"]) / part["truth"]).median()
    return as_proved(
        bool(inside.all()), f"{inside.sum()} of {len(part)} truths inside, median width/truth {width:.2g}"
    )


def _error(part: pd.DataFrame, estimate: str) -> float:
    """Median |log(estimate/truth)|."""
    known = part[(part["truth"] > 0) & (part[estimate] > 0)]
    return float(np.median(np.abs(np.log(known[estimate] / known["truth"]))))


def _gains(frame: pd.DataFrame) -> dict[str, Limits]:
    """Error of the symmetric estimate over that of the paper's."""
    return {
        quantity: geometric(
            _ours(frame, quantity),
            lambda part: _error(part, "our_estimate") / _error(part, "estimate"),
            "block",
        )
        for quantity in QUANTITIES
    }


def _closer(frame: pd.DataFrame) -> Finding:
    gains = _gains(frame)
    text = "; ".join(f"{name} {gain:.2f}" for name, gain in gains.items())
    return count_passed(
        [gain.below(1) for gain in gains.values()], f"median log error, symmetric over paper's: {text}"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    shares = {
        paper: within(part, "truth", "estimate", part["block"])[0].value
        for quantity, (paper, _) in QUANTITIES.items()
        for part in [_ours(frame, quantity)]
    }
    text = " and ".join(f"{name} at {value:.0%}" for name, value in shares.items())
    return f"The paper's estimates are within a factor {WITHIN:g} of the truth: {text} of positions"


CLAIMS = (
    Claim(
        "1 - cos(p, q) is about Var_r/2T^2.",
        "paper, theorem 2 and figure 6a",
        TRACKS_RULE,
        _tracks("cosdist_p"),
        theorems=("T2",),
    ),
    Claim(
        "KL(p||q) is about Var_p/2T^2.",
        "paper, theorem 3 and figure 6b",
        TRACKS_RULE,
        _tracks("kl"),
        theorems=("T3",),
    ),
    Claim(
        "The certified interval contains the truth at every step.",
        "ours, theorem C9",
        "A theorem: contradicted if one step is outside.",
        _contained,
        Whose.THEOREM,
        ("C9",),
    ),
    Claim(
        "Weights of both models estimate better than the dense model's.",
        "ours, theorems D2 and D3",
        "Median |log(estimate/truth)| smaller than the paper's, for 1-cos and for KL: both hold, one holds "
        "partly.",
        _closer,
        Whose.OURS,
        ("D2", "D3"),
    ),
)
FIGURE = listed("fig06", compute, draw, caption, _takeaway, CLAIMS)
