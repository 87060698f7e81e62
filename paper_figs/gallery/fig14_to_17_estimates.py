"""Figures 14 to 17: in every attention layer, what was measured beside the paper's estimate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from paper_figs.figure import Claim, Figure, Finding
from paper_figs.gallery.fig14_to_21_shared import Layers, Line, by_block, figure, layer_medians
from paper_figs.judging import TRACKS_RULE, WITHIN, count_passed, decide, graded, percent, within
from paper_figs.limits import Limits, decided_share, geometric
from paper_figs.style import PAPER_ESTIMATE, TRUTH

ORDER_ONE = 0.3  # 1 - cos of a hidden state that has moved by order one


def _close(frame: pd.DataFrame, column: str) -> tuple[Limits, str]:
    part = by_block(frame)
    return within(part, column, f"{column}_estimate", part["block"])


def _tracks(column: str) -> Callable[[pd.DataFrame], Finding]:
    return lambda frame: graded(*_close(frame, column))


def _tracking(column: str, name: str) -> Callable[[pd.DataFrame], str]:
    def takeaway(frame: pd.DataFrame) -> str:
        return (
            f"{name} is within a factor {WITHIN:g} of the truth at {_close(frame, column)[0].value:.0%} "
            "of positions"
        )

    return takeaway


def _last_layer_largest(frame: pd.DataFrame) -> Finding:
    last = int(frame["layer"].max())

    def over_others(part: pd.DataFrame, middle: bool) -> float:
        high = part.groupby("layer")["kl"].max()
        others = high.drop(last)
        return float(high[last] / (others.median() if middle else others.max()))

    to_largest, to_median = (
        geometric(by_block(frame), partial(over_others, middle=middle), "block") for middle in (False, True)
    )
    return count_passed(
        [to_largest.above(1), to_median.above(10)],
        f"largest KL at layer {last} over the largest of any other layer {to_largest:.2g}, over the median "
        f"layer's {to_median:.2g}",
    )


def _estimate_leaves_range(frame: pd.DataFrame) -> Finding:
    column = "cosdist_p_estimate"
    layer = layer_medians(frame, column).idxmax()
    part = by_block(frame[frame["layer"] == layer])
    middle = geometric(part, lambda rows: float(rows[column].median()), "block")
    outside = (frame[column] > 1).groupby(frame["layer"]).mean()
    return decide(
        middle.above(1),
        f"largest median estimate {middle:.2g}, at layer {layer}; above 1 at "
        f"{frame[column].gt(1).mean():.0%} of "
        f"all positions, and at some position of {int((outside > 0).sum())} of {len(outside)} layers",
    )


def _first_layer_only(frame: pd.DataFrame) -> Finding:
    first, *others = (  # groups come in order of the layers
        geometric(part, lambda rows: float(rows["cosdist_h"].median()), "block")
        for _, part in by_block(frame).groupby("layer")
    )
    small = decided_share(one.below(ORDER_ONE) for one in others)
    mostly = True if small.low >= 0.9 else False if small.high < 0.9 else None
    return count_passed(
        [first.above(ORDER_ONE), mostly],
        f"median 1-cos at layer 0: {first:.2g}; below {ORDER_ONE:g} in {percent(small)} of the other layers",
    )


_TRUE, _GUESS = partial(Line, label="measured", colour=TRUTH), partial(Line, colour=PAPER_ESTIMATE)


FAMILY = (
    Layers(
        "fig14",
        (_TRUE("kl"), _GUESS("kl_estimate", "Var_p/2T² (T3)")),
        "KL(p||q), nats",
        "KL divergence and the paper's estimate.",
        _tracking("kl", "KL: Var_p/2T²"),
        (
            Claim(
                "KL(p||q) is about Var_p/2T² in every layer.",
                "paper, theorem 3 and figure 14",
                TRACKS_RULE,
                _tracks("kl"),
                theorems=("T3",),
            ),
            Claim(
                "The last layer moves the distribution most, an order of magnitude more than the others.",
                "paper, figure 14 (order 10 at layer 27)",
                "Largest KL at the last layer above that of every other layer, and above ten times the "
                "median layer's: both hold, one holds partly.",
                _last_layer_largest,
            ),
        ),
        estimate=True,
    ),
    Layers(
        "fig15",
        (_TRUE("cosdist_p"), _GUESS("cosdist_p_estimate", "Var_r/2T² (T2)")),
        "1 - cos(p, q)",
        "Cosine distance of the probabilities and the paper's estimate.",
        _tracking("cosdist_p", "1-cos(p, q): Var_r/2T²"),
        (
            Claim(
                "1 - cos(p, q) is about Var_r/2T² in every layer.",
                "paper, theorem 2 and figure 15",
                TRACKS_RULE,
                _tracks("cosdist_p"),
                theorems=("T2",),
            ),
            Claim(
                "In some layer the estimate leaves the feasible range [0, 1] at the typical position.",
                "paper, figure 15 (layers 19, 27)",
                "Median estimate above 1 in the layer where it is largest.",
                _estimate_leaves_range,
                theorems=("T2",),
            ),
        ),
        estimate=True,
    ),
    Layers(
        "fig16",
        (_TRUE("cosdist_h"), _GUESS("cosdist_h_estimate", "‖Δh⊥‖²/2‖h‖² (T1)")),
        "1 - cos(h, h')",
        "Cosine distance of the residual stream and the paper's estimate.",
        _tracking("cosdist_h", "1-cos(h): half the squared orthogonal change"),
        (
            Claim(
                "1 - cos(h) is about half the squared relative orthogonal change.",
                "paper, theorem 1 and figure 16",
                TRACKS_RULE,
                _tracks("cosdist_h"),
                theorems=("T1",),
            ),
            Claim(
                "Only the first layer moves the hidden state by order one.",
                "paper, figure 16",
                f"Median above {ORDER_ONE:g} at layer 0, and below it in at least 90 % of the others: both "
                "hold, "
                "one holds partly.",
                _first_layer_only,
            ),
        ),
        estimate=True,
    ),
    Layers(
        "fig17",
        (_TRUE("cosdist_z"), _GUESS("cosdist_z_estimate", "‖Δz⊥‖²/2‖z‖² (T1)")),
        "1 - cos(z, z')",
        "Cosine distance of the logits (not centred, as in the paper) and the paper's estimate.",
        _tracking("cosdist_z", "1-cos(z): half the squared orthogonal change"),
        (
            Claim(
                "1 - cos(z) is about half the squared relative orthogonal change.",
                "paper, theorem 1 and figure 17",
                TRACKS_RULE,
                _tracks("cosdist_z"),
                theorems=("T1",),
            ),
        ),
        estimate=True,
    ),
)
FIGURES: tuple[Figure, ...] = tuple(map(figure, FAMILY))
