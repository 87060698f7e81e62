"""Figures 3 and 9: task scores under Wanda and SparseGPT sparsity, chosen among options or written out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, listed
from paper_figs.judging import count_passed, percent, untested
from paper_figs.kept import add_kept, kept_share, left_out
from paper_figs.limits import Limits
from paper_figs.measured import scores
from paper_figs.style import BLACK, GREY, SPARSITY_COLOUR, legend_above, panels
from paper_figs.words import in_words

GAP = 0.1  # kept share by which chosen answers must be better off


def compute_sparse(context: Context, method: str) -> pd.DataFrame:
    """Scores of the dense model and of each sparsity pattern."""
    specs = [f"{method}:{pattern}" for pattern in context.setup.profile.patterns]
    table = add_kept(context.recall(scores.summary, specs=specs), context.setup.seed)
    return table.assign(method=method, source=context.setup.model)


def draw_sparse(frame: pd.DataFrame) -> Canvas:
    """What each task keeps above chance, a dot for each pattern; 1 is the dense model, 0 chance."""
    specs = [spec for spec in dict.fromkeys(frame["spec"]) if spec != "dense"]
    tasks = [*scores.GENERATION, *scores.CHOICE]
    canvas, ((axis,),) = panels(1, 1, height=2.3)
    for index, spec in enumerate(specs):
        part = frame[frame["spec"] == spec].set_index("task").loc[tasks]
        place = np.arange(len(tasks)) + 0.16 * (index - (len(specs) - 1) / 2)
        colour = SPARSITY_COLOUR[spec.partition(":")[2]]
        axis.vlines(place, 100 * part["kept_low"], 100 * part["kept_high"], color=colour, lw=1)
        axis.plot(place, 100 * part["kept"], "o", ms=5, color=colour, label=in_words(spec))
    axis.axhline(100, color=BLACK, lw=0.8)
    axis.axhline(0, color=GREY, lw=0.8, ls=":")
    axis.text(len(tasks) - 0.52, 101, "dense", fontsize=6, va="bottom", ha="right")
    axis.text(len(tasks) - 0.52, 1, "chance", fontsize=6, va="bottom", ha="right", color=GREY)
    axis.set_xticks(range(len(tasks)), [scores.WORDS[task] for task in tasks])
    axis.set(ylabel="kept above chance, %", ylim=(-30, 135), xlim=(-0.5, len(tasks) - 0.5))
    axis.set_title(f"{frame['source'].iloc[0]}, all linear maps pruned")
    axis.grid(axis="x", visible=False)
    legend_above(canvas, axis, len(specs), "bars: 95 % limits")
    return canvas


def caption_sparse(frame: pd.DataFrame, setup: Setup, words: str) -> str:
    """What is shown and how it differs from the paper's figure."""
    count, length = setup.profile.calibration
    return (
        f"Share of the dense score above chance left after {words} pruning of all linear maps inside the "
        f"layers (calibrated on {count} x {length} tokens of shipped text); bars: 95 % limits from paired "
        f"items. Left two tasks are written ({setup.profile.items} items each), right two chosen "
        f"({setup.profile.choice_items}). The paper shows GSM8K and HellaSwag on 7B and 8B models, "
        "calibrated on 128 C4 sequences; values not published. This dense model is a dequantised 4-bit "
        f"file and far smaller: expect it to lose more. {left_out(setup.model)}"
    )


def _pairs(frame: pd.DataFrame) -> dict[str, tuple[Limits, Limits]]:
    """Kept share of chosen and of written answers for each pattern that says something."""
    found = {}
    for spec, rows in frame[frame["spec"] != "dense"].groupby("spec", sort=False):
        chosen = kept_share(rows[rows["task"].isin(scores.CHOICE)])
        written = kept_share(rows[rows["task"].isin(scores.GENERATION)])
        if chosen is not None and written is not None:
            found[str(spec)] = chosen, written
    return found


def _sparse_gap(frame: pd.DataFrame) -> Finding:
    pairs = _pairs(frame)
    if not pairs:
        return untested("the dense model is not certainly above chance on these tasks")
    words = "; ".join(f"{spec}: chosen {percent(c)}, written {percent(w)}" for spec, (c, w) in pairs.items())
    return count_passed([(c - w).above(GAP) for c, w in pairs.values()], f"kept above chance: {words}")


def _takeaway(frame: pd.DataFrame) -> str:
    pairs = _pairs(frame)
    if not pairs:
        return "The dense model is not certainly above chance, so sparsity shows nothing"
    return "; ".join(
        f"{in_words(spec)} keeps {c.value:.0%} of chosen and {w.value:.0%} of written answers"
        for spec, (c, w) in pairs.items()
    )


def _sparse(number: int, method: str, words: str) -> Figure:
    claim = Claim(
        "Sparsity costs written answers more than chosen ones.",
        f"paper, figure {number}",
        f"Mean kept share above chance at least {100 * GAP:.0f} points higher on chosen answers: for every "
        "pattern holds, for some partly, for none does not hold.",
        _sparse_gap,
    )
    return listed(
        f"fig{number:02}",
        partial(compute_sparse, method=method),
        draw_sparse,
        partial(caption_sparse, words=words),
        _takeaway,
        (claim,),
    )


FIG03 = _sparse(3, "wanda", "Wanda")
FIG09 = _sparse(9, "sparsegpt", "SparseGPT")
