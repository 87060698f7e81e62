"""Ours: from how many prompts on a verdict on a score is right, for four ways to reach one."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import graded, untested
from paper_figs.limits import share
from paper_figs.measured import shipped
from paper_figs.style import BLACK, BLUE, GREEN, GREY, VERMILION, legend_above, letter, panels
from theory.sequences.verdicts import prompts_needed

EPSILON = 0.1  # of the validations that ship
METHODS = {
    "read off": ("right answers read off (K1, K12)", GREEN),
    "band": ("band from dense texts (K4)", BLUE),
    "ceiling": ("ceiling: total variation (J1)", GREY),
    "counting": ("counting one answer of each model", VERMILION),
}
MOST = 384
NEVER = 2 * MOST  # where "not within 384" is drawn
ENOUGH = 64  # prompts


def compute(context: Context, digest: str) -> pd.DataFrame:
    """One row per model, spec, task, decoding and method; prompts is nan where none tried was enough."""
    del context, digest
    rows = []
    for entry in shipped.score_entries():
        for method, power in entry["power"].items():
            row = {
                name: entry[name] for name in ("model", "spec", "task", "decoding", "loss", "truth", "signal")
            }
            rows.append(row | {"method": method, **power})
    frame = pd.DataFrame(rows)
    return frame.astype({"prompts": float})


def draw(frame: pd.DataFrame) -> Canvas:
    """(a) share of cases decided rightly against prompts, (b) prompts against the true loss."""
    canvas, axes = panels(1, 2, height=2.8)
    _shares(axes[0, 0], _sampled(frame))
    _losses(axes[0, 1], frame[frame["method"] == "read off"])
    legend_above(canvas, axes[0, 0], 2)
    letter(axes[0].tolist())
    return canvas


def _sampled(frame: pd.DataFrame) -> pd.DataFrame:
    """Sampled answers, which all methods judge; tasks that the dense model can do."""
    return frame[(frame["decoding"] == "sampled") & frame["signal"]]


def _shares(axis: Axes, frame: pd.DataFrame) -> None:
    for method, (words, colour) in METHODS.items():
        part = frame[frame["method"] == method]
        if part.empty:
            continue
        counts = np.sort(part["prompts"].dropna().to_numpy())
        x = np.concatenate([[16], counts, [MOST]])
        y = np.concatenate([[0], np.arange(1, len(counts) + 1), [len(counts)]]) / len(part)
        axis.step(x, y, where="post", color=colour, label=f"{words}, {len(part)} cases")
    axis.axvline(prompts_needed(EPSILON), color=BLACK, lw=0.6, ls=":")
    axis.text(
        prompts_needed(EPSILON) * 0.96, 0.3, "least for any method (K0)", fontsize=6, rotation=90, ha="right"
    )
    axis.set(title="sampled answers", xlabel="prompts", ylabel="cases with 80 % right verdicts")
    axis.set(xscale="log", ylim=(-0.02, 1.02), xlim=(16, MOST))
    _ticks(axis, "x", [16, 32, 64, 128, 256, 384])


def _losses(axis: Axes, frame: pd.DataFrame) -> None:
    for decoding, marker, colour in (("greedy", "o", BLACK), ("sampled", "^", GREEN)):
        part = frame[frame["decoding"] == decoding]
        axis.plot(
            *(part["loss"], part["prompts"].fillna(NEVER)),
            marker, color=colour, ms=3, alpha=0.6, mew=0, label=f"read off, {decoding}",
        )  # fmt: skip
    axis.axvline(EPSILON, color=BLACK, lw=0.6, ls=":")
    axis.set(title="where it takes many", xlabel="true loss of the score", ylabel="prompts")
    axis.set_yscale("log")
    _ticks(axis, "y", [16, 32, 64, 128, 256, NEVER], [*map(str, (16, 32, 64, 128, 256)), "never"])
    axis.legend(loc="lower right", fontsize=6)


def _ticks(axis: Axes, which: str, places: list[int], labels: list[str] | None = None) -> None:
    one = axis.xaxis if which == "x" else axis.yaxis
    one.set_ticks(places, labels or [str(place) for place in places])
    axis.minorticks_off()


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    del setup
    models = ", ".join(frame["model"].unique())
    cases = frame[["model", "spec", "task"]].drop_duplicates()
    return (
        f"Runs that ship with the package (python -m real validate, {models}): {len(cases)} pairs of "
        "task and "
        f"spec. Prompts are drawn with replacement from each task's questions; a verdict is right if it says "
        f"safe where the loss on all questions is at most {EPSILON:g}, fails elsewhere; one-sided error 5 %. "
        "(a) Share of tasks and specs in which 80 % of the samples of so many prompts give the right "
        "verdict; "
        "counting costs a generated answer of each model per prompt, the others one pass. (b) Prompts that "
        f"reading off needs, against the loss: near {EPSILON:g} none suffice. The paper decides nothing."
    )


def _quick(frame: pd.DataFrame, method: str) -> pd.Series:
    part = _sampled(frame)
    part = part[part["method"] == method]
    return part["prompts"] <= ENOUGH


def _takeaway(frame: pd.DataFrame) -> str:
    found = {method: _quick(frame, method) for method in METHODS}
    counts = ", ".join(
        f"{name} {int(quick.sum())} of {len(quick)}" for name, quick in found.items() if len(quick)
    )
    return f"Verdicts on sampled answers that {ENOUGH} prompts get right: {counts}"


def _reading_beats(frame: pd.DataFrame) -> Finding:
    part = _sampled(frame).pivot(index=["model", "spec", "task"], columns="method", values="prompts")
    part = part.fillna(np.inf)
    decided = part[np.isfinite(part[["read off", "ceiling", "counting"]]).any(axis=1)]
    if decided.empty:
        return untested("no method decides any case")
    best = decided["read off"] <= np.minimum(decided["ceiling"], decided["counting"])
    units = pd.Series([" ".join(key[:2]) for key in decided.index], index=decided.index)
    found = share(best, units)
    return graded(
        found, f"{int(best.sum())} of {len(decided)} cases that some method decides within {MOST} prompts"
    )


def _wrong(frame: pd.DataFrame) -> Finding:
    held = frame["wrong"] <= 0.1
    found = share(held, frame["model"] + " " + frame["spec"])
    return graded(found, f"largest share of wrong verdicts {frame['wrong'].max():.2f}, nominal 0.05")


CLAIMS = (
    Claim(
        "Reading answers off decides with no more prompts than the ceiling or counting answers.",
        "ours, K1 and K4",
        "Share of cases, decided by some method, in which it needs no more than either: holds from 90 %, "
        "partly from 50 %.",
        _reading_beats,
        Whose.OURS,
        ("K1", "K4"),
    ),
    Claim(
        "Verdicts are seldom wrong.",
        "ours, theorem K4",
        "Share of cases in which at most 10 % of 100 samples (nominal 5 %) give the wrong verdict at any "
        "number of prompts: holds from 90 %, partly from 50 %.",
        _wrong,
        Whose.OURS,
        ("K4",),
    ),
)
FIGURE = listed(
    "decision-power", partial(compute, digest=shipped.scores_digest()), draw, caption, _takeaway, CLAIMS
)
