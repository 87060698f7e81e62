"""Ours: forecasts for many pruned models, held against what these models then did; from runs that ship."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from scipy.stats import spearmanr

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Whose
from paper_figs.judging import as_proved, count_passed, graded, percent, untested
from paper_figs.limits import Limits, share
from paper_figs.measured import shipped
from paper_figs.style import BLACK, BLUE, GREEN, SERIES, VERMILION, letter, panels

KINDS = {"generation": ("written answers", VERMILION), "choice": ("chosen answers", BLUE)}
COUPLINGS = {"survival": ("best coupling", GREEN), "shared_noise": ("shared noise", BLACK)}
MARKERS = "osD^"
ROUNDING = 1e-9
TIGHT = 0.5  # ceiling under which a change of a score could well exceed it
EXACT = 0.9  # of prompts; rounding differs between passes
ORDERED = 0.5  # rank correlation


def compute(context: Context, digest: str) -> pd.DataFrame:
    """Rows of four parts: "task", "survival" and "shared_noise" by n, "model" (one for each pruned model)."""
    del context, digest  # the data ship with the package; the digest tells one state of them from another
    parts = ["tasks", *COUPLINGS]
    frames = [shipped.records(part).assign(part=part) for part in parts]
    models = [
        {
            "model": model,
            "spec": record["spec"],
            "kl_per_token": record["kl_per_token"]["mean"],
            "generation_loss": record["generation_loss"],
            "choice_loss": record["choice_loss"],
            "greedy_exact": record["greedy"]["exact"],
            "prompts": document["prompts"]["measured"],
        }
        for model, document in shipped.validations().items()
        for record in document["specs"]
    ]
    return pd.concat([*frames, pd.DataFrame(models).assign(part="model")], ignore_index=True)


def draw(frame: pd.DataFrame) -> Canvas:
    """(a) changes of scores under their ceilings, (b) identical tokens, (c) loss in order of the forecast."""
    canvas, axes = panels(1, 3, height=2.7)
    ceilings, identical, losses = axes[0]
    markers = dict(zip(frame["model"].unique(), MARKERS, strict=False))
    _ceilings(ceilings, frame[frame["part"] == "tasks"], markers)
    _identical(identical, frame[frame["part"].isin(COUPLINGS)])
    _losses(losses, frame[frame["part"] == "model"], markers)
    letter(axes[0].tolist())
    return canvas


def _ceilings(axis: Axes, tasks: pd.DataFrame, markers: dict[str, str]) -> None:
    for kind, (words, colour) in KINDS.items():
        for model, marker in markers.items():
            part = tasks[(tasks["kind"] == kind) & (tasks["model"] == model)]
            axis.plot(
                *(part["ceiling_upper"], part["sampled_change"].abs()),
                marker, color=colour, ms=2.5, alpha=0.6, mew=0, label=f"{words}, {model}",
            )  # fmt: skip
    axis.plot([0, 1], [0, 1], color=BLACK, lw=0.8)
    axis.set(title="tasks", xlabel="forecast ceiling", ylabel="measured |change of the score|")
    axis.set(xlim=(0, 1.02), ylim=(-0.02, 1.02))
    axis.legend(loc="upper left", fontsize=5, handletextpad=0.2)


def _identical(axis: Axes, rows: pd.DataFrame) -> None:
    for coupling, (words, colour) in COUPLINGS.items():
        part = rows[rows["part"] == coupling]
        axis.plot(
            *(part["forecast_mean"], part["measured_mean"]),
            "o", color=colour, ms=2, alpha=0.5, mew=0, label=words,
        )  # fmt: skip
    axis.plot([0, 1], [0, 1], color=BLACK, lw=0.8)
    axis.set(title="first n tokens identical", xlabel="forecast probability", ylabel="measured share")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.legend(loc="upper left", fontsize=6, handletextpad=0.2)


def _losses(axis: Axes, rows: pd.DataFrame, markers: dict[str, str]) -> None:
    for (model, marker), colour in zip(markers.items(), SERIES, strict=False):
        part = rows[rows["model"] == model]
        axis.plot(part["kl_per_token"], part["generation_loss"], marker, color=colour, ms=3, label=model)
    axis.set(title="pruned models", xscale="log", xlabel="forecast KL per token, nats")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set_ylabel("loss on written answers")
    axis.legend(loc="upper left", fontsize=6, handletextpad=0.2)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    models = frame[frame["part"] == "model"]
    names = " and ".join(
        f"{model} ({len(part)} specs, {int(part['prompts'].iloc[0])} prompts)"
        for model, part in models.groupby("model", sort=False)
    )
    items = sorted({int(n) for n in frame.loc[frame["part"] == "tasks", "n"]})
    return (
        f"Runs that ship with the package (python -m real validate): {names}; they do not depend on the "
        "model of this report. (a) Each point is one task and spec: change of the expected score when "
        f"answers are drawn at random ({' or '.join(map(str, items))} items), against its "
        "ceiling, the total variation of the answers (for written ones, the upper 95 % limit of its "
        "estimate). (b) Share of "
        "unseen prompts whose first n tokens stay identical (n = 1, 2, 4, …) against the forecast, when the "
        "two models are coupled as well as possible (G2) or share their Gumbel noise (G11). (c) Loss of the "
        "greedy score on written answers against the forecast drift. The paper forecasts nothing."
    )


def _under_ceiling(frame: pd.DataFrame) -> Finding:
    tasks = frame[frame["part"] == "tasks"]
    rows = [
        tasks.assign(moved=tasks[change].abs(), ceiling=tasks[ceiling])
        for change, ceiling in (("sampled_change", "ceiling_upper"), ("change", "greedy_ceiling"))
    ]
    every = pd.concat(rows)
    tight = every[every["ceiling"] <= TIGHT]
    if tight.empty:
        return untested(f"no ceiling is below {TIGHT:g}")
    under = share(tight["moved"] <= tight["ceiling"] + ROUNDING, _unit(tight))
    return graded(
        under,
        f"{percent(under)} of the {len(tight)} changes (of {int(every['ceiling'].notna().sum())}) whose "
        "ceiling "
        f"is at most {TIGHT:g}",
    )


def _unit(rows: pd.DataFrame) -> pd.Series:
    """Pruned models are what is independent, not their tasks or lengths."""
    return rows["model"] + " " + rows["spec"]


def _identical_as_forecast(frame: pd.DataFrame) -> Finding:
    rows = frame[frame["part"].isin(COUPLINGS)]
    overlap = (rows["forecast_lower"] <= rows["measured_upper"]) & (
        rows["measured_lower"] <= rows["forecast_upper"]
    )
    error = (rows["forecast_mean"] - rows["measured_mean"]).abs().mean()
    part = share(overlap, _unit(rows))
    return graded(
        part, f"bands overlap at {percent(part)} of {len(rows)} points, mean difference {error:.3f}"
    )


def _greedy_exact(frame: pd.DataFrame) -> Finding:
    exact = frame.loc[frame["part"] == "model", "greedy_exact"]
    return as_proved(
        bool(exact.mean() >= EXACT), f"mean share of prompts {exact.mean():.1%}, lowest {exact.min():.1%}"
    )


def _ranks(frame: pd.DataFrame) -> Finding:
    models = frame[frame["part"] == "model"].groupby("model", sort=False)
    found = {str(name): _rank(part) for name, part in models}
    text = ", ".join(f"{name} {one:.2f}" for name, one in found.items())
    return count_passed([one.above(ORDERED) for one in found.values()], f"Spearman {text}")


def _rank(part: pd.DataFrame) -> Limits:
    """Spearman's correlation with Fisher's limits (Bonett and Wright's variance)."""
    rank = float(np.nan_to_num(spearmanr(part["kl_per_token"], part["generation_loss"]).statistic))
    if len(part) < 4:
        return Limits(rank, -1.0, 1.0)
    half = 1.96 * np.sqrt((1 + rank**2 / 2) / (len(part) - 3))
    centre = np.arctanh(np.clip(rank, -0.999999, 0.999999))
    return Limits(rank, min(rank, float(np.tanh(centre - half))), max(rank, float(np.tanh(centre + half))))


def _takeaway(frame: pd.DataFrame) -> str:
    models = frame[frame["part"] == "model"].groupby("model", sort=False)
    text = ", ".join(f"{_rank(part).value:.2f} ({name})" for name, part in models)
    return f"Forecast drift ranks the loss on written answers: Spearman {text}"


FIGURE = Figure(
    id="validation",
    title="Forecasts of many pruned models and what happened",
    compute=partial(compute, digest=shipped.validations_digest()),
    draw=draw,
    caption=caption,
    takeaway=_takeaway,
    section="Forecast",
    claims=(
        Claim(
            "No score changes by more than its ceiling.",
            "ours, theorems C9 and J1",
            f"Of the tasks and specs whose ceiling is at most {TIGHT:g} (a larger one tests nothing), for "
            "answers "
            "drawn at random and for greedy written ones: share within it: holds from 90 %, partly from 50 "
            "%.",
            _under_ceiling,
            Whose.OURS,
            ("C9", "J1"),
        ),
        Claim(
            "Texts stay identical as long as forecast from other prompts.",
            "ours, theorems G2 and G11",
            "Share of points at which the two 90 % bands overlap: holds from 90 %, partly from 50 %.",
            _identical_as_forecast,
            Whose.OURS,
            ("G2", "G11"),
        ),
        Claim(
            "Greedy text departs exactly where one teacher-forced pass says.",
            "ours, theorem G10",
            "A theorem in exact arithmetic; rounding differs between passes, so contradicted below "
            f"{EXACT:.0%} of prompts.",
            _greedy_exact,
            Whose.THEOREM,
            ("G10",),
        ),
        Claim(
            "Written answers suffer in the order of the forecast KL per token.",
            "ours, an expectation",
            f"Rank correlation over specs above {ORDERED:g}: for every model holds, for some partly.",
            _ranks,
            Whose.OURS,
        ),
    ),
)
