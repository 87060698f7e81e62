"""Ours: how close witnesses, random perturbations and a real model come to the sharp oscillation bounds."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Canvas

from paper_figs import traces
from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Verdict
from paper_figs.judging import count_passed
from paper_figs.style import BLACK, BLUE, GREY, ORANGE, letter, panels
from sim.draws import Families
from sim.draws import draw as draw_pairs
from theory import Drift, catalogue, check, measure

QUANTITIES = {
    "B1": ("tv", "TV / tanh(R/4)"),
    "B5": ("kl", "KL / KL_max(R)"),
    "B7": ("cosdist_p", "1-cos / bound"),
}
SOURCES = {
    "random": ("random pairs", GREY, 2.0),
    "real": ("real model, one sublayer dropped", BLUE, 2.0),
    "witness": ("witness of the theorem", BLACK, 10.0),
}
VOCABULARIES = (2, 10, 1000)
ROWS = 40  # random pairs of each vocabulary and family
SHOWN = 1500  # real positions, drawn without replacement
WITNESS_R = np.geomspace(1e-3, 50, 25)


def compute(context: Context) -> pd.DataFrame:
    """R and quantity/bound of three sources for each theorem."""
    rng = np.random.default_rng(context.setup.seed)
    families = Families()
    random = [
        measure(pairs.logits, pairs.perturbed, pairs.temperature)
        for size in VOCABULARIES
        for unit in context.track(range(len(families.pairs())), f"random pairs, V = {size}")
        for pairs in [draw_pairs(rng, unit, ROWS, size, families)]
        if pairs.perturbation != "witness"
    ]
    trace = context.recall(traces.sublayers)
    kept = trace.sample(min(SHOWN, len(trace)), random_state=context.setup.seed)
    real = Drift(**{name: torch.tensor(kept[name].to_numpy()) for name in Drift.__dataclass_fields__})
    rows = [_witnesses(name) for name in QUANTITIES]
    for source, drift in (("random", Drift.cat(random)), ("real", real)):
        for name, found in check(drift, list(QUANTITIES)).items():
            if name in QUANTITIES:
                rows.append(
                    pd.DataFrame(
                        {
                            "theorem": name,
                            "source": source,
                            "oscillation": drift.oscillation,
                            "ratio": found.tightness,
                            "violated": found.violated,
                        }
                    )
                )
    frame = pd.concat(rows, ignore_index=True)
    return frame[(frame["oscillation"] > 1e-4) & frame["ratio"].notna()].reset_index(drop=True)


def _witnesses(name: str) -> pd.DataFrame:
    """The theorem's own extremal pair, in high precision, at a ladder of R."""
    theorem = catalogue[name]
    quantity, _ = QUANTITIES[name]
    assert theorem.witness is not None
    assert theorem.upper is not None
    ratios = []
    for oscillation in WITNESS_R:
        with mpmath.workdps(50):
            exact = theorem.witness.evaluate(repr(float(oscillation)), (quantity, *theorem.upper.symbols))
        statistics = {symbol: float(exact[symbol]) for symbol in theorem.upper.symbols}
        ratios.append(float(exact[quantity]) / float(theorem.upper(**statistics)))
    return pd.DataFrame(
        {"theorem": name, "source": "witness", "oscillation": WITNESS_R, "ratio": ratios, "violated": False}
    )


def draw(frame: pd.DataFrame) -> Canvas:
    """One panel for each theorem; 1 is the bound."""
    canvas, axes = panels(1, len(QUANTITIES), height=2.5, sharex=True, sharey=True)
    for axis, (name, (_, label)) in zip(axes[0], QUANTITIES.items(), strict=True):
        for source, (words, colour, size) in SOURCES.items():
            part = frame[(frame["theorem"] == name) & (frame["source"] == source)]
            axis.scatter(
                part["oscillation"], part["ratio"], s=size, color=colour, lw=0, label=words, rasterized=True
            )
        axis.axhline(1, color=ORANGE, lw=1)
        axis.set(
            title=name,
            xscale="log",
            yscale="log",
            xlabel="oscillation R of Δz/T",
            ylabel=label,
            ylim=(1e-6, 3),
        )
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=3)
    letter(axes[0].tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    counts = frame[frame["theorem"] == "B1"]["source"].value_counts()
    return (
        "Measured quantity divided by its sharp bound in the oscillation R alone (theorems B1, B5, B7); "
        f"the orange line is the bound. Black: the theorems' witnesses. Grey: {counts.get('random', 0)} "
        f"random pairs (all synthetic families, V = {', '.join(map(str, VOCABULARIES))}). Blue: "
        f"{counts.get('real', 0)} positions of the real model, one sublayer dropped. The paper has "
        "approximations and no bounds."
    )


def _never_exceeded(frame: pd.DataFrame) -> Finding:
    broken = int(frame["violated"].sum())
    verdict = Verdict.HOLDS if broken == 0 else Verdict.FAILS
    return Finding(
        verdict, f"{broken} of {len(frame)} beyond rounding, largest ratio {frame['ratio'].max():.15g}"
    )


def _attained(frame: pd.DataFrame) -> Finding:
    lowest = frame[frame["source"] == "witness"].groupby("theorem")["ratio"].min()
    verdict = Verdict.HOLDS if bool((lowest > 1 - 1e-6).all()) else Verdict.FAILS
    return Finding(verdict, ", ".join(f"{name} {value:.9f}" for name, value in lowest.items()))


def _slack_on_models(frame: pd.DataFrame) -> Finding:
    middle = frame[frame["source"] == "real"].groupby("theorem")["ratio"].median()
    text = ", ".join(f"{name} {value:.2g}" for name, value in middle.items())
    return count_passed([bool(value < 0.1) for value in middle], f"median ratio {text}")


FIGURE = Figure(
    id="bounds",
    title="Sharp bounds, their witnesses, and where real perturbations lie",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "No pair of distributions exceeds the oscillation bounds.",
            "ours, theorems B1, B5, B7",
            "Holds if no ratio exceeds 1 beyond the stated rounding allowance.",
            _never_exceeded,
        ),
        Claim(
            "The bounds are attained: no smaller function of R would do.",
            "ours, witnesses of B1, B5, B7",
            "Holds if every witness reaches the bound to 1e-6.",
            _attained,
        ),
        Claim(
            "R alone says little about a language model: its tail tokens set R, its likely tokens the drift.",
            "ours",
            "Median ratio at the real positions below 0.1: for every theorem holds, for some partly.",
            _slack_on_models,
        ),
    ),
)
