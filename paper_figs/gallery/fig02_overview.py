"""Figure 2: the way of a perturbation from the hidden state to the text, with measured numbers on it."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyBboxPatch

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery import flips, sequence_tv
from paper_figs.judging import count_passed
from paper_figs.measured import pruned
from paper_figs.style import GREY, ORANGE, PAGE, SPACE_COLOUR

SPEC = "attn:8"
STAGES = {
    "hidden": ("hidden state h", SPACE_COLOUR["h"]),
    "logits": ("logits z", SPACE_COLOUR["z"]),
    "probabilities": ("probabilities p", SPACE_COLOUR["p"]),
    "token": ("one token", ORANGE),
    "text": ("generated text", GREY),
}
ARROWS = ("head", "softmax", "sampling", "again and again")


def compute(context: Context) -> pd.DataFrame:
    """One row for each number on the drawing."""
    joint = context.recall(pruned.joint, specs=list(flips.SPECS)).query("spec == @SPEC")
    sequence = context.recall(pruned.sequence_drift, specs=list(sequence_tv.SPECS), level=sequence_tv.LEVEL)
    sequence = sequence.query("spec == @SPEC").sort_values("n")
    last = sequence.iloc[-1]
    numbers = [
        ("hidden", "1 - cos", joint["h_cosdist"].mean()),
        ("logits", "1 - cos", joint["cosdist_z"].mean()),
        ("logits", "1 - cos, centred", joint["cosdist_z_centred"].mean()),
        ("probabilities", "1 - cos", joint["cosdist_p"].mean()),
        ("probabilities", "KL, nats", joint["kl"].mean()),
        ("token", "TV", joint["tv"].mean()),
        ("token", "top token flips", 1 - joint["top1_agree"].mean()),
        ("text", f"TV of {int(last['n'])} tokens", last["tv"]),
        ("text", f"texts differ by {int(last['n'])}", last["divergence"]),
    ]
    frame = pd.DataFrame(numbers, columns=["stage", "quantity", "value"])
    return frame.assign(spec=SPEC, positions=len(joint), source=context.setup.model)


def draw(frame: pd.DataFrame) -> Canvas:
    """A box for each stage, arrows between them, numbers below."""
    canvas = Canvas(figsize=(PAGE, 1.7))
    canvas.set_layout_engine("none")
    axis = canvas.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 5), ylim=(0, 1.2))
    axis.axis("off")
    for place, (stage, (words, colour)) in enumerate(STAGES.items()):
        box = FancyBboxPatch(
            (place + 0.12, 0.78), 0.72, 0.26, boxstyle="round,pad=0.02", fc=colour, ec="none", alpha=0.25
        )
        axis.add_patch(box)
        axis.text(place + 0.48, 0.91, words, ha="center", va="center", fontsize=8, weight="bold")
        if place:
            axis.annotate(
                "",
                (place + 0.09, 0.91),
                (place - 0.13, 0.91),
                arrowprops={"arrowstyle": "-|>", "lw": 1, "color": "0.2"},
            )
            axis.text(
                place - 0.02, 1.09, ARROWS[place - 1], ha="center", va="bottom", fontsize=6, style="italic"
            )
        part = frame[frame["stage"] == stage]
        for line, (quantity, value) in enumerate(zip(part["quantity"], part["value"], strict=True)):
            height = 0.62 - 0.3 * line
            axis.text(
                place + 0.48, height, f"{value:.3g}", ha="center", va="center", fontsize=10, color=colour
            )
            axis.text(place + 0.48, height - 0.12, quantity, ha="center", va="center", fontsize=6.5)
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"What {SPEC} does at every stage. To the left of the last box: mean over "
        f"{int(frame['positions'].iloc[0])} positions of texts that the dense model wrote, both models "
        "reading the same text (h is the head's input, after the final norm). Last box: total variation "
        "and least probability of differing texts for whole continuations (J1, G2). The paper's figure 2 "
        "is a drawing without data."
    )


def _each_stage(frame: pd.DataFrame) -> Finding:
    cosine = frame[frame["quantity"] == "1 - cos"].set_index("stage")["value"]
    values = {name: float(cosine[name]) for name in ("hidden", "logits", "probabilities")}
    text = float(frame.loc[frame["stage"] == "text", "value"].iloc[0])
    one = float(frame.loc[frame["stage"] == "token", "value"].iloc[0])
    passed = [values["logits"] < values["hidden"], values["probabilities"] > values["logits"], text > one]
    return count_passed(
        passed,
        ", ".join(f"{name} {value:.2g}" for name, value in values.items()) + f"; TV {one:.2f} → {text:.2f}",
    )


FIGURE = Figure(
    id="fig02",
    title="From hidden state to text: where the perturbation grows",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "The head damps, the softmax amplifies, generation accumulates.",
            "paper, its thesis",
            "1-cos smaller in z than in h; larger in p than in z; TV of the text above that of one token: "
            "all hold, some hold partly.",
            _each_stage,
        ),
    ),
)
