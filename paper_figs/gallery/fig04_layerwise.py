"""Figure 4: how similar h, z and p stay when one sublayer is dropped, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Verdict, listed
from paper_figs.judging import graded, percent
from paper_figs.limits import Limits, decided_share, mean_ratio, student
from paper_figs.measured import reference, sublayers
from paper_figs.style import SPACE_COLOUR, SPACE_DASH, SPACE_LABEL, layer_axis, legend_above, letter, panels

KINDS = {"attn": "attention dropped", "mlp": "MLP dropped"}
SPACES = {"h": "h_cosdist", "z": "cosdist_z", "p": "cosdist_p"}
NOT_A_PROMPT = -1  # in rows of the paper, which averages over prompts


def similarity(trace: pd.DataFrame) -> pd.DataFrame:
    """Mean, minimum and maximum cosine over positions: a row for each kind, layer, prompt and space.

    ``more_than_h`` and ``more_than_z`` count the positions at which p deviates more.
    """
    trace = trace.assign(
        more_than_h=trace["cosdist_p"] > trace["h_cosdist"],
        more_than_z=trace["cosdist_p"] > trace["cosdist_z"],
    )
    grouped = trace.groupby(["kind", "layer", "prompt"])
    counts = grouped[["more_than_h", "more_than_z"]].sum()
    rows = []
    for space, column in SPACES.items():
        distance = grouped[column].agg(["mean", "min", "max", "count"])
        cosine = pd.DataFrame(
            {
                "mean": 1 - distance["mean"],
                "low": 1 - distance["max"],
                "high": 1 - distance["min"],
                "count": distance["count"],
            }
        )
        rows.append(cosine.join(counts).reset_index().assign(space=space))
    return pd.concat(rows, ignore_index=True)


def compute(context: Context) -> pd.DataFrame:
    """This model's similarities, then the paper's."""
    ours = similarity(context.recall(sublayers.sublayers)).assign(source=context.setup.model)
    return pd.concat([ours, reference.layerwise().assign(prompt=NOT_A_PROMPT)], ignore_index=True)


def by_layer(frame: pd.DataFrame) -> pd.DataFrame:
    """Over all prompts: mean of prompts, smallest low, largest high, number of positions."""
    grouped = frame.groupby(["source", "kind", "layer", "space"], sort=False)
    return grouped.agg({"mean": "mean", "low": "min", "high": "max", "count": "sum"}).reset_index()


def similarity_lines(axis: Axes, part: pd.DataFrame) -> None:
    """Cosine in three spaces against the layer: mean, and band from minimum to maximum."""
    for space in SPACES:
        line = part[part["space"] == space].sort_values("layer")
        colour, dash = SPACE_COLOUR[space], SPACE_DASH[space] or (None, None)
        axis.fill_between(line["layer"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
        axis.plot(line["layer"], line["mean"], color=colour, dashes=dash, label=SPACE_LABEL[space])
    axis.set_ylim(-0.6, 1.03)
    layer_axis(axis)
    axis.axhline(0, color="0.6", lw=0.5)


def draw(frame: pd.DataFrame) -> Canvas:
    """Rows: attention, MLP. Columns: this model, the paper's, and both as 1 - cos against depth."""
    table = by_layer(frame)
    sources = list(dict.fromkeys(table["source"]))
    canvas, axes = panels(2, len(sources) + 1)
    for row, (kind, words) in enumerate(KINDS.items()):
        for column, source in enumerate(sources):
            similarity_lines(axes[row, column], table[(table["kind"] == kind) & (table["source"] == source)])
            axes[row, column].set_title(f"{words}, {source}", fontsize=7)
        axes[row, 0].set_ylabel("cosine, dense vs dropped")
        distance_lines(axes[row, -1], table[table["kind"] == kind], sources)
        axes[row, -1].set_title(f"{words}, 1 - cos", fontsize=7)
    legend_above(canvas, axes[0, 0], 3, "mean; band: minimum to maximum over positions")
    letter(axes.ravel().tolist())
    return canvas


def distance_lines(axis: Axes, table: pd.DataFrame, sources: list[str]) -> None:
    """Where everything of interest is within 5 % of 1, a logarithmic axis shows it."""
    for source, width in zip(sources, (1.3, 0.6), strict=False):
        for space in SPACES:
            line = table[(table["space"] == space) & (table["source"] == source)].sort_values("layer")
            depth = line["layer"] / line["layer"].max()
            axis.plot(
                depth,
                1 - line["mean"],
                color=SPACE_COLOUR[space],
                lw=width,
                dashes=SPACE_DASH[space] or (None, None),
            )
    thin = " (thin: paper)" if len(sources) > 1 else ""
    axis.set(yscale="log", xlabel=f"relative depth{thin}", ylabel="mean 1 - cos")


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    count = int(by_layer(frame[frame["source"] == setup.model])["count"].max())
    return (
        "Cosine between the dense vector and the vector with one sublayer left out, in three spaces, for "
        f"each layer: mean (line) and minimum to maximum (band) over {count} positions sampled by the dense "
        f"model ({setup.profile.prompts_per_kind} prompts of each of three kinds, {setup.profile.tokens} "
        "tokens each). h is the residual stream after the sublayer, z passes it through the final norm and "
        "the head, p is the softmax at T = 1. Right column: the same means as 1 - cos, logarithmic, against "
        "relative depth. The paper's curves are Qwen2.5-7B-Instruct without the final norm before the head, "
        "over its own prompts, digitised from its figure 4."
    )


def inner(frame: pd.DataFrame) -> pd.DataFrame:
    """Our rows without the first and the last layer."""
    ours: pd.DataFrame = frame.loc[frame["source"] == frame["source"].iloc[0]]
    return ours.loc[ours["layer"].between(1, int(ours["layer"].max()) - 1)]


def ratios(frame: pd.DataFrame, space: str) -> pd.Series:
    """Mean 1-cos of p over that of ``space``, with limits over prompts, for each inner sublayer."""
    wide = 1 - inner(frame).pivot_table(index=["kind", "layer", "prompt"], columns="space", values="mean")
    prompts = wide.index.get_level_values("prompt")
    found = {
        key: mean_ratio(wide["p"].to_numpy()[rows], wide[space].to_numpy()[rows], prompts[rows])
        for key, rows in wide.groupby(["kind", "layer"]).indices.items()
    }
    return pd.Series(found)


def deviates_more(space: str) -> Callable[[pd.DataFrame], Finding]:
    """Judge whether p deviates more than ``space``: by means of sublayers and position by position."""

    def judge(frame: pd.DataFrame) -> Finding:
        ratio = ratios(frame, space)
        sublayers_ = decided_share(one.above(1) for one in ratio)
        rows = inner(frame).query("space == 'p'").groupby("prompt")[[f"more_than_{space}", "count"]].sum()
        shares = rows[f"more_than_{space}"] / rows["count"]
        positions = student(shares, float(rows[f"more_than_{space}"].sum() / rows["count"].sum()))
        positions = Limits(positions.value, max(0.0, positions.low), min(1.0, positions.high))
        middle = float(np.median([one.value for one in ratio]))
        evidence = (
            f"1-cos larger in p than in {space}: by mean for {percent(sublayers_)} of {len(ratio)} inner "
            f"sublayers (median ratio {middle:.2g}), and at {percent(positions)} of positions"
        )
        verdicts = {graded(part, evidence).verdict for part in (sublayers_, positions)}
        if len(verdicts) == 1:
            return Finding(verdicts.pop(), evidence)
        return Finding(Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.PARTLY, evidence)

    return judge


def worst_in_p(frame: pd.DataFrame) -> Finding:
    """Judge where the lowest cosine over positions lies, prompt by prompt."""
    table = inner(frame).pivot_table(index=["kind", "layer", "prompt"], columns="space", values="low")
    lowest = (table["p"] < table["h"]) & (table["p"] < table["z"])
    part = student(lowest.groupby("prompt").mean(), float(lowest.mean()))
    part = Limits(part.value, max(0.0, part.low), min(1.0, part.high))
    return graded(part, f"lowest cosine in p for {percent(part)} of inner sublayers and prompts")


DEVIATES_RULE = (
    "Over all sublayers but the first and last layer's, 1-cos larger in p, by two notions: share of "
    "sublayers "
    "by the mean over prompts, share of positions one by one. Each holds from 90 %, partly from 50 %; if the "
    "notions differ, partly."
)
WORST_RULE = (
    "Over the same sublayers and prompts: the lowest cosine over positions is lower in p than in both z and "
    "h. "
    "Holds from 90 %, partly from 50 %."
)


def takeaway(frame: pd.DataFrame, what: str = "dropped") -> str:
    """Which share of sublayers and how much more."""
    ratio = [one.value for one in ratios(frame, "h")]
    return (
        f"One sublayer {what}: probabilities deviate {np.median(ratio):.2g}x as much as hidden states "
        f"(1-cos, median), and more in {np.mean([one > 1 for one in ratio]):.0%} of inner sublayers"
    )


CLAIMS = (
    Claim(
        "With one sublayer dropped, probabilities deviate more than logits.",
        "paper, section 4 and figure 4",
        DEVIATES_RULE,
        deviates_more("z"),
    ),
    Claim(
        "With one sublayer dropped, probabilities deviate more than hidden states.",
        "paper, section 4 and figure 4",
        DEVIATES_RULE,
        deviates_more("h"),
    ),
    Claim("The worst case is in probability space.", "paper, figure 4 (bands)", WORST_RULE, worst_in_p),
)
FIGURE = listed("fig04", compute, draw, caption, takeaway, CLAIMS)
