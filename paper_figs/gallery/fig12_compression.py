"""Figure 12: three kinds of compression, both models writing freely."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.judging import count_passed
from paper_figs.measured import pruned, reference
from paper_figs.style import BLACK, ORANGE, PURPLE, panels

SPECS = {
    "attn:8": ("AttnDrop8", "8 attention layers dropped", ORANGE),
    "int4": ("AWQ_quant", "4-bit weights", PURPLE),
    "wanda:4:8": ("Wanda4:8", "Wanda 4:8", BLACK),
}
QUANTITIES = {
    "cos_h": "cosine of h",
    "cos_z": "cosine of z",
    "cos_p": "cosine of p",
    "rms_dz": "RMS of Δz",
    "var_dz_uniform": "Var(Δz), uniform",
    "kl": "KL(p||q), nats",
}


def compute(context: Context) -> pd.DataFrame:
    """Six quantities for each kind of compression, step and prompt; then the paper's."""
    rows = []
    for spec in SPECS:
        run = context.recall(pruned.free_running, spec=spec).query("part == 'free'")
        energy = (run["orthogonal_sq"] + run["parallel"] ** 2) * run["norm_sq"]
        rows.append(
            run[["spec", "prompt", "step", "kl"]].assign(
                cos_h=1 - run["h_cosdist"],
                cos_z=1 - run["cosdist_z"],
                cos_p=1 - run["cosdist_p"],
                rms_dz=np.sqrt(energy / run["vocabulary"]),
                var_dz_uniform=run["var_u"] * run["temperature"] ** 2,
            )
        )
    ours = pd.concat(rows, ignore_index=True).assign(source=context.setup.model)
    theirs = reference.compression()
    theirs["spec"] = theirs["spec"].map({theirs_name: spec for spec, (theirs_name, _, _) in SPECS.items()})
    return pd.concat([ours, theirs], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: quantity. Columns: this model (mean over prompts), the paper's single run."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(len(QUANTITIES), len(sources), height=1.25, sharex="col", sharey="row")
    for column, source in enumerate(sources):
        for row, (quantity, label) in enumerate(QUANTITIES.items()):
            axis = axes[row, column]
            for spec, (_, words, colour) in SPECS.items():
                part = frame[(frame["source"] == source) & (frame["spec"] == spec)]
                axis.plot(part.groupby("step")[quantity].mean(), color=colour, lw=0.9, label=words)
            axis.set_ylabel(label if column == 0 else "")
        axes[0, column].set_title(source)
        axes[-1, column].set_xlabel("step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=3)
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    ours = frame[frame["source"] == setup.model]
    return (
        f"As figure 7 for three kinds of compression: {', '.join(SPECS)}; mean over "
        f"{ours['prompt'].nunique()} prompts, T = 1, same Gumbel noise. The 4-bit weights here are "
        "round-to-nearest, the paper's AWQ; our dense model is itself a dequantised 4-bit file. Right: one "
        "prompt on Qwen2.5-7B-Instruct, digitised from smoothed curves."
    )


def _order_at_start(frame: pd.DataFrame) -> Finding:
    ours = frame[(frame["source"] == frame["source"].iloc[0]) & (frame["step"] == 0)]
    start = ours.groupby("spec")[["cos_p", "kl"]].mean()
    kl = start["kl"]
    passed = [bool(kl["int4"] < kl["wanda:4:8"]), bool(kl["int4"] < kl["attn:8"])]
    return count_passed(passed, "KL at step 0: " + ", ".join(f"{spec} {kl[spec]:.2g}" for spec in SPECS))


def _quantised_lasts(frame: pd.DataFrame) -> Finding:
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    curves = ours.pivot_table(index="step", columns="spec", values="cos_p")
    below = {spec: int((curves[spec].rolling(3, min_periods=1).mean() < 0.5).idxmax()) for spec in SPECS}
    never = {spec: bool((curves[spec].rolling(3, min_periods=1).mean() >= 0.5).all()) for spec in SPECS}
    steps = {spec: len(curves) if never[spec] else below[spec] for spec in SPECS}
    passed = [steps["int4"] > steps["wanda:4:8"], steps["int4"] > steps["attn:8"]]
    text = ", ".join(f"{spec} {step}" for spec, step in steps.items())
    return count_passed(passed, f"first step with a 3-step mean cosine of p below 0.5: {text}")


FIGURE = Figure(
    id="fig12",
    title="Three kinds of compression, step by step",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "Quantisation disturbs the first step least.",
            "paper, figure 12",
            "Mean KL at step 0 of the 4-bit weights below Wanda 4:8's and below dropping's: both hold, "
            "one holds partly.",
            _order_at_start,
        ),
        Claim(
            "Quantisation breaks down later than pruning.",
            "paper, figure 12",
            "First step at which the mean cosine of p (3-step mean) falls below 0.5: later than both "
            "others holds, than one partly.",
            _quantised_lasts,
        ),
    ),
)
