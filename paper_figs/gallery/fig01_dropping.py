"""Figure 1: task scores against the number of dropped layers, chosen among options or written out."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Verdict, listed
from paper_figs.judging import count_passed, percent, untested
from paper_figs.kept import add_kept, kept_share, left_out
from paper_figs.limits import Limits
from paper_figs.measured import reference, scores
from paper_figs.style import BLUE, GREEN, GREY, VERMILION, letter, panels
from paper_figs.words import in_words

METHODS = {
    "attn": ("attention sublayers dropped", "AttnDrop", BLUE, "o"),
    "mlp": ("MLP sublayers dropped", "MLPDrop", VERMILION, "s"),
    "block": ("blocks dropped (ShortGPT)", "ShortGPT", GREEN, "^"),
}
RUINED = 0.5  # kept share under which a task counts as ruined
PAPER_TASKS = {
    "HumanEval": "HumanEval, written",
    "GSM8K": "GSM8K, written",
    "HellaSwag": "HellaSwag, chosen",
    "MMLU": "MMLU, chosen",
}
PAPER_CHANCE = {"HellaSwag": 0.25, "MMLU": 0.25}


def ladder(context: Context) -> pd.DataFrame:
    """Scores of every method at every number of dropped layers; 0 is the dense model."""
    counts = context.setup.profile.ladder
    specs = [f"{method}:{count}" for method in METHODS for count in counts if count]
    table = add_kept(context.recall(scores.summary, specs=specs), context.setup.seed).set_index("spec")
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
    theirs["chance"] = theirs["task"].map(PAPER_CHANCE)
    dense = theirs[theirs["dropped"] == 0].set_index(["task", "method"])["score"]
    before = dense.reindex(pd.MultiIndex.from_frame(theirs[["task", "method"]])).to_numpy()
    floor = theirs["chance"].fillna(0.0)
    theirs["kept"] = (theirs["score"] - floor) / (before - floor)
    return pd.concat([ladder(context), theirs], ignore_index=True)


def kept_curves(axis: Axes, part: pd.DataFrame) -> None:
    """Kept share of one task against the number dropped, a line for each method; 0 is chance."""
    for shift, (method, (label, _, colour, marker)) in zip((-1, 0, 1), METHODS.items(), strict=True):
        line = part[part["method"] == method].sort_values("dropped")
        place, kept = line["dropped"], 100 * line["kept"]
        if line["kept_low"].notna().any():
            place = place + 0.12 * shift  # limits beside, not on top of each other
            axis.vlines(place, 100 * line["kept_low"], 100 * line["kept_high"], color=colour, lw=0.6)
        axis.plot(place, kept, color=colour, marker=marker, label=label)
    axis.axhline(0, color=GREY, lw=0.8, ls=":")
    axis.set(xlim=(-0.6, part["dropped"].max() + 0.6), ylim=(-30, 145), xlabel="number dropped")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_ladder(frame: pd.DataFrame) -> Canvas:
    """Rows: this model, the paper's. Columns: two written tasks, two multiple-choice tasks."""
    canvas, axes = panels(2, 4, height=1.9, sharey=True)
    ours = {task: scores.WORDS[task] for task in (*scores.GENERATION, *scores.CHOICE)}
    model = frame["source"].iloc[0]
    for row, (tasks, whose) in enumerate(((ours, model), (PAPER_TASKS, "paper, Qwen2.5-7B"))):
        for axis, (task, words) in zip(axes[row], tasks.items(), strict=True):
            part = frame[frame["task"] == task]
            kept_curves(axis, part)
            axis.set_title(words.replace(", ", ",\n"), fontsize=7)
            if part["kept"].isna().all():
                axis.text(0.5, 0.5, "dense model not\ncertainly above chance", ha="center", va="center",
                          transform=axis.transAxes, fontsize=6)  # fmt: skip
        axes[row, 0].set_ylabel(f"{whose}\nkept above chance, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=3, title="bars: 95 % limits")
    letter(axes.ravel().tolist())
    return canvas


def caption_ladder(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        "Share of the dense score above chance that is left (dotted: chance) against the number of dropped "
        "sublayers or blocks; bars: 95 % limits from paired items. Left two columns: the answer is written "
        f"out (greedy, few-shot, exact match, {setup.profile.items} items each); right two: chosen among "
        f"options by likelihood ({setup.profile.choice_items} items each). The tasks are small ones that "
        "this model can do when dense. Below: the paper's Qwen2.5-7B-Instruct on HumanEval, GSM8K, "
        "HellaSwag and MMLU, digitised, in the same unit; of its 28 layers 8 are 29 %, of this model's 30 "
        f"they are 27 %. {left_out(setup.model)}"
    )


def rungs(frame: pd.DataFrame) -> list[tuple[str, Limits, Limits]]:
    """Name, kept share of chosen and of written answers, for each method and number that say something."""
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    ours = ours[(ours["dropped"] > 0) & (ours["method"] != "block")]
    found = []
    for (method, count), rows in ours.groupby(["method", "dropped"], sort=False):
        chosen = kept_share(rows[rows["task"].isin(scores.CHOICE)])
        written = kept_share(rows[rows["task"].isin(scores.GENERATION)])
        if chosen is not None and written is not None:
            found.append((f"{method}:{count:g}", chosen, written))
    return found


def choice_survives(frame: pd.DataFrame) -> Finding:
    """Judge the rungs at which written answers are certainly ruined."""
    found = rungs(frame)
    words = "; ".join(f"{name} chosen {percent(c)}, written {percent(w)}" for name, c, w in found)
    ruined = [c.above(RUINED) for _, c, w in found if w.below(RUINED) is True]
    if ruined:
        return count_passed(ruined, f"kept above chance: {words}")
    if any(w.below(RUINED) is None for _, _, w in found):
        return Finding(Verdict.UNDECIDED, f"kept above chance: {words}")
    return untested(
        f"no number dropped ruins written answers: {words}"
        if found
        else "the dense model is not certainly above chance on these tasks"
    )


_SURVIVES_RULE = (
    "Mean share of the dense score above chance that is kept, for attention and MLP sublayers and every "
    f"number dropped. Where written answers certainly keep less than {RUINED:.0%}, chosen ones keep more: at "
    "every such rung holds, at some partly, at none does not hold; no such rung: not tested."
)


def _takeaway(frame: pd.DataFrame) -> str:
    last = {name.partition(":")[0]: (name, c, w) for name, c, w in rungs(frame)}
    if not last:
        return "The dense model is not certainly above chance, so dropping shows nothing"
    return "Of what is above chance, chosen and written answers keep " + "; ".join(
        f"{c.value:.0%} and {w.value:.0%} with {in_words(name)}" for name, c, w in last.values()
    )


CLAIMS = (
    Claim(
        "Multiple choice survives pruning that ruins generation.",
        "paper, figure 1",
        _SURVIVES_RULE,
        choice_survives,
    ),
)
FIG01 = listed("fig01", compute_ladder, draw_ladder, caption_ladder, _takeaway, CLAIMS)
