"""Figure 12: three kinds of compression, both models writing freely."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, listed
from paper_figs.judging import count_passed, untested
from paper_figs.limits import over
from paper_figs.measured import pruned, reference
from paper_figs.style import COMPRESSION_COLOUR, legend_above, letter, panels
from real.structure.weights import weights

SPECS = {
    "attn:8": ("AttnDrop8", "8 attention sublayers dropped"),
    "int4": ("AWQ_quant", "4-bit weights"),
    "wanda:4:8": ("Wanda4:8", "Wanda 4:8"),
}
QUANTITIES = {"cos_p": "cosine of p", "kl": "KL(p||q), nats", "cos_h": "cosine of h"}
HALF = 0.5  # mean cosine of p under which a model has broken down
BLOCK = 32  # weights that share a scale in 4-bit files


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
    ours = pd.concat(rows, ignore_index=True).assign(
        source=context.setup.model, four_bit=on_four_bit_grid(context)
    )
    theirs = reference.compression()
    theirs["spec"] = theirs["spec"].map({theirs_name: spec for spec, (theirs_name, _) in SPECS.items()})
    return pd.concat([ours, theirs], ignore_index=True)


def on_four_bit_grid(context: Context) -> bool:
    """Whether the dense weights take at most 16 values in every block, so that 4 bits cost nothing."""
    weight = next(iter(weights(context.lm.anatomy))).view.float().flatten()
    rows = weight[: len(weight) // BLOCK * BLOCK].reshape(-1, BLOCK)[:256]
    return bool(all(len(row.unique()) <= 16 for row in rows))


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: quantity. Columns: this model (mean over prompts, 10th to 90th percentile), the paper's run."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(len(QUANTITIES), len(sources), height=1.5, sharex="col", sharey="row")
    for column, source in enumerate(sources):
        for row, (quantity, label) in enumerate(QUANTITIES.items()):
            axis = axes[row, column]
            for spec, (_, words) in SPECS.items():
                part = frame[(frame["source"] == source) & (frame["spec"] == spec)]
                steps = part.groupby("step")[quantity]
                colour = COMPRESSION_COLOUR[spec]
                axis.plot(steps.mean(), color=colour, lw=1, label=words)
                if column == 0:
                    low, high = steps.quantile(0.1), steps.quantile(0.9)
                    axis.fill_between(low.index, low, high, color=colour, alpha=0.12, lw=0)
            axis.set_ylabel(label if column == 0 else "")
            axis.set_title(source)
        axes[-1, column].set_xlabel("step")
    legend_above(canvas, axes[0, 0], 3, "mean; band: 10th to 90th percentile of prompts")
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    ours = frame[frame["source"] == setup.model]
    grid = (
        "the dense weights already lie on a 4-bit grid, so 4 bits cost next to nothing here and nothing is "
        "tested"
        if bool(ours["four_bit"].iloc[0])
        else "the dense weights are not on a 4-bit grid"
    )
    return (
        f"As figure 7 for three kinds of compression: {', '.join(SPECS)}; mean and 10th to 90th percentile "
        f"of {ours['prompt'].nunique()} prompts, T = 1, same Gumbel noise. The 4-bit weights here are "
        f"round-to-nearest, the paper's AWQ; {grid}. The CSV also holds the cosine of z, and RMS and "
        "variance "
        "of the logits' change. Right: one prompt on Qwen2.5-7B-Instruct, digitised from smoothed curves."
    )


def _ours(frame: pd.DataFrame) -> pd.DataFrame:
    ours: pd.DataFrame = frame.loc[frame["source"] == frame["source"].iloc[0]]
    return ours


_GRID = "the dense weights already lie on a 4-bit grid: rounding them to 4 bits is no compression"


def _against(frame: pd.DataFrame, values: pd.Series, increasing: bool) -> tuple[list[bool | None], str]:
    """Whether int4 is below (or above) the two others, prompt by prompt; and the numbers."""
    wide = values.unstack("spec").reset_index()

    def less(part: pd.DataFrame, spec: str) -> float:
        return float((part[spec] - part["int4"]).mean())

    found = {spec: over(wide, partial(less, spec=spec)) for spec in SPECS if spec != "int4"}
    text = ", ".join(f"{spec} less int4 {one:.2g}" for spec, one in found.items())
    return [one.above(0) if increasing else one.below(0) for one in found.values()], text


def _order_at_start(frame: pd.DataFrame) -> Finding:
    ours = _ours(frame)
    start = ours[ours["step"] == 0].set_index(["prompt", "spec"])["kl"]
    conditions, text = _against(frame, start, increasing=True)
    evidence = f"KL at step 0, {text}"
    return (
        untested(f"{_GRID} ({evidence})") if ours["four_bit"].iloc[0] else count_passed(conditions, evidence)
    )


def _quantised_lasts(frame: pd.DataFrame) -> Finding:
    ours = _ours(frame)
    runs = ours.pivot_table(index="step", columns=["prompt", "spec"], values="cos_p")
    low = runs.rolling(3, min_periods=1).mean() < HALF
    first = low.idxmax().where(low.any(), len(runs)).astype(float)
    conditions, text = _against(frame, first, increasing=False)
    evidence = f"first step with a 3-step mean cosine of p below {HALF:g}, {text}"
    return (
        untested(f"{_GRID} ({evidence})") if ours["four_bit"].iloc[0] else count_passed(conditions, evidence)
    )


def _takeaway(frame: pd.DataFrame) -> str:
    ours = _ours(frame)
    late = ours[ours["step"] >= ours["step"].max() // 2].groupby("spec")["cos_p"].mean()
    text = ", ".join(f"{words} {late[spec]:.2f}" for spec, (_, words) in SPECS.items())
    return f"Mean cosine of p in the second half of the text: {text}"


CLAIMS = (
    Claim(
        "Quantisation disturbs the first step least.",
        "paper, figure 12",
        "Mean KL at step 0 of the 4-bit weights below Wanda 4:8's and below dropping's: both hold, one "
        "holds partly. Not tested if the dense weights already lie on a 4-bit grid.",
        _order_at_start,
    ),
    Claim(
        "Quantisation breaks down later than pruning.",
        "paper, figure 12",
        f"First step at which a prompt's cosine of p (3-step mean) falls below {HALF:g}: later than both "
        "others holds, than one partly. Not tested if the dense weights already lie on a 4-bit grid.",
        _quantised_lasts,
    ),
)
FIGURE = listed("fig12", compute, draw, caption, _takeaway, CLAIMS)
