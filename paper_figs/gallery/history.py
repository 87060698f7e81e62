"""Ours: what part of the free-running drift is the pruned weights', and what part the different text's?"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, listed
from paper_figs.gallery.fig07_free_running import SETTLED, SPEC, settled
from paper_figs.judging import decide
from paper_figs.limits import Limits, geometric
from paper_figs.measured import pruned
from paper_figs.style import BLACK, BLUE, VERMILION, legend_above, letter, panels
from paper_figs.words import in_words

PARTS = {
    "free": ("free running: each on its own text", BLACK, "-"),
    "direct": ("direct: pruned weights, dense text", BLUE, "--"),
    "history": ("history: pruned weights, own text vs dense text", VERMILION, "-"),
}
FIRST = 5  # steps at the start
QUANTITIES = {"tv": "TV", "kl": "KL, nats"}


def compute(context: Context) -> pd.DataFrame:
    """TV and KL of the three comparisons, one row for each prompt and step."""
    columns = ["part", "prompt", "step", "first_difference", *QUANTITIES]
    return context.recall(pruned.free_running, spec=SPEC)[columns]


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel for each quantity: mean over prompts with the standard error."""
    canvas, axes = panels(1, 2, height=2.4)
    for axis, (quantity, label) in zip(axes[0], QUANTITIES.items(), strict=True):
        for part, (words, colour, style) in PARTS.items():
            steps = frame[frame["part"] == part].groupby("step")[quantity]
            mean, error = steps.mean(), steps.sem().fillna(0)
            axis.plot(mean.index, mean, color=colour, ls=style, label=words)
            axis.fill_between(mean.index, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axis.set(title=label, xlabel="step", ylim=(0, None))
    legend_above(canvas, axes[0, 0], 3, "mean; band: one standard error over prompts")
    letter(axes[0].tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    first = frame.groupby("prompt")["first_difference"].first()
    return (
        f"{SPEC}: mean over {frame['prompt'].nunique()} prompts (band: one standard error of the mean) of "
        "the drift at step t. Direct: both models read the dense model's text. History: the pruned model "
        "reads its own text or the dense model's. Free: what figure 7 shows. Both models sample at T = 1 "
        f"with the same Gumbel noise; the texts first differ after {first.median():.0f} tokens in the "
        "median. The three are distances between different pairs, they need not add up. The paper "
        "separates the two causes in words only (its appendix E)."
    )


def _ratio(frame: pd.DataFrame) -> Limits:
    """Mean late TV of the history over that of the weights."""

    def statistic(part: pd.DataFrame) -> float:
        late = part.groupby("part")["tv"].mean()
        return float(late["history"] / late["direct"])

    return geometric(settled(frame), statistic)


def _history_dominates(frame: pd.DataFrame) -> Finding:
    late = settled(frame).groupby("part")["tv"].mean()
    ratio = _ratio(frame)
    return decide(
        ratio.above(1),
        f"mean TV of late steps: history {late['history']:.2f}, direct {late['direct']:.2f}, free "
        f"{late['free']:.2f}; history over direct {ratio:.2f}",
    )


def _direct_grows(frame: pd.DataFrame) -> Finding:
    direct = frame[frame["part"] == "direct"]
    start = int(settled(direct)["step"].min())

    def statistic(part: pd.DataFrame) -> float:
        return float(
            part.loc[part["step"] >= start, "tv"].mean() / part.loc[part["step"] < FIRST, "tv"].mean()
        )

    growth = geometric(direct, statistic)
    return decide(
        growth.above(1), f"mean TV on the dense text, late steps over the first {FIRST}: {growth:.2f}"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    late = settled(frame).groupby("part")["tv"].mean()
    return (
        f"{in_words(SPEC)}, late steps: a different text alone moves the next token by TV "
        f"{late['history']:.2f}, the pruned weights on the same text by {late['direct']:.2f}"
    )


CLAIMS = (
    Claim(
        "Once the texts differ, most of the drift comes from the different text.",
        "paper, appendix E (in words)",
        f"Mean TV from step {SETTLED} (second half of shorter texts), prompt by prompt: history above "
        "direct.",
        _history_dominates,
    ),
    Claim(
        "On the same text the pruned model's error grows from step to step.",
        "paper, section on generation",
        f"Mean direct TV from step {SETTLED} (second half of shorter texts) above that of the first "
        f"{FIRST} "
        "steps, prompt by prompt.",
        _direct_grows,
    ),
)
FIGURE = listed("history", compute, draw, caption, _takeaway, CLAIMS)
