"""Figures 14 to 21: one panel for each attention layer, every step of one text; all from one trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from matplotlib.figure import Figure as Canvas

from paper_figs import traces
from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.judging import TRACKS_RULE, count_passed, tracks
from paper_figs.style import BLUE, GREEN, PAPER_ESTIMATE, TRUTH, VERMILION, layer_grid
from theory import catalogue


@dataclass(frozen=True)
class Line:
    """A column of the table with its name in the legend."""

    column: str
    label: str
    colour: str


@dataclass(frozen=True)
class Panels:
    """One figure of the family: which lines, on what axis, and what the paper says about them."""

    id: str
    title: str
    lines: tuple[Line, ...]
    unit: str
    words: str
    claims: tuple[Claim, ...]


def compute(context: Context, columns: list[str]) -> pd.DataFrame:
    """Layer, step and the chosen columns of the family's one table."""
    return context.recall(per_layer)[["layer", "step", *columns]]


def per_layer(context: Context) -> pd.DataFrame:
    """Everything the family shows, one row for each attention layer and step."""
    trace = context.recall(traces.trajectory).query("kind == 'attn'")
    column = {name: torch.tensor(trace[name].to_numpy()) for name in trace.columns if name != "kind"}

    def estimate(theorem: str, **values: torch.Tensor) -> object:
        return catalogue[theorem].approximate(column | values).numpy()

    return pd.DataFrame(
        {
            "layer": trace["layer"],
            "step": trace["step"],
            "kl": trace["kl"],
            "kl_estimate": estimate("T3"),
            "cosdist_p": trace["cosdist_p"],
            "cosdist_p_estimate": estimate("T2"),
            "cosdist_h": trace["h_cosdist"],
            "cosdist_h_estimate": estimate("T1", orthogonal_sq=column["h_orthogonal_sq"]),
            "cosdist_z": trace["cosdist_z"],
            "cosdist_z_estimate": estimate("T1"),
            "relative_h": trace["h_orthogonal_sq"],
            "relative_z": trace["orthogonal_sq"],
            "var_u": trace["var_u"],
            "var_r": trace["var_r"],
            "var_r_over_h": trace["var_r"] / trace["h_orthogonal_sq"],
            "var_r_over_z": trace["var_r"] / trace["orthogonal_sq"],
        }
    ).reset_index(drop=True)


def draw(frame: pd.DataFrame, panels: Panels) -> Canvas:
    """A small panel for each layer, logarithmic, each with its own axis."""
    canvas, axes = layer_grid(sorted(frame["layer"].unique()))
    for axis, (_, part) in zip(axes, frame.groupby("layer"), strict=True):
        for line in panels.lines:
            axis.plot(part["step"], part[line.column], color=line.colour, lw=0.6, label=line.label)
        axis.set_yscale("log")
        axis.minorticks_off()
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="upper center", ncols=len(labels))
    canvas.supxlabel("step", fontsize=8)
    canvas.supylabel(panels.unit, fontsize=8)
    return canvas


def caption(frame: pd.DataFrame, setup: Setup, panels: Panels) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"{panels.words} Input against output of the attention sublayer of every layer, "
        f"{frame['step'].nunique()} positions of one text sampled by the dense model (T = 1, one open "
        "prompt), each panel on its own logarithmic axis; logits through the final norm. The dense vector "
        "(with the sublayer) is the reference and the divisor. The paper shows 28 layers of "
        "Qwen2.5-7B-Instruct, without the final norm, on linear axes; its values are not published, so "
        "there is no overlay."
    )


def _layer_medians(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby("layer").median()


def _tracks(column: str) -> Callable[[pd.DataFrame], Finding]:
    return lambda frame: tracks(frame, column, f"{column}_estimate", by="layer")


def _last_layer_largest(frame: pd.DataFrame) -> Finding:
    high = frame.groupby("layer")["kl"].max()
    last = int(high.index.max())
    passed = [high.idxmax() == last, bool(high[last] > 10 * high.median())]
    return count_passed(
        passed, f"largest KL {high.max():.2g} at layer {high.idxmax()}, median layer {high.median():.2g}"
    )


def _estimate_leaves_range(frame: pd.DataFrame) -> Finding:
    layers = frame.groupby("layer")["cosdist_p_estimate"].max()
    outside = layers[layers > 1]
    return count_passed(
        [len(outside) > 0], f"{len(outside)} of {len(layers)} layers, largest estimate {layers.max():.3g}"
    )


def _first_layer_only(frame: pd.DataFrame) -> Finding:
    middle = _layer_medians(frame)["cosdist_h"]
    inner = middle[1:]
    passed = [bool(middle.iloc[0] > 0.3), bool((inner < 0.3).mean() >= 0.9)]
    return count_passed(
        passed,
        f"layer 0: {middle.iloc[0]:.2g}; other layers {inner.min():.2g} to {inner.max():.2g} (medians)",
    )


def _z_below_h(left: str, right: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        middle = _layer_medians(frame)
        share = float((middle[left] < middle[right]).mean())
        ratio = float((middle[right] / middle[left]).median())
        return Finding(graded(share), f"{share:.0%} of {len(middle)} layers, median ratio {ratio:.2g}")

    return judge


def _grows(column: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        middle = _layer_medians(frame)[column]
        third = max(1, len(middle) // 3)
        early, late = float(middle.iloc[:third].median()), float(middle.iloc[-third:].median())
        rank = float(middle.corr(pd.Series(middle.index, middle.index), method="spearman"))
        return count_passed(
            [late > 2 * early, rank > 0.5],
            f"first third {early:.2g}, last third {late:.2g}, rank correlation with depth {rank:.2f}",
        )

    return judge


_GROWS_RULE = (
    "Median of the last third of layers more than twice that of the first third, and rank correlation with "
    "depth above 0.5: both hold, one holds partly."
)
_BELOW_RULE = "Of the layers' medians: holds from 90 % of layers, partly from 50 %."
_TRUE, _GUESS = partial(Line, label="measured", colour=TRUTH), partial(Line, colour=PAPER_ESTIMATE)

FAMILY = (
    Panels(
        "fig14",
        "KL for each layer",
        (_TRUE("kl"), _GUESS("kl_estimate", "Var_p/2T² (T3)")),
        "KL(p||q), nats",
        "KL divergence and the paper's estimate.",
        (
            Claim(
                "KL(p||q) is about Var_p/2T² in every layer.",
                "paper, theorem 3 and figure 14",
                TRACKS_RULE,
                _tracks("kl"),
            ),
            Claim(
                "The last layer moves the distribution most, an order of magnitude more than the others.",
                "paper, figure 14 (order 10 at layer 27)",
                "Largest KL at the last layer, and there above ten times the median layer's largest: "
                "both hold, one "
                "holds partly.",
                _last_layer_largest,
            ),
        ),
    ),
    Panels(
        "fig15",
        "1 - cos(p, q) for each layer",
        (_TRUE("cosdist_p"), _GUESS("cosdist_p_estimate", "Var_r/2T² (T2)")),
        "1 - cos(p, q)",
        "Cosine distance of the probabilities and the paper's estimate.",
        (
            Claim(
                "1 - cos(p, q) is about Var_r/2T² in every layer.",
                "paper, theorem 2 and figure 15",
                TRACKS_RULE,
                _tracks("cosdist_p"),
            ),
            Claim(
                "The estimate leaves the feasible range [0, 1] in some layers.",
                "paper, figure 15 (layers 19, 27)",
                "Holds if any layer has an estimate above 1.",
                _estimate_leaves_range,
            ),
        ),
    ),
    Panels(
        "fig16",
        "1 - cos of the hidden state for each layer",
        (_TRUE("cosdist_h"), _GUESS("cosdist_h_estimate", "‖Δh⊥‖²/2‖h‖² (T1)")),
        "1 - cos(h, h')",
        "Cosine distance of the residual stream and the paper's estimate.",
        (
            Claim(
                "1 - cos(h) is about half the squared relative orthogonal change.",
                "paper, theorem 1 and figure 16",
                TRACKS_RULE,
                _tracks("cosdist_h"),
            ),
            Claim(
                "Only the first layer moves the hidden state by order one.",
                "paper, figure 16",
                "Median above 0.3 at layer 0, and below 0.3 in at least 90 % of the others: both hold, "
                "one holds "
                "partly.",
                _first_layer_only,
            ),
        ),
    ),
    Panels(
        "fig17",
        "1 - cos of the logits for each layer",
        (_TRUE("cosdist_z"), _GUESS("cosdist_z_estimate", "‖Δz⊥‖²/2‖z‖² (T1)")),
        "1 - cos(z, z')",
        "Cosine distance of the logits (not centred, as in the paper) and the paper's estimate.",
        (
            Claim(
                "1 - cos(z) is about half the squared relative orthogonal change.",
                "paper, theorem 1 and figure 17",
                TRACKS_RULE,
                _tracks("cosdist_z"),
            ),
        ),
    ),
    Panels(
        "fig18",
        "Relative orthogonal magnitude for each layer",
        (Line("relative_z", "‖Δz⊥‖²/‖z‖²", GREEN), Line("relative_h", "‖Δh⊥‖²/‖h‖²", BLUE)),
        "relative magnitude",
        "Squared orthogonal change relative to the dense vector, of logits and hidden state.",
        (
            Claim(
                "The logits change less, relatively, than the hidden state.",
                "paper, figures 5 and 18",
                _BELOW_RULE,
                _z_below_h("relative_z", "relative_h"),
            ),
        ),
    ),
    Panels(
        "fig19",
        "Variance of the logit change for each layer",
        (Line("var_u", "uniform weights", BLUE), Line("var_r", "weights p² (r)", PAPER_ESTIMATE)),
        "Var(Δz)",
        "Variance of the logit change under two weights; its square root is in logits at T = 1.",
        (
            Claim(
                "The variance of the logit change grows with depth.",
                "paper, figure 19",
                _GROWS_RULE,
                _grows("var_r"),
            ),
        ),
    ),
    Panels(
        "fig20",
        "Weighted variance per relative change of h for each layer",
        (Line("var_r_over_h", "Var_r / (‖Δh⊥‖²/‖h‖²)", VERMILION),),
        "ratio",
        "How much logit variance, where it counts, one unit of relative hidden change makes.",
        (
            Claim(
                "The ratio of logit variance to relative hidden change grows with depth.",
                "paper, figure 20",
                _GROWS_RULE,
                _grows("var_r_over_h"),
            ),
        ),
    ),
    Panels(
        "fig21",
        "Weighted variance per relative change of z for each layer",
        (Line("var_r_over_z", "Var_r / (‖Δz⊥‖²/‖z‖²)", VERMILION),),
        "ratio",
        "How much logit variance, where it counts, one unit of relative logit change makes.",
        (
            Claim(
                "The ratio of logit variance to relative logit change grows with depth.",
                "paper, figure 21",
                _GROWS_RULE,
                _grows("var_r_over_z"),
            ),
        ),
    ),
)


def _figure(panels: Panels) -> Figure:
    return Figure(
        id=panels.id,
        title=panels.title,
        compute=partial(compute, columns=[line.column for line in panels.lines]),
        draw=partial(draw, panels=panels),
        caption=partial(caption, panels=panels),
        claims=panels.claims,
    )


FIGURES = tuple(_figure(panels) for panels in FAMILY)
