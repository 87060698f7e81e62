"""Figures 18 to 21: in every attention layer, how much h and z change and how much of it the softmax sees."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from paper_figs.figure import Claim, Finding, graded
from paper_figs.gallery.fig14_to_21_shared import Line, Panels, figure, layer_medians
from paper_figs.judging import count_passed
from paper_figs.style import BLUE, GREEN, PAPER_ESTIMATE, VERMILION


def _z_below_h(left: str, right: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        middle = layer_medians(frame)
        share = float((middle[left] < middle[right]).mean())
        ratio = float((middle[right] / middle[left]).median())
        return Finding(graded(share), f"{share:.0%} of {len(middle)} layers, median ratio {ratio:.2g}")

    return judge


def _grows(column: str) -> Callable[[pd.DataFrame], Finding]:
    def judge(frame: pd.DataFrame) -> Finding:
        middle = layer_medians(frame)[column]
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
FAMILY = (
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


FIGURES = tuple(map(figure, FAMILY))
