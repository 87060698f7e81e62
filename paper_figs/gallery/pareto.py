"""Ours: drift against the parameters that dropping saves, less those that a repair brings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.gallery import repair_shared
from paper_figs.gallery.repair import CHOICES, DASHES, SHOWN
from paper_figs.judging import decide, untested
from paper_figs.style import COLUMN, GREY, panels

ALLOWED = 0.2  # nats per token


def compute(context: Context) -> pd.DataFrame:
    """One row for each case, choice and repair."""
    return repair_shared.table(context)


def front(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that no other beats in both drift and saving, from the mildest on."""
    ordered = rows.sort_values(["kl", "saved"], ascending=[True, False])
    return ordered[ordered["saved"] > ordered["saved"].cummax().shift(fill_value=-np.inf)]


def draw(frame: pd.DataFrame) -> Canvas:
    """All models as points, and the front of four ways as lines."""
    canvas, axes = panels(1, 1, width=1.5 * COLUMN, height=3.0)
    axis = axes[0, 0]
    for choice, repair in SHOWN:
        rows = frame[(frame["choice"] == choice) & (frame["repair"] == repair)]
        name, colour = CHOICES[choice]
        marker, dash = DASHES[repair]
        label = f"{name}, " + ("not repaired" if repair == "none" else "repaired")
        filled = {} if repair != "none" else {"mfc": "white"}
        axis.plot(
            100 * rows["saved"], rows["kl"], color=colour, marker=marker, ls="none", ms=3, alpha=0.5, **filled
        )
        line = front(rows)
        axis.plot(
            100 * line["saved"], line["kl"], color=colour, marker=marker, ls=dash, ms=4, label=label, **filled
        )
    axis.axhline(ALLOWED, color=GREY, lw=0.8, ls=":")
    axis.set(
        xlabel="parameters saved, % of the model (less those of the repair)",
        ylabel="KL per token, nats",
        yscale="log",
        title=str(frame["model"].iloc[0]),
    )
    axis.legend(fontsize=6, loc="lower right")
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    first = frame.iloc[0]
    return (
        "Every point is one model with sublayers dropped; lines join those that no other of their kind "
        "beats. "
        f"KL on {first['prompts']} prompts that neither search nor repair has seen. A linear repair of a "
        "sublayer brings a square matrix back, which is taken off what was saved."
    )


def allowed(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Largest saving of every way at a KL of at most ALLOWED; 0 where nothing was mild enough."""
    return {
        (choice, repair): float(
            frame[(frame["choice"] == choice) & (frame["repair"] == repair) & (frame["kl"] <= ALLOWED)][
                "saved"
            ].max()
        )
        for choice, repair in SHOWN
    }


def _saves_more(frame: pd.DataFrame) -> Finding:
    found = {pair: 0.0 if np.isnan(value) else value for pair, value in allowed(frame).items()}
    if not any(found.values()):
        return untested(f"nothing that was tried drifts by at most {ALLOWED:g}")
    best, base = found["search", "linear"], found[repair_shared.BASE]
    return decide(best > base, f"{best:.1%} of the parameters, cosine unrepaired {base:.1%}")


def _takeaway(frame: pd.DataFrame) -> str:
    found = {pair: 0.0 if np.isnan(value) else value for pair, value in allowed(frame).items()}
    words = ", ".join(
        f"{choice}{'' if repair == 'none' else ' repaired'} {value:.1%}"
        for (choice, repair), value in found.items()
    )
    return f"Parameters saved at a KL of at most {ALLOWED:g} nats per token: {words}"


CLAIMS = (
    Claim(
        "At the same drift, search with linear repair saves more parameters, those of the repair counted.",
        "ours",
        f"Largest saving among the cases with KL at most {ALLOWED:g}: larger than the cosine's unrepaired.",
        _saves_more,
        Whose.OURS,
    ),
)
FIGURE = listed("pareto", compute, draw, caption, _takeaway, CLAIMS)
