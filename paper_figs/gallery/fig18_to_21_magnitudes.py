"""Figures 18 to 21: in every attention layer, how much h and z change and how much of it the softmax sees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery.fig14_to_21_shared import (
    Layers,
    Line,
    by_block,
    figure,
    growth,
    layer_medians,
    layer_ratios,
)
from paper_figs.judging import count_passed, graded, percent
from paper_figs.limits import decided_share, geometric, over
from paper_figs.style import BLUE, GREEN, VERMILION


def _z_below_h(frame: pd.DataFrame) -> Finding:
    ratios = layer_ratios(frame, "relative_h", "relative_z")
    below = decided_share(one.above(1) for one in ratios)
    middle = np.median([one.value for one in ratios])
    return graded(below, f"{percent(below)} of {len(ratios)} layers, median h over z {middle:.2g}")


def _damped(frame: pd.DataFrame) -> str:
    ratios = [one.value for one in layer_ratios(frame, "relative_h", "relative_z")]
    return (
        f"The logits change less than the hidden state in {np.mean(np.array(ratios) > 1):.0%} of layers, "
        f"{np.median(ratios):.2g}x less in the median layer"
    )


def _rank(frame: pd.DataFrame, column: str) -> float:
    middle = layer_medians(frame, column)
    return float(middle.corr(pd.Series(middle.index, middle.index), method="spearman"))


def _grows(column: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        part = by_block(frame)
        factor = geometric(part, partial(growth, column=column), "block")
        rank = over(part, partial(_rank, column=column), "block")
        return count_passed(
            [factor.above(2), rank.above(0.5)],
            f"last third over first third {factor:.2g}, rank correlation with depth {rank:.2f}",
        )

    return judge


def _growing(column: str, name: str) -> Callable[[pd.DataFrame], str]:
    def words(frame: pd.DataFrame) -> str:
        factor = growth(frame, column)
        change = f"{max(factor, 1 / factor):.2g}x {'larger' if factor >= 1 else 'smaller'}"
        return f"{name}: {change} in the last third of layers than in the first"

    return words


_GROWS_RULE = (
    "Median of the last third of layers more than twice that of the first third, and rank correlation with "
    "depth above 0.5 (limits over eight blocks of the text): both hold, one holds partly."
)
_BELOW_RULE = "Of the layers' medians: holds from 90 % of layers, partly from 50 %."
FAMILY = (
    Layers(
        "fig18",
        (Line("relative_z", "‖Δz⊥‖²/‖z‖²", GREEN), Line("relative_h", "‖Δh⊥‖²/‖h‖²", BLUE)),
        "relative magnitude",
        "Squared orthogonal change relative to the dense vector, of logits and hidden state.",
        _damped,
        (
            Claim(
                "With one attention sublayer dropped, the logits change less, relatively, than the hidden "
                "state.",
                "paper, figures 5 and 18",
                _BELOW_RULE,
                _z_below_h,
            ),
        ),
    ),
    Layers(
        "fig19",
        (Line("var_u", "uniform weights", GREEN), Line("var_r", "weights p² (r)", VERMILION)),
        "Var(Δz)",
        "Variance of the logit change under two weights; its square root is in logits at T = 1.",
        _growing("var_r", "Variance of the logit change"),
        (
            Claim(
                "The variance of the logit change grows with depth.",
                "paper, figure 19",
                _GROWS_RULE,
                _grows("var_r"),
            ),
        ),
    ),
    Layers(
        "fig20",
        (Line("var_r_over_h", "Var_r / (‖Δh⊥‖²/‖h‖²)", VERMILION),),
        "ratio",
        "How much logit variance, where it counts, one unit of relative hidden change makes.",
        _growing("var_r_over_h", "Logit variance per relative change of h"),
        (
            Claim(
                "The ratio of logit variance to relative hidden change grows with depth.",
                "paper, figure 20",
                _GROWS_RULE,
                _grows("var_r_over_h"),
            ),
        ),
    ),
    Layers(
        "fig21",
        (Line("var_r_over_z", "Var_r / (‖Δz⊥‖²/‖z‖²)", VERMILION),),
        "ratio",
        "How much logit variance, where it counts, one unit of relative logit change makes.",
        _growing("var_r_over_z", "Logit variance per relative change of z"),
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


FIGURES: tuple[Figure, ...] = tuple(map(figure, FAMILY))
