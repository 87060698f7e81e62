"""Ours: one skill, asked for in one token or in many, of a transformer small enough to train on the spot."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Verdict, Whose, listed
from paper_figs.judging import count_passed
from paper_figs.style import BLUE, GREY, VERMILION, legend_above, letter, panels

PRUNING = "magnitude"
WORDS = {"single": "one sum: one token", "multiple": "eight running sums: eight tokens"}
CLEAR = 0.1  # loss of accuracy that both tasks are compared at


def compute(context: Context) -> pd.DataFrame:
    """Accuracy of both tasks at each amount of pruning, with the proved floor and the forecast of J1."""
    from sim.toy import Task, pruning_curve, train  # imports transformers

    task = Task()
    model = train(task, context.setup.seed)
    return pruning_curve(model, task, PRUNING, seed=context.setup.seed)


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel per task: accuracy, the floor that oscillation guarantees, dense less the forecast TV."""
    canvas, axes = panels(1, 2, height=2.2, sharey=True)
    for axis, (name, words) in zip(axes[0], WORDS.items(), strict=True):
        part = frame[frame["task"] == name]
        axis.plot(part["amount"], part["pruned"], color=VERMILION, marker="o", label="accuracy, pruned")
        axis.plot(part["amount"], part["dense"], color=GREY, ls=":", label="dense")
        ceiling = (part["dense"] - part["tv_high"]).clip(lower=0)
        axis.plot(
            part["amount"], ceiling, color=BLUE, ls="--", label="at least (forecast from dense texts, J1)"
        )
        axis.plot(part["amount"], part["floor"], color=BLUE, lw=0.8, label="at least (oscillation alone, G9)")
        axis.set(title=words, xlabel="share of weights set to zero", ylim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("exact match")
    legend_above(canvas, axes[0, 0], 2)
    letter(axes[0].tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "A two-layer transformer, trained in seconds to add digits modulo 7 (seed "
        f"{setup.seed}), pruned by magnitude. Left: it writes one sum. Right: it writes eight running sums, "
        "each of which needs the one before. Exact probabilities of the right answer; the bounds need no "
        "text of the pruned model: G9 from the change of logits, J1 from dense samples (95 %)."
    )


def _losses(frame: pd.DataFrame) -> pd.DataFrame:
    """Loss of accuracy of both tasks, one row per amount of pruning at which either is between the limits."""
    table = frame.assign(loss=frame["dense"] - frame["pruned"])
    losses = table.pivot(index="amount", columns="task", values="loss")
    return losses[(losses.max(axis=1) >= CLEAR) & (losses.max(axis=1) <= 1 - CLEAR)]


def _longer_dies_first(frame: pd.DataFrame) -> Finding:
    losses = _losses(frame)
    if losses.empty:
        return Finding(Verdict.UNTESTED, "no amount of pruning cost either task enough to compare them")
    words = "; ".join(
        f"{amount:.0%} pruned: one token -{row['single']:.2f}, eight tokens -{row['multiple']:.2f}"
        for amount, row in losses.iterrows()
    )
    return count_passed([bool(row["multiple"] > row["single"]) for _, row in losses.iterrows()], words)


def _takeaway(frame: pd.DataFrame) -> str:
    losses = _losses(frame)
    if losses.empty:
        return "Pruning cost neither task enough to compare one token with eight"
    widest = int((losses["multiple"] - losses["single"]).to_numpy().argmax())
    amount, row = float(losses.index[widest]), losses.iloc[widest]
    return (
        f"With {amount:.0%} of its weights gone the same skill loses {row['single']:.0%} in one token and "
        f"{row['multiple']:.0%} in eight; the bounds say so beforehand"
    )


CLAIMS = (
    Claim(
        "The answer that takes more tokens is lost first.",
        "ours, after the paper's figure 1",
        f"At every amount of pruning at which a task loses between {CLEAR:.0%} and {1 - CLEAR:.0%}: the "
        "eight tokens lose more than the one. All holds, some partly.",
        _longer_dies_first,
        Whose.OURS,
        ("G9", "J1"),
    ),
)
FIGURE = listed("running-sums", compute, draw, caption, _takeaway, CLAIMS)
