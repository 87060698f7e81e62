"""Ours: how far the estimates are off on a real model, and how far they could be at that oscillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import count_passed, decide
from paper_figs.limits import Limits, geometric
from paper_figs.measured import sublayers, texts
from paper_figs.style import BLACK, OUR_ESTIMATE, PAPER_ESTIMATE, letter, panels
from theory import catalogue


@dataclass(frozen=True)
class Estimated:
    """An estimate and the theorem that limits its error; ``variances`` are those that make it 1."""

    estimate: str
    limit: str
    quantity: str
    label: str
    colour: str
    variances: dict[str, float]


SMALL = 1e-6  # D2's estimate 1 - exp(-Var_w/2) is linear in this limit
ESTIMATES = (
    Estimated("T2", "C5", "cosdist_p", "1-cos, paper (T2)", PAPER_ESTIMATE, {"var_r": 2.0}),
    Estimated(
        "D2", "D2", "cosdist_p", "1-cos, both models' weights (D2)", OUR_ESTIMATE, {"var_w": 2 * SMALL}
    ),
    Estimated("T3", "C5", "kl", "KL, paper (T3)", PAPER_ESTIMATE, {"var_p": 2.0}),
    Estimated("D3", "D3", "kl", "KL, both models' weights (D3)", OUR_ESTIMATE, {"var_p": 2.0, "var_q": 2.0}),
)
GRID = np.geomspace(1e-2, 60, 80)
SHOWN = 3000
SHOWN_RATIO = (1e-2, 1e2)


def compute(context: Context) -> pd.DataFrame:
    """Truth over estimate at real positions, and the sharp limits of that ratio on a grid of R."""
    trace = context.recall(sublayers.sublayers)
    trace = trace.sample(min(SHOWN, len(trace)), random_state=context.setup.seed)
    drift = texts.drift_of(trace)
    rows = []
    for known in ESTIMATES:
        guess = catalogue[known.estimate].approximate(drift).numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = trace[known.quantity] / guess
        rows.append(
            pd.DataFrame(
                {
                    "part": "position",
                    "prompt": trace["prompt"],
                    "estimate": known.estimate,
                    "oscillation": trace["oscillation"],
                    "ratio": ratio,
                }
            )
        )
        rows.append(_limits(known))
    frame = pd.concat(rows, ignore_index=True)
    return frame.assign(ratio=frame["ratio"].replace([np.inf, 0.0], np.nan), source=context.setup.model)


def _limits(known: Estimated) -> pd.DataFrame:
    claim = next(c for c in catalogue[known.limit].claims if c.name == known.quantity)
    assert claim.lower is not None
    assert claim.upper is not None
    values = {name: np.full_like(GRID, value) for name, value in known.variances.items()} | {
        "oscillation": GRID
    }
    unit = SMALL if known.estimate == "D2" else 1.0
    with np.errstate(over="ignore"):
        lower, upper = claim.lower(**values) / unit, claim.upper(**values) / unit
    return pd.DataFrame(
        {"part": "limit", "estimate": known.estimate, "oscillation": GRID, "lower": lower, "upper": upper}
    )


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel for each estimate: 1 is exact, the black lines are the sharp limits."""
    canvas, axes = panels(2, 2, height=2.0, sharex=True, sharey=True)
    for axis, known in zip(axes.ravel(), ESTIMATES, strict=True):
        part = frame[frame["estimate"] == known.estimate]
        points, limits = part[part["part"] == "position"], part[part["part"] == "limit"]
        axis.scatter(
            points["oscillation"], points["ratio"], s=2, color=known.colour, lw=0, alpha=0.5, rasterized=True
        )
        for side in ("lower", "upper"):
            axis.plot(limits["oscillation"], limits[side], color=BLACK, lw=1)
        axis.axhline(1, color="0.6", lw=0.6)
        _announce(axis, points)
        axis.set(title=known.label, xscale="log", yscale="log", ylim=SHOWN_RATIO, xlim=(0.1, 60))
    for axis in axes[-1]:
        axis.set_xlabel("oscillation R of Δz/T")
    for axis in axes[:, 0]:
        axis.set_ylabel("truth / estimate")
    letter(axes.ravel().tolist())
    return canvas


def _announce(axis: Axes, points: pd.DataFrame) -> None:
    """Say how many points lie above and below what the axis shows."""
    low, high = SHOWN_RATIO
    for count, height, sign in (
        (int((points["ratio"] > high).sum()), 0.93, "above"),
        (int((points["ratio"] < low).sum()), 0.03, "below"),
    ):
        if count:
            axis.text(0.98, height, f"{count} {sign}", transform=axis.transAxes, ha="right", fontsize=6)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    count = int((frame["part"] == "position").sum()) // len(ESTIMATES)
    return (
        f"Truth divided by estimate at {count} positions of the real model (one sublayer dropped, T = 1). "
        "Black: the widest range that the oscillation R allows for the dense weights (C5: both sides best "
        "possible); for both models' weights it is drawn for equal variances and small drift (D2, D3), which "
        "single points need not have, so a few may lie outside. Numbers in the corners count points beyond "
        "the axis. The certified "
        "error is the black range, not the cloud: an estimate is usually much better than what R alone can "
        "promise. The paper gives estimates only."
    )


def _points(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["part"] == "position") & frame["ratio"].notna()]


def _error(points: pd.DataFrame, name: str) -> float:
    """Median |log(truth/estimate)|."""
    return float(np.log(points.loc[points["estimate"] == name, "ratio"]).abs().median())


def _compared(frame: pd.DataFrame, above: str, below: str) -> Limits:
    """Error of one estimate over that of another."""
    return geometric(_points(frame), lambda part: _error(part, above) / _error(part, below))


def _errors(frame: pd.DataFrame) -> Finding:
    gains = {
        f"{ours} over {paper}": _compared(frame, ours, paper) for ours, paper in (("D2", "T2"), ("D3", "T3"))
    }
    errors = {known.estimate: np.expm1(_error(_points(frame), known.estimate)) for known in ESTIMATES}
    return count_passed(
        [gain.below(0.5) for gain in gains.values()],
        "median relative error: "
        + ", ".join(f"{name} {error:.1%}" for name, error in errors.items())
        + "; log error, "
        + ", ".join(f"{name} {gain:.2f}" for name, gain in gains.items()),
    )


def _skewness(frame: pd.DataFrame) -> Finding:
    ratio = _compared(frame, "T2", "T3")
    return count_passed([ratio.above(2), ratio.below(4.5)], f"median log error of T2 over T3: {ratio:.2f}")


def _useless_as_certificate(frame: pd.DataFrame) -> Finding:
    points = frame[(frame["part"] == "position") & (frame["estimate"] == "T2")]
    limits = frame[(frame["part"] == "limit") & (frame["estimate"] == "T2")]
    middle = geometric(points, lambda part: float(part["oscillation"].median()))
    wide = middle.map(lambda r: float(np.interp(r, limits["oscillation"], limits["upper"].fillna(np.inf))))
    return decide(
        wide.above(2), f"at the median R = {middle:.2g} the truth may be {wide:.2g} times the estimate"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    errors = {known.estimate: np.expm1(_error(_points(frame), known.estimate)) for known in ESTIMATES}
    return (
        f"Both models' weights cut the median error of 1-cos from {errors['T2']:.0%} to {errors['D2']:.0%}, "
        "of KL "
        f"from {errors['T3']:.0%} to {errors['D3']:.0%}"
    )


CLAIMS = (
    Claim(
        "Weights of both models halve the error of the estimates.",
        "ours, theorems D2 and D3",
        "Median |log(truth/estimate)| less than half of the paper's, for 1-cos and for KL: both hold, one "
        "holds partly.",
        _errors,
        Whose.OURS,
        ("D2", "D3"),
    ),
    Claim(
        "Theorem 2 errs about three times as much as Theorem 3 (skewness).",
        "ours, theorem A7",
        "Ratio of the median log errors above 2, and below 4.5: both hold, one holds partly.",
        _skewness,
        Whose.OURS,
        ("A7",),
    ),
    Claim(
        "As certificates the paper's estimates are useless at the oscillations of a language model.",
        "ours, theorem C5",
        "At the median R the sharp limit allows a truth of more than twice the estimate.",
        _useless_as_certificate,
        Whose.OURS,
        ("C5",),
    ),
)
FIGURE = listed("estimate-error", compute, draw, caption, _takeaway, CLAIMS)
