"""Figure 1: task scores against the number of dropped layers, chosen among options or written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Verdict
from paper_figs.judging import cell, count_passed
from paper_figs.measured import reference, scores
from paper_figs.style import BLUE, GREEN, GREY, VERMILION, letter, panels

METHODS = {
    "attn": ("attention dropped", "AttnDrop", BLUE, "o"),
    "mlp": ("MLP dropped", "MLPDrop", VERMILION, "s"),
    "block": ("blocks dropped (ShortGPT)", "ShortGPT", GREEN, "^"),
}
FEW = 4  # "a few" dropped sublayers in the claims


def _ladder(context: Context) -> pd.DataFrame:
    """Scores of every method at every number of dropped layers; 0 is the dense model."""
    counts = context.setup.profile.ladder
    specs = [f"{method}:{count}" for method in METHODS for count in counts if count]
    table = context.recall(scores.summary, specs=specs).set_index("spec")
    rows = []
    for method in METHODS:
        for count in counts:
            part = table.loc[[f"{method}:{count}" if count else "dense"]].reset_index(drop=True)
            rows.append(part.assign(method=method, dropped=count))
    return pd.concat(rows, ignore_index=True).assign(source=context.setup.model)


def compute_ladder(context: Context) -> pd.DataFrame:
    """Ours, then the paper's four tasks."""
    theirs = reference.performance().rename(columns={"dropped_layers": "dropped"})
    theirs["method"] = theirs["method"].map({names[1]: method for method, names in METHODS.items()})
    theirs["score"] = theirs.pop("performance_pct") / 100
    return pd.concat([_ladder(context), theirs], ignore_index=True)


def _curves(axis: Axes, part: pd.DataFrame) -> None:
    for shift, (method, (label, _, colour, marker)) in zip((-1, 0, 1), METHODS.items(), strict=True):
        line = part[part["method"] == method].sort_values("dropped")
        place, score = line["dropped"], 100 * line["score"]
        if line["lower"].notna().any():
            place = place + 0.12 * shift  # intervals beside, not on top of each other
            error = np.stack([score - 100 * line["lower"], 100 * line["upper"] - score]).clip(min=0)
            axis.errorbar(place, score, yerr=error, color=colour, fmt="none", elinewidth=0.6)
        axis.plot(place, score, color=colour, marker=marker, label=label)
    if part["chance"].notna().any():
        axis.axhline(100 * part["chance"].max(), color=GREY, lw=0.8, ls=":")
    axis.set(ylim=(-3, 103), xlabel="dropped")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_ladder(frame: pd.DataFrame) -> Canvas:
    """Rows: this model, the paper's. Columns: two written tasks, two multiple-choice tasks."""
    canvas, axes = panels(2, 4, height=1.8, sharey=True)
    ours = [*scores.GENERATION, *scores.CHOICE]
    for row, tasks in enumerate((ours, ("HumanEval", "GSM8K", "HellaSwag", "MMLU"))):
        for axis, task in zip(axes[row], tasks, strict=True):
            _curves(axis, frame[frame["task"] == task])
            axis.set_title(task)
        axes[row, 0].set_ylabel(f"{'this model' if row == 0 else 'paper'}: score, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=3)
    letter(axes.ravel().tolist())
    return canvas


def caption_ladder(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        "Score against the number of dropped sublayers or blocks; bars: 95 % Wilson interval, dotted: "
        f"chance. Left two: the answer is written out (greedy, few-shot, exact match, {setup.profile.items} "
        "items each); right two: chosen among options by likelihood "
        f"({setup.profile.choice_items} items each). The tasks are small ones that this model can do "
        "when dense. Below: the paper's Qwen2.5-7B-Instruct on HumanEval, GSM8K, HellaSwag and MMLU, "
        "digitised; of its 28 layers 8 are 29 %, of this model's 30 they are 27 %."
    )


def _kept(table: pd.DataFrame, task: str) -> float:
    """Share of the dense score above chance that is left."""
    floor = cell(table, (0, task), "chance") if task in scores.CHOICE else 0.0
    dense = cell(table, (0, task), "score") - floor
    few = max(count for count in table.index.get_level_values(0) if count <= FEW)
    return (cell(table, (few, task), "score") - floor) / dense if dense > 0 else float("nan")


def _judged(passed: list[bool], evidence: str) -> Finding:
    """As ``count_passed``; a dense model at chance has nothing to lose, and then nothing is shown."""
    if "nan" in evidence:
        return Finding(Verdict.FAILS, "cannot be judged: the dense model itself is at chance on a task")
    return count_passed(passed, evidence)


def _choice_survives(frame: pd.DataFrame) -> Finding:
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    passed, words = [], []
    for method in ("attn", "mlp"):
        table = ours[ours["method"] == method].set_index(["dropped", "task"])
        kept = {task: _kept(table, task) for task in (*scores.CHOICE, *scores.GENERATION)}
        choice = float(np.mean([kept[task] for task in scores.CHOICE]))
        written = float(np.mean([kept[task] for task in scores.GENERATION]))
        passed.append(choice > 0.8 and written < choice - 0.2)
        words.append(f"{method}: choice keeps {choice:.0%}, written {written:.0%}")
    few = max(count for count in ours["dropped"].unique() if count <= FEW)
    return _judged(passed, f"{few:g} dropped, share of the dense score above chance: {'; '.join(words)}")


_SURVIVES_RULE = (
    f"With {FEW} dropped, mean share of the dense score above chance that is kept: over 80 % on multiple "
    "choice, and at least 20 points less on written tasks. True for attention and MLP holds, for one "
    "partly."
)
FIG01 = Figure(
    id="fig01",
    title="Task scores against the number of dropped layers",
    compute=compute_ladder,
    draw=draw_ladder,
    caption=caption_ladder,
    claims=(
        Claim(
            "Multiple choice survives pruning that ruins generation.",
            "paper, figure 1",
            _SURVIVES_RULE,
            _choice_survives,
        ),
    ),
)
