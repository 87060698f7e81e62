"""Figure 2: the way of a perturbation from the hidden state to the text, with measured numbers on it."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, listed
from paper_figs.gallery import flips, sequence_tv
from paper_figs.judging import count_passed
from paper_figs.limits import Limits, geometric, over
from paper_figs.measured import pruned
from paper_figs.style import BLACK, ORANGE, SPACE_COLOUR, letter, panels
from paper_figs.words import in_words

SPEC = "attn:8"
DISTANCES = {
    "h_cosdist": ("hidden state h\n(input of the head)", SPACE_COLOUR["h"]),
    "cosdist_z": ("logits z", SPACE_COLOUR["z"]),
    "cosdist_z_centred": ("logits z,\nless their mean", ORANGE),
    "cosdist_p": ("probabilities p", SPACE_COLOUR["p"]),
}
RATIOS = {"head": ("cosdist_z", "h_cosdist"), "softmax": ("cosdist_p", "cosdist_z")}


def compute(context: Context) -> pd.DataFrame:
    """One row for each number on the drawing, with limits over prompts; parts: distance, change, ratio."""
    joint = context.recall(pruned.joint, specs=list(flips.SPECS)).query("spec == @SPEC")
    joint = joint.assign(flip=~joint["top1_agree"])
    sequence = sequence_tv.drift(context).query("spec == @SPEC").sort_values("n")
    last = sequence.iloc[-1]
    words = f"{int(last['n'])} tokens"

    def mean(column: str) -> Limits:
        return over(joint, lambda part: float(part[column].mean()))

    rows = [("distance", column, mean(column)) for column in DISTANCES]
    rows += [("change", "top token flips", mean("flip")), ("change", "TV of one token", mean("tv"))]
    rows.append(("change", f"TV of {words}", Limits(last["tv"], last["tv_lower"], last["tv_upper"])))
    rows += [
        ("ratio", name, geometric(joint, partial(_ratio, columns=pair))) for name, pair in RATIOS.items()
    ]
    frame = pd.DataFrame([(part, name, one.value, one.low, one.high) for part, name, one in rows])
    frame.columns = pd.Index(["part", "quantity", "value", "low", "high"])
    return frame.assign(spec=SPEC, positions=len(joint), source=context.setup.model)


def _ratio(part: pd.DataFrame, columns: tuple[str, str]) -> float:
    above, below = columns
    return float(part[above].mean() / part[below].mean())


def draw(frame: pd.DataFrame) -> Canvas:
    """Left: 1 - cos stage by stage on one axis. Right: what it does to a token and to the text."""
    canvas, axes = panels(1, 2, height=2.0)
    distances, changes = (frame[frame["part"] == part] for part in ("distance", "change"))
    names = [DISTANCES[name][0] for name in distances["quantity"]]
    _bars(axes[0, 0], names, distances, [colour for _, colour in DISTANCES.values()])
    least = distances.loc[distances["low"] > 0, "low"].min()
    axes[0, 0].set(xscale="log", xlim=(least / 3, 3), xlabel="mean 1 - cos, dense vs pruned")
    axes[0, 0].set_title(f"{frame['source'].iloc[0]}: one step")
    _bars(axes[0, 1], changes["quantity"].tolist(), changes, [SPACE_COLOUR["p"]] * 2 + [BLACK])
    axes[0, 1].set(xlim=(0, 1.15), xlabel="probability", title="a token, and the text")
    letter(axes[0].tolist())
    return canvas


def _bars(axis: Axes, names: list[str], rows: pd.DataFrame, colours: list[str]) -> None:
    place = range(len(rows))
    axis.barh(place, rows["value"], color=colours, height=0.6)
    axis.hlines(place, rows["low"].clip(lower=0), rows["high"], color=BLACK, lw=0.8)
    for height, value, high in zip(place, rows["value"], rows["high"], strict=True):
        axis.text(1.08 * max(value, high), height, f"{value:.2g}", va="center", fontsize=7)
    axis.set_yticks(place, names)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"What {SPEC} does at every stage, with 95 % limits over prompts. (a) Mean over "
        f"{int(frame['positions'].iloc[0])} positions of texts that the dense model wrote, both models "
        "reading the same text; here h is the input of the head, after the final norm, while the figures of "
        "single sublayers show the residual stream. (b) Total variation of one token and of whole "
        "continuations (J1). The paper's figure 2 is a drawing without data."
    )


def _ratios(frame: pd.DataFrame) -> dict[str, Limits]:
    rows = frame[frame["part"] == "ratio"].set_index("quantity")
    return {name: Limits(*map(float, rows.loc[name, ["value", "low", "high"]])) for name in RATIOS}


def _each_stage(frame: pd.DataFrame) -> Finding:
    ratios = _ratios(frame)
    return count_passed(
        [ratios["head"].below(1), ratios["softmax"].above(1)],
        f"1-cos of z over h {ratios['head']:.2g}, of p over z {ratios['softmax']:.2g}",
    )


def _takeaway(frame: pd.DataFrame) -> str:
    ratios = _ratios(frame)
    change = frame[frame["part"] == "change"].set_index("quantity")["value"]
    head, softmax = (ratios[name].value for name in ("head", "softmax"))
    damps = f"{'damps' if head < 1 else 'amplifies'} {max(head, 1 / head):.2g}x"
    grows = f"from {change['TV of one token']:.2f} to {change.iloc[-1]:.2f}"
    return (
        f"{in_words(SPEC)}: the head {damps}, the softmax changes 1-cos {softmax:.2g}x, and TV "
        f"grows {grows} over {change.index[-1].removeprefix('TV of ')}"
    )


CLAIMS = (
    Claim(
        f"With eight sublayers dropped at once ({SPEC}): the head damps, the softmax amplifies.",
        "paper, its thesis",
        "Mean 1-cos smaller in z than in h (input of the head), and larger in p than in z: both hold, one "
        "holds partly. Single sublayers: figures 4, 5, 18.",
        _each_stage,
    ),
)
FIGURE = listed("fig02", compute, draw, caption, _takeaway, CLAIMS)
