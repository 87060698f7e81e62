"""The look of every figure: one style file, colour-blind safe colours that mean the same thing everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

STYLE = Path(__file__).with_name("paper.mplstyle")
COLUMN, PAGE = 3.4, 7.0  # inches: one journal column, the whole page

# Okabe and Ito's palette: distinguishable with every common kind of colour blindness.
BLUE, GREEN, VERMILION, ORANGE, PURPLE, SKY, YELLOW, BLACK, GREY = (
    "#0072B2",
    "#009E73",
    "#D55E00",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
    "#777777",
)
SPACE_COLOUR = {"h": BLUE, "z": GREEN, "p": VERMILION}
SPACE_DASH = {"h": (4, 1.5), "z": (1, 1), "p": ""}
SPACE_LABEL = {"h": "hidden state h", "z": "logits z", "p": "probabilities p"}
QUANTITY_LABEL = {
    "cosdist_h": "1 - cos(h, h')",
    "cosdist_z": "1 - cos(z, z')",
    "cosdist_p": "1 - cos(p, q)",
    "kl": "KL(p||q), nats",
    "tv": "TV(p, q)",
}
TRUTH, PAPER_ESTIMATE, OUR_ESTIMATE, BOUND = BLACK, ORANGE, PURPLE, GREY
COUNT_COLOUR = {1: SKY, 2: BLUE, 4: ORANGE, 8: VERMILION}  # of dropped sublayers
COMPRESSION_COLOUR = {"attn:8": ORANGE, "int4": PURPLE, "wanda:4:8": BLACK}
SPARSITY_COLOUR = {"50%": BLUE, "4:8": ORANGE, "2:4": VERMILION}
SERIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK)


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in the project's style, whatever the user's matplotlib settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        sns.set_theme(context="paper", style="ticks", palette=list(SERIES))
        matplotlib.style.use(STYLE)
        yield


def panels(
    rows: int, columns: int, width: float = PAGE, height: float = 2.2, **options: Any
) -> tuple[Canvas, np.ndarray]:
    """A canvas of ``rows`` x ``columns`` axes, each ``height`` inches tall; the array is always 2-D."""
    canvas = Canvas(figsize=(width, rows * height), layout="constrained")
    return canvas, canvas.subplots(rows, columns, squeeze=False, **options)


def legend_above(canvas: Canvas, axis: Axes, ncols: int, title: str | None = None) -> None:
    """The legend of one panel above all of them, where it hides nothing."""
    handles, labels = axis.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=ncols, title=title)


def letter(axes: Sequence[Axes]) -> None:
    """Put (a), (b), ... before the titles."""
    for index, axis in enumerate(axes):
        axis.set_title(f"({chr(ord('a') + index)}) {axis.get_title()}", x=0, ha="left")


def layer_axis(axis: Axes) -> None:
    """Name the x axis after the layers, and tick whole layers only."""
    axis.set_xlabel("layer")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def layer_grid(layers: Sequence[int], columns: int = 6) -> tuple[Canvas, list[Axes]]:
    """Small panels, one for each layer, filling a page; unused ones are left out.

    All panels have tick labels of one width, so the margins (in inches) can be given: finding them by
    constrained layout takes as long as drawing.
    """
    rows = -(-len(layers) // columns)
    height = 1.05 * rows + 0.55
    canvas = Canvas(figsize=(PAGE, height))
    canvas.set_layout_engine("none")
    sides = {"left": 0.5 / PAGE, "right": 1 - 0.05 / PAGE, "bottom": 0.4 / height, "top": 1 - 0.38 / height}
    axes = canvas.subplots(
        rows, columns, squeeze=False, sharex=True, gridspec_kw=sides | {"wspace": 0.34, "hspace": 0.3}
    )
    for axis in axes.ravel()[len(layers) :]:
        axis.remove()
    used = axes.ravel()[: len(layers)].tolist()
    for axis, layer in zip(used, layers, strict=True):
        axis.set_title(f"layer {layer}", fontsize=6, pad=1.5)
        axis.tick_params(labelsize=5, pad=1, length=2)
    return canvas, used
