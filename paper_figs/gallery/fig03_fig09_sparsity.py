"""Figures 3 and 9: task scores under Wanda and SparseGPT sparsity, chosen among options or written out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.judging import count_passed
from paper_figs.measured import scores
from paper_figs.style import BLUE, ORANGE, SKY, VERMILION, panels


def compute_sparse(context: Context, method: str) -> pd.DataFrame:
    """Scores of the dense model and of each sparsity pattern."""
    specs = [f"{method}:{pattern}" for pattern in context.setup.profile.patterns]
    return context.recall(scores.summary, specs=specs).assign(method=method, source=context.setup.model)


def draw_sparse(frame: pd.DataFrame) -> Canvas:
    """One group of bars for each task."""
    specs = list(dict.fromkeys(frame["spec"]))
    tasks = [*scores.GENERATION, *scores.CHOICE]
    canvas, ((axis,),) = panels(1, 1, height=2.4)
    width = 0.8 / len(specs)
    for index, (spec, colour) in enumerate(zip(specs, (SKY, BLUE, ORANGE, VERMILION), strict=False)):
        part = frame[frame["spec"] == spec].set_index("task").loc[tasks]
        place = np.arange(len(tasks)) + (index - (len(specs) - 1) / 2) * width
        error = 100 * np.stack([part["score"] - part["lower"], part["upper"] - part["score"]]).clip(min=0)
        axis.bar(
            place, 100 * part["score"], width, color=colour, label=spec, yerr=error, error_kw={"lw": 0.6}
        )
    axis.set_xticks(range(len(tasks)), tasks)
    axis.set(ylabel="score, %", ylim=(0, 103))
    axis.grid(axis="x", visible=False)
    canvas.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=len(specs))
    return canvas


def caption_sparse(frame: pd.DataFrame, setup: Setup, words: str) -> str:
    """What is shown and how it differs from the paper's figure."""
    count, length = setup.profile.calibration
    return (
        f"Scores after {words} pruning of all linear maps inside the layers (calibrated on {count} x "
        f"{length} tokens of shipped text); bars: 95 % Wilson interval. Left two tasks are written "
        f"({setup.profile.items} items each), right two chosen ({setup.profile.choice_items}). The paper "
        "shows GSM8K and HellaSwag on 7B and 8B models, calibrated on 128 C4 sequences; values not "
        "published. This dense model is a dequantised 4-bit file and far smaller: expect it to lose more."
    )


def _sparse_gap(frame: pd.DataFrame) -> Finding:
    change = frame[frame["spec"] != "dense"].assign(choice=lambda f: f["task"].isin(scores.CHOICE))
    table = change.groupby(["spec", "choice"], sort=False)["change"].mean().unstack()
    passed = [bool(row[False] < row[True] - 0.1) for _, row in table.iterrows()]
    words = "; ".join(
        f"{spec}: written {row[False]:+.0%}, chosen {row[True]:+.0%}" for spec, row in table.iterrows()
    )
    return count_passed(passed, f"mean change of the score: {words}")


def _sparse(name: str, method: str, words: str) -> Figure:
    claim = Claim(
        "Sparsity costs written answers more than chosen ones.",
        f"paper, figure {int(name[3:])}",
        "Mean change of the score at least 10 points worse on written tasks: for every pattern holds, for "
        "some partly.",
        _sparse_gap,
    )
    return Figure(
        id=name,
        title=f"Task scores under {words} sparsity",
        compute=partial(compute_sparse, method=method),
        draw=draw_sparse,
        caption=partial(caption_sparse, words=words),
        claims=(claim,),
    )


FIG03 = _sparse("fig03", "wanda", "Wanda")
FIG09 = _sparse("fig09", "sparsegpt", "SparseGPT")
