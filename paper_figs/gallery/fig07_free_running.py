"""Figure 7: both models write their own text; how similar are their steps?"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import count_passed, decide
from paper_figs.limits import over
from paper_figs.measured import pruned, reference
from paper_figs.style import BLACK, SPACE_COLOUR, SPACE_DASH, SPACE_LABEL, legend_above, letter, panels
from paper_figs.words import in_words

SPEC = "attn:8"
SPACES = {"h": "cos_h", "z": "cos_z", "p": "cos_p"}
NOTHING = 0.1  # cosine of p at which two distributions have nothing in common
SETTLED = 20  # the step after which the paper's curves no longer fall


def settled(frame: pd.DataFrame) -> pd.DataFrame:
    """Steps from ``SETTLED`` on; the second half of texts that are shorter than twice that."""
    return frame.loc[frame["step"] >= min(SETTLED, (int(frame["step"].max()) + 1) // 2)]


def compute(context: Context) -> pd.DataFrame:
    """One row for each prompt and step of ours, and for each step of the paper's."""
    runs = context.recall(pruned.free_running, spec=SPEC).query("part == 'free'")
    ours = runs[["prompt", "step", "kl"]].assign(
        cos_h=1 - runs["h_cosdist"],
        cos_z=1 - runs["cosdist_z"],
        cos_p=1 - runs["cosdist_p"],
        source=context.setup.model,
    )
    return pd.concat([ours, reference.free_running()], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: cosines, KL. Columns: this model (mean over prompts, middle 80 %), the paper's single run."""
    sources = list(dict.fromkeys(frame["source"]))
    canvas, axes = panels(2, len(sources), sharey="row")
    for column, source in enumerate(sources):
        steps = frame[frame["source"] == source].groupby("step")
        for space, name in SPACES.items():
            line = steps[name].mean()
            axes[0, column].plot(
                line.index,
                line,
                color=SPACE_COLOUR[space],
                dashes=SPACE_DASH[space] or (None, None),
                label=SPACE_LABEL[space],
            )
            _band(axes[0, column], steps[name], SPACE_COLOUR[space])
        axes[0, column].set(title=source, ylim=(-0.7, 1.03))
        axes[0, column].axhline(0, color="0.6", lw=0.5)
        axes[1, column].plot(steps["kl"].mean(), color=BLACK, label="mean over prompts")
        _band(axes[1, column], steps["kl"], BLACK)
        axes[1, column].set(title="KL(p||q)", xlabel="step")
    axes[0, 0].set_ylabel("cosine, dense vs pruned")
    axes[1, 0].set_ylabel("nats")
    legend_above(canvas, axes[0, 0], 3, "mean; band: 10th to 90th percentile of prompts")
    letter(axes.ravel().tolist())
    return canvas


def _band(axis: Axes, values: Any, colour: str) -> None:
    if values.count().max() > 1:
        low, high = values.quantile(0.1), values.quantile(0.9)
        axis.fill_between(low.index, low, high, color=colour, alpha=0.15, lw=0)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    ours = frame[frame["source"] == setup.model]
    return (
        f"Dense model and {SPEC} each continue the same prompt with their own sampled tokens (T = 1, same "
        "Gumbel noise, no stop at the end of a text); step t compares the two models' final hidden state, "
        f"logits and probabilities at their own t-th token, {ours['prompt'].nunique()} prompts. Lines: mean "
        "over prompts; bands: their 10th to 90th percentile. Only step 0 has the same history on both "
        "sides. Right: the paper's single prompt on Qwen2.5-7B-Instruct, digitised from its repository's "
        "figure; some of its steps (4 and 5: KL 0.00 with cosine below 0.3) cannot belong to one pair of "
        "distributions."
    )


def _mean(part: pd.DataFrame, column: str) -> float:
    return float(part[column].mean())


def _collapse(frame: pd.DataFrame) -> Finding:
    ours = settled(frame[frame["source"] == frame["source"].iloc[0]])
    means = {space: over(ours, partial(_mean, column=name)) for space, name in SPACES.items()}
    below_z = over(ours, lambda part: float((part["cos_p"] - part["cos_z"]).mean()))
    text = ", ".join(f"{space} {one:.2f}" for space, one in means.items())
    return count_passed(
        [means["p"].below(NOTHING), below_z.below(0)],
        f"mean cosine from step {ours['step'].min()}: {text}; KL {ours['kl'].mean():.1f} nats",
    )


def _already_at_step_zero(frame: pd.DataFrame) -> Finding:
    ours = frame[(frame["source"] == frame["source"].iloc[0]) & (frame["step"] == 0)]
    first = over(ours, partial(_mean, column="cos_p"))
    means = ours[[*SPACES.values(), "kl"]].mean()
    return decide(
        first.below(0.9),
        f"mean cosine at step 0: p {first:.2f}, h {means['cos_h']:.2f}, z {means['cos_z']:.2f}; KL "
        f"{means['kl']:.2f}",
    )


def _takeaway(frame: pd.DataFrame) -> str:
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    first, late = ours.loc[ours["step"] == 0, "cos_p"].mean(), settled(ours)["cos_p"].mean()
    return (
        f"{in_words(SPEC)}, both models writing: cosine of p {first:.2f} at the first token, {late:.2f} once "
        "texts differ"
    )


CLAIMS = (
    Claim(
        "In generation the deviation grows until the probabilities have nothing in common.",
        "paper, figure 7",
        f"Mean cosine of p from step {SETTLED} (or the second half of shorter texts) below {NOTHING:g}, and "
        "below that of z: both hold, one holds partly.",
        _collapse,
    ),
    Claim(
        "Eight dropped attention sublayers are no small perturbation: the first step, with the same "
        "history, already differs.",
        "ours, from the paper's step 0 (cosine of p 0.45)",
        "Holds if the mean cosine of p at step 0 is below 0.9.",
        _already_at_step_zero,
        Whose.OURS,
    ),
)
FIGURE = listed("fig07", compute, draw, caption, _takeaway, CLAIMS)
