"""Ours: total variation between the two models' n-token outputs, from dense samples alone (J1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from scipy.optimize import isotonic_regression

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import as_proved, graded, percent
from paper_figs.limits import Limits, decided_share
from paper_figs.measured import pruned
from paper_figs.style import COUNT_COLOUR, legend_above, letter, panels
from paper_figs.words import in_words

SPECS = ("attn:1", "attn:2", "attn:4", "attn:8", "mlp:1", "mlp:2", "mlp:4")
LEVEL = 0.95
SAFE = 0.5  # TV of one token under which a choice among options is called safe


def grid(tokens: int) -> list[int]:
    """Lengths at which the band is computed: doublings and the last; monotony fills what lies between."""
    return sorted({*(2**k for k in range(tokens.bit_length()) if 2**k <= tokens), tokens})


def drift(context: Context) -> pd.DataFrame:
    """One row for each spec and n: TV and 1 - S_n, nondecreasing as they are by definition, with a band.

    Total variation of n tokens never falls with n. The estimate is therefore the nondecreasing curve closest
    to the sample means; the band holds at all n at once with probability ``LEVEL``: limits at a few lengths,
    each at a level so high that all hold together, continued by the largest lower limit so far and the
    smallest upper limit from there on.
    """
    lengths = grid(context.setup.profile.sample_tokens)
    each = 1 - (1 - LEVEL) / len(lengths)
    frame = context.recall(pruned.sequence_drift, specs=list(SPECS), level=each)
    return pd.concat([monotone(part, lengths) for _, part in frame.groupby("spec", sort=False)])


def monotone(part: pd.DataFrame, lengths: list[int]) -> pd.DataFrame:
    """The curves of one spec, drawn as what they estimate: nondecreasing, inside one simultaneous band."""
    part = part.sort_values("n")
    known = part["n"].isin(lengths)
    lower = part["tv_lower"].where(known, 0.0).cummax()
    upper = part["tv_upper"].where(known, 1.0)[::-1].cummin()[::-1]
    curves = {
        name: isotonic_regression(part[name].to_numpy()).x for name in ("tv", "divergence", "shared_noise")
    }
    curves["tv"] = np.clip(curves["tv"], lower, upper)
    return part.assign(**curves, tv_lower=lower, tv_upper=upper)


def compute(context: Context) -> pd.DataFrame:
    """The drift of every spec."""
    return drift(context).assign(source=context.setup.model)


def draw(frame: pd.DataFrame) -> Canvas:
    """Left: attention sublayers dropped; right: MLP sublayers."""
    canvas, axes = panels(1, 2, height=2.8, sharey=True)
    for axis, (kind, words) in zip(axes[0], (("attn", "attention"), ("mlp", "MLP")), strict=True):
        for count, colour in COUNT_COLOUR.items():
            part = frame[frame["spec"] == f"{kind}:{count}"]
            axis.plot(part["n"], part["tv"], color=colour, label=f"{count} dropped")
            axis.fill_between(part["n"], part["tv_lower"], part["tv_upper"], color=colour, alpha=0.13, lw=0)
            axis.plot(part["n"], part["divergence"], color=colour, lw=0.8, ls=":")
        axis.set(title=f"{words} sublayers dropped, {frame['source'].iloc[0]}", ylim=(0, 1.02))
        axis.set(xlabel="generated tokens n")
    axes[0, 0].set_ylabel("TV between n-token outputs")
    title = (
        f"solid: total variation, band: {LEVEL:.0%} at all n; dotted: texts differ, best coupling "
        "(upper bound)"
    )
    legend_above(canvas, axes[0, 0], len(COUNT_COLOUR), title)
    letter(axes.ravel().tolist())
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        "Total variation between the distributions of the next n tokens under the dense and the pruned "
        "model: no metric in [0, 1] of the n-token output can change by more. Solid: E(1 - q(x)/p(x))_+ over "
        f"dense samples x ({int(frame['samples'].iloc[0])} independent samples, {setup.profile.samples} for "
        f"each of {int(frame['prompts'].iloc[0])} prompts, T = 1), each scored by one teacher-forced pass of "
        "the pruned model, made nondecreasing in n as it is by definition. Band: "
        f"{LEVEL:.0%} confidence at all n together (betting at {len(grid(int(frame['n'].max())))} lengths), "
        "for the average over these prompts. Dotted: 1 - S_n, the chance that the two texts have differed by "
        "token n under the best causal coupling (an upper bound of TV, G2). The paper has no such figure."
    )


def _ends(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    first, last = (frame.loc[frame["n"] == n].set_index("spec") for n in (frame["n"].min(), frame["n"].max()))
    return first, last.loc[first.index]


def _limits(table: pd.DataFrame) -> dict[str, Limits]:
    """TV with its band, by spec."""
    rows = table[["tv", "tv_lower", "tv_upper"]].to_numpy(dtype=float)
    return {str(spec): Limits(*map(float, row)) for spec, row in zip(table.index, rows, strict=True)}


def _halved(first: Limits, last: Limits) -> bool | None:
    """Whether what the two models' texts have in common, 1 - TV, is less than half of what it was."""
    if 1 - last.low < (1 - first.high) / 2:
        return True
    return False if 1 - last.high > (1 - first.low) / 2 else None


def _accumulates(frame: pd.DataFrame) -> Finding:
    first, last = map(_limits, _ends(frame))
    halved = decided_share(_halved(first[spec], last[spec]) for spec in first)
    text = ", ".join(f"{spec} {first[spec].value:.2f} → {last[spec]:.2f}" for spec in first)
    return graded(halved, f"TV at n = 1 → n = {int(frame['n'].max())}: {text}")


def _one_token_safe(frame: pd.DataFrame) -> Finding:
    first = _limits(_ends(frame)[0])
    part = decided_share(one.below(SAFE) for one in first.values())
    text = ", ".join(f"{spec} {one:.2f}" for spec, one in first.items())
    return graded(part, f"TV of one token below {SAFE:g} for {percent(part)} of specs: {text}")


def _survival_is_above(frame: pd.DataFrame) -> Finding:
    return as_proved(
        bool((frame["divergence"] >= frame["tv"] - 1e-9).all()), f"{len(frame)} pairs of estimates compared"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    first, last = map(_limits, _ends(frame))
    spec = next(iter(first))
    return (
        f"{in_words(spec)}: TV grows from {first[spec].value:.2f} for one token to {last[spec].value:.2f} "
        f"for {int(frame['n'].max())}; every pruning reaches {min(one.value for one in last.values()):.2f}"
    )


CLAIMS = (
    Claim(
        "Drift accumulates over generated tokens.",
        "paper, section on generation (qualitative); ours as a number",
        "For a spec: 1 - TV at the last n less than half of that at n = 1 (the band decides). Holds from "
        "90 % of specs, partly from 50 %.",
        _accumulates,
        theorems=("J1",),
    ),
    Claim(
        "A task decided by one token survives.",
        "paper: non-generative tasks survive pruning",
        f"For a spec: TV at n = 1 below {SAFE:g} (the band decides). Holds from 90 % of specs, partly "
        "from 50 %.",
        _one_token_safe,
        theorems=("J1",),
    ),
    Claim(
        "Sequence TV is at most one minus the survival of exact agreement.",
        "ours, theorem G2",
        "A theorem: contradicted if an estimate of TV exceeds that of 1 - S_n.",
        _survival_is_above,
        Whose.THEOREM,
        ("G2",),
    ),
)
FIGURE = listed("sequence-tv", compute, draw, caption, _takeaway, CLAIMS)
