"""Figures 14 to 17: in every attention layer, what was measured beside the paper's estimate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from paper_figs.figure import Claim, Finding
from paper_figs.gallery.fig14_to_21_shared import Line, Panels, figure, layer_medians
from paper_figs.judging import TRACKS_RULE, count_passed, tracks
from paper_figs.style import PAPER_ESTIMATE, TRUTH


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
    middle = layer_medians(frame)["cosdist_h"]
    inner = middle[1:]
    passed = [bool(middle.iloc[0] > 0.3), bool((inner < 0.3).mean() >= 0.9)]
    return count_passed(
        passed,
        f"layer 0: {middle.iloc[0]:.2g}; other layers {inner.min():.2g} to {inner.max():.2g} (medians)",
    )


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
)
FIGURES = tuple(map(figure, FAMILY))
