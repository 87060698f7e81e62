"""Figure 13: as figure 4, each sublayer alone replaced by its Wanda-pruned version."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure
from paper_figs.gallery.fig04_layerwise import mean_in_p, similarity, worst_in_p
from paper_figs.measured import sublayers
from paper_figs.style import SPACE_COLOUR, SPACE_DASH, SPACE_LABEL, layer_axis, letter, panels

SPEC = "wanda:50%"


def compute(context: Context) -> pd.DataFrame:
    """Mean, minimum and maximum cosine over prompts and positions."""
    return similarity(context.recall(sublayers.sublayers, spec=SPEC)).assign(source=context.setup.model)


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel for each kind."""
    canvas, axes = panels(1, 2, height=2.4, sharey=True)
    for axis, (kind, words) in zip(axes[0], (("attn", "attention"), ("mlp", "MLP")), strict=True):
        for space, label in SPACE_LABEL.items():
            part = frame[(frame["kind"] == kind) & (frame["space"] == space)].sort_values("layer")
            colour = SPACE_COLOUR[space]
            axis.fill_between(part["layer"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)
            axis.plot(
                part["layer"],
                part["mean"],
                color=colour,
                dashes=SPACE_DASH[space] or (None, None),
                label=label,
            )
        axis.set(title=f"{words} pruned, {SPEC}")
        layer_axis(axis)
    axes[0, 0].set_ylabel("cosine, dense vs pruned")
    axes[0, 0].legend(loc="lower left", title="mean; band: min to max")
    letter(axes[0].tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"As figure 4, with each sublayer alone replaced by its {SPEC} version on the dense model's inputs, "
        f"over {int(frame['count'].max())} positions. The paper's sparsity level is not stated (50 % "
        "inferred) and its values are not published; its script pruned attention without its context after "
        "the first step, so its attention panel cannot be compared."
    )


FIGURE = Figure(
    id="fig13",
    title="Layer-wise similarity of h, z and p when one sublayer is pruned by Wanda",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "Weight pruning shows the same hierarchy: probabilities deviate more than h and z.",
            "paper, figure 13",
            "As in figure 4: over inner sublayers, mean 1-cos larger in p than in both z and h. Holds "
            "from 90 % of sublayers, partly from 50 %.",
            mean_in_p,
        ),
        Claim(
            "The worst case is in probability space.",
            "paper, figure 13 (bands)",
            "As in figure 4: lowest cosine in p. Holds from 90 % of sublayers, partly from 50 %.",
            worst_in_p,
        ),
    ),
)
