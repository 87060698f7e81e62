"""Figure 10: the same facts, chosen among options or written out."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, listed
from paper_figs.gallery.fig01_dropping import RUINED, choice_survives, kept_curves, ladder, rungs
from paper_figs.kept import left_out
from paper_figs.measured import scores
from paper_figs.style import legend_above, letter, panels
from paper_figs.words import in_words


def compute_pair(context: Context) -> pd.DataFrame:
    """The matched pair: the same facts chosen and written."""
    table = ladder(context)
    return table[table["task"].str.startswith("capitals")].reset_index(drop=True)


def draw_pair(frame: pd.DataFrame) -> Canvas:
    """Left: chosen among four. Right: written."""
    canvas, axes = panels(1, 2, height=2.3, sharey=True)
    for axis, task in zip(axes[0], ("capitals-choice", "capitals-answer"), strict=True):
        kept_curves(axis, frame[frame["task"] == task])
        axis.set_title(scores.WORDS[task])
    axes[0, 0].set_ylabel(f"{frame['source'].iloc[0]}\nkept above chance, %")
    legend_above(canvas, axes[0, 0], 3, "bars: 95 % limits")
    letter(axes[0].tolist())
    return canvas


def caption_pair(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        "Share of the score above chance that is left, for the same facts asked in two ways: choose the "
        f"capital among four ({setup.profile.choice_items} "
        f"items), or write it ({setup.profile.items} items). Bars: 95 % Wilson interval; dotted: chance. "
        "The paper's figure 10 repeats its figure 1 on Llama-3-8B and Qwen3-4B (values not published); "
        "here a matched pair takes its place, and --model repeats both figures on another model. "
        f"{left_out(setup.model)}"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    gaps = {name: chosen.value - written.value for name, chosen, written in rungs(frame)}
    if not gaps:
        return "The dense model is not certainly above chance on these facts"
    name = max(gaps, key=lambda key: gaps[key])
    return (
        f"Chosen facts keep at most {100 * gaps[name]:.0f} points more than written ones ({in_words(name)})"
    )


CLAIMS = (
    Claim(
        "A pruned model still recognises facts that it can no longer write.",
        "paper, figures 1 and 10 (implied)",
        "As in figure 1, on the same facts: where written answers certainly keep less than "
        f"{RUINED:.0%} above chance, chosen ones keep more.",
        choice_survives,
    ),
)
FIG10 = listed("fig10", compute_pair, draw_pair, caption_pair, _takeaway, CLAIMS)
