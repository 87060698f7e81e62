"""Figure 6: at every step the truth, the paper's estimate, ours, and the certified bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Verdict
from paper_figs.judging import TRACKS_RULE, count_passed, tracks
from paper_figs.measured import reference, sublayers
from paper_figs.style import BOUND, OUR_ESTIMATE, PAPER_ESTIMATE, QUANTITY_LABEL, TRUTH, letter, panels

QUANTITIES = {"cosdist_p": ("T2", "D2"), "kl": ("T3", "D3")}


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
    """Rows: quantity. Columns: this model with bounds, the paper's curves without (it has none)."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(2, len(sources), sharey="row")
    for row, (quantity, (paper, ours)) in enumerate(QUANTITIES.items()):
        for column, source in enumerate(sources):
            part = frame.query("quantity == @quantity and source == @source")
            axis = axes[row, column]
            if part["upper"].notna().any():
                axis.fill_between(
                    part["step"],
                    part["lower"],
                    part["upper"],
                    color=BOUND,
                    alpha=0.3,
                    lw=0,
                    label="certified bound (C9)",
                )
            axis.plot(part["step"], part["truth"], color=TRUTH, label="truth")
            axis.plot(
                part["step"],
                part["estimate"],
                color=PAPER_ESTIMATE,
                lw=0.9,
                label=f"paper's estimate ({paper})",
            )
            if part["our_estimate"].notna().any():
                axis.plot(
                    part["step"],
                    part["our_estimate"],
                    color=OUR_ESTIMATE,
                    lw=0.9,
                    ls="--",
                    label=f"symmetric estimate ({ours})",
                )
            axis.set(title=source, xlabel="step", yscale="log")
            if column == 0:
                axis.set_ylabel(QUANTITY_LABEL[quantity])
    for row, quantity in enumerate(QUANTITIES):
        shown = frame.loc[frame["quantity"] == quantity, ["truth", "estimate"]]
        axes[row, 0].set_ylim(shown[shown > 0].min().min() / 3, shown.max().max() * 10)
    names = {"T2": "T2, T3", "D2": "D2, D3"}
    handles, labels = axes[0, 0].get_legend_handles_labels()
    for one, both in names.items():
        labels = [label.replace(one, both) for label in labels]
    canvas.legend(handles, labels, loc="outside upper center", ncols=4)
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    ours = frame[frame["source"] == setup.model]
    layer, steps = int(ours["layer"].iloc[0]), ours["step"].nunique()
    return (
        f"The attention sublayer of layer {layer} is left out at every one of {steps} positions sampled by "
        "the dense model (one open prompt, T = 1); logits through the final norm. Black: measured 1 - "
        "cos(p, q) and KL(p||q). Orange: the paper's estimates, Var_r/2T^2 (T2) and Var_p/2T^2 (T3). "
        "Purple: our estimates with both models' weights, 1 - exp(-Var_w/2), w ~ pq (D2), and (2 Var_p + "
        "Var_q)/6 (D3). Grey: the interval that certainly contains the truth in spite of rounding (C9). "
        "Right: Qwen2.5-7B-Instruct, attention layer 12, 204 steps, from the repository of the paper; it "
        "has no final norm before the head, and no bounds."
    )


def _tracks(quantity: str) -> Callable[[pd.DataFrame], Finding]:
    return lambda frame: tracks(_ours(frame, quantity), "truth", "estimate")


def _ours(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return frame[(frame["quantity"] == quantity) & frame["upper"].notna()]


def _contained(frame: pd.DataFrame) -> Finding:
    part = frame[frame["upper"].notna()]
    inside = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
    width = ((part["upper"] - part["lower"]) / part["truth"]).median()
    verdict = Verdict.HOLDS if inside.all() else Verdict.FAILS
    return Finding(verdict, f"{inside.sum()} of {len(part)} truths inside, median width/truth {width:.2g}")


def _closer(frame: pd.DataFrame) -> Finding:
    errors = {}
    for quantity in QUANTITIES:
        part = _ours(frame, quantity)
        log_ratio = [
            np.median(np.abs(np.log(part[name] / part["truth"]))) for name in ("our_estimate", "estimate")
        ]
        errors[quantity] = np.expm1(log_ratio)
    better = [ours < paper for ours, paper in errors.values()]
    text = "; ".join(f"{name}: {ours:.1%} against {paper:.1%}" for name, (ours, paper) in errors.items())
    return count_passed(better, f"median relative error, symmetric against paper's: {text}")


FIGURE = Figure(
    id="fig06",
    title="Truth, estimates and certified bounds at every step",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "1 - cos(p, q) is about Var_r/2T^2.",
            "paper, theorem 2 and figure 6a",
            TRACKS_RULE,
            _tracks("cosdist_p"),
        ),
        Claim("KL(p||q) is about Var_p/2T^2.", "paper, theorem 3 and figure 6b", TRACKS_RULE, _tracks("kl")),
        Claim(
            "The certified interval contains the truth at every step.",
            "ours, theorem C9",
            "Holds if no step is outside, else does not hold.",
            _contained,
        ),
        Claim(
            "Weights of both models estimate better than the dense model's.",
            "ours, theorems D2 and D3",
            "Median |log(estimate/truth)| smaller than the paper's for both quantities holds, for one "
            "partly.",
            _closer,
        ),
    ),
)
