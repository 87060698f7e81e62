"""Figure 13: as figure 4, each sublayer alone replaced by its Wanda-pruned version."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, listed
from paper_figs.gallery.fig04_layerwise import (
    DEVIATES_RULE,
    WORST_RULE,
    by_layer,
    deviates_more,
    distance_lines,
    similarity,
    similarity_lines,
    takeaway,
    worst_in_p,
)
from paper_figs.measured import sublayers
from paper_figs.style import legend_above, letter, panels
from paper_figs.words import in_words

SPEC = "wanda:50%"


def compute(context: Context) -> pd.DataFrame:
    """Mean, minimum and maximum cosine over positions, prompt by prompt."""
    return similarity(context.recall(sublayers.sublayers, spec=SPEC)).assign(source=context.setup.model)


def draw(frame: pd.DataFrame) -> Canvas:
    """Columns: kind. Rows: the cosine, and its mean as 1 - cos."""
    canvas, axes = panels(2, 2, height=1.9, sharey="row")
    table = by_layer(frame)
    for column, (kind, words) in enumerate((("attn", "attention"), ("mlp", "MLP"))):
        part = table[table["kind"] == kind]
        similarity_lines(axes[0, column], part)
        distance_lines(axes[1, column], part, list(part["source"].unique()))
        axes[1, column].set_title(f"{words} pruned, 1 - cos")
        axes[0, column].set_title(f"{words} pruned, {table['source'].iloc[0]}")
    axes[0, 0].set_ylabel("cosine, dense vs pruned")
    legend_above(canvas, axes[0, 0], 3, "mean; band: minimum to maximum over positions")
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    return (
        f"As figure 4, with each sublayer alone replaced by its {SPEC} version on the dense model's inputs, "
        f"over {int(by_layer(frame)['count'].max())} positions; below, the means as 1 - cos. "
        "The paper's sparsity level is not stated "
        "(50 % inferred) and its values are not published; its script pruned attention without its context "
        "after the first step, so its attention panel cannot be compared."
    )


CLAIMS = (
    Claim(
        "Weight pruning shows the same hierarchy: probabilities deviate more than logits.",
        "paper, figure 13",
        DEVIATES_RULE,
        deviates_more("z"),
    ),
    Claim(
        "Weight pruning shows the same hierarchy: probabilities deviate more than hidden states.",
        "paper, figure 13",
        DEVIATES_RULE,
        deviates_more("h"),
    ),
    Claim("The worst case is in probability space.", "paper, figure 13 (bands)", WORST_RULE, worst_in_p),
)
FIGURE = listed(
    "fig13", compute, draw, caption, partial(takeaway, what=f"pruned by {in_words(SPEC)}"), CLAIMS
)
