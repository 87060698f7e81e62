"""Ours: what one teacher-forced pass forecasts, against what the pruned model then does."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.gallery import sequence_tv
from paper_figs.gallery.fig07_free_running import SPEC
from paper_figs.measured import pruned, scores
from paper_figs.style import BLACK, BLUE, GREEN, ORANGE, VERMILION, letter, panels

TOKENS = 8  # about the length of a written answer of the tasks


def compute(context: Context) -> pd.DataFrame:
    """Part "task": forecast and measured change by spec and task. Part "text": divergence by n."""
    sequence = context.recall(pruned.sequence_drift, specs=list(sequence_tv.SPECS), level=sequence_tv.LEVEL)
    counts = context.setup.profile.ladder
    specs = [spec for spec in sequence_tv.SPECS if int(spec.split(":")[1]) in counts]
    table = context.recall(scores.summary, specs=specs)
    at = sequence[sequence["n"] == min(TOKENS, sequence["n"].max())].set_index("spec")
    tasks = table[table["spec"] != "dense"].copy()
    tasks["written"] = tasks["task"].isin(scores.GENERATION)
    first = sequence[sequence["n"] == 1].set_index("spec")
    tasks["forecast"] = np.where(
        tasks["written"], tasks["spec"].map(at["tv"]), tasks["spec"].map(first["tv"])
    )
    runs = context.recall(pruned.free_running, spec=SPEC).groupby("prompt")["first_difference"].first()
    text = sequence[sequence["spec"] == SPEC][["n", "tv", "divergence", "shared_noise"]].copy()
    text["measured"] = [(runs < n).mean() for n in text["n"]]
    half = math.sqrt(math.log(2 / 0.05) / (2 * len(runs)))
    text["low"], text["high"] = (
        (text["measured"] - half).clip(lower=0),
        (text["measured"] + half).clip(upper=1),
    )
    text["prompts"] = len(runs)
    return pd.concat([tasks.assign(part="task"), text.assign(part="text", spec=SPEC)], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """Left: change of scores under the ceiling. Right: when texts first differ."""
    canvas, axes = panels(1, 2, height=2.6)
    tasks, text = frame[frame["part"] == "task"], frame[frame["part"] == "text"]
    left, right = axes[0]
    for written, colour, marker, words in ((True, VERMILION, "o", "written"), (False, BLUE, "s", "chosen")):
        part = tasks[tasks["written"].astype(bool) == written]
        low, high = part["change_lower"], part["change_upper"]
        least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(low.abs(), high.abs()))
        change, most = part["change"].abs(), np.maximum(low.abs(), high.abs())
        left.errorbar(
            part["forecast"],
            change,
            yerr=np.stack([change - least, most - change]).clip(min=0),
            fmt=marker,
            color=colour,
            elinewidth=0.5,
            label=f"{words} answers",
        )
    left.plot([0, 1], [0, 1], color=BLACK, lw=0.8, label="ceiling")
    left.set(
        xlabel="forecast TV of the answer's tokens",
        ylabel="measured |change of the score|",
        xlim=(0, 1),
        ylim=(0, 1),
        title="tasks",
    )
    left.legend(loc="upper left")
    right.plot(
        text["n"],
        text["divergence"],
        color=GREEN,
        ls="--",
        label="least possible: best causal coupling",
    )
    right.plot(text["n"], text["shared_noise"], color=ORANGE, label="forecast: shared Gumbel noise")
    right.step(text["n"], text["measured"], color=BLACK, where="mid", label="measured: shared Gumbel noise")
    right.fill_between(text["n"], text["low"], text["high"], color=BLACK, alpha=0.12, lw=0, step="mid")
    right.set(xlabel="generated tokens n", ylabel="share of texts that differ", ylim=(0, 1.02), title=SPEC)
    right.legend(loc="lower right")
    letter([left, right])
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    text = frame[frame["part"] == "text"]
    return (
        "Forecasts from dense texts and one teacher-forced pass of each pruned model. (a) Total variation "
        f"of {TOKENS} tokens (written answers) or one token (chosen ones) against the measured change of "
        "the task's score (bars: 95 % paired bootstrap). The line is a ceiling for texts drawn like those "
        "of the forecast; the tasks have other prompts and greedy answers, so it is a rule here and no "
        "theorem. (b) Share of prompts whose two texts differ by token n when both models sample with the "
        f"same noise ({int(text['prompts'].iloc[0])} prompts; band: 95 % DKW), its forecast (G11), and the "
        "smallest share that any causal coupling allows (G2)."
    )


def _under_ceiling(frame: pd.DataFrame) -> Finding:
    tasks = frame[frame["part"] == "task"]
    under = tasks["change"].abs() <= tasks["forecast"] + 1e-9
    certain = (tasks[["change_lower", "change_upper"]].abs().min(axis=1) > tasks["forecast"]) & ~under
    return Finding(
        graded(float(under.mean())),
        f"{int(under.sum())} of {len(tasks)} changes under the ceiling; beyond it with their whole interval: "
        f"{int(certain.sum())}",
    )


def _diverges_as_forecast(frame: pd.DataFrame) -> Finding:
    text = frame[frame["part"] == "text"]
    inside = (text["low"] <= text["shared_noise"]) & (text["shared_noise"] <= text["high"])
    gap = float((text["measured"] - text["shared_noise"]).mean())
    return Finding(
        graded(float(inside.mean())),
        f"inside the band at {inside.mean():.0%} of n; measured less forecast, mean over n: {gap:+.2f}",
    )


FIGURE = Figure(
    id="forecast",
    title="Forecast against measurement",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "No score changes by more than the forecast total variation.",
            "ours, J1 (as a rule: other prompts)",
            "Share of specs and tasks with |change| at most the forecast: holds from 90 %, partly from 50 %.",
            _under_ceiling,
        ),
        Claim(
            "Texts that share their noise first differ when the forecast says.",
            "ours, theorem G11",
            "Share of n at which the forecast lies in the 95 % band of the measured share: holds from 90 %, "
            "partly from 50 %.",
            _diverges_as_forecast,
        ),
    ),
)
