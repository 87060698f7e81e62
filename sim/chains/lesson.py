"""A lesson on chains: prediction, bound and simulation of how error accumulates, side by side.

Two questions with two answers. How far apart are the two models' sequences as distributions? Like the
square root of the length. When do two coupled runs first differ? Linearly in the length. Formulas are the
catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from sim.chains import CHAINS, COUPLINGS, SoftmaxChain, decode, sequence_tv_bracket
from theory.formulas.claims import Claim
from theory.names import lookup
from theory.sequences import markov
from theory.sequences.worst_case import worst_case_tv
from theory.statements.catalogue import catalogue
from theory.statements.parameters import sequence_tv, survival
from theory.theorems.theorem import Status

LENGTHS = (1, 2, 4, 8, 16, 32, 64)
SAMPLES = 4000
NOISE = 0.5
SPREAD = 3.0


def chain_lesson(
    seed: int,
    chains: Sequence[str] = tuple(CHAINS),
    noise: float = NOISE,
    lengths: Sequence[int] = LENGTHS,
    samples: int = SAMPLES,
) -> pd.DataFrame:
    """Everything known about each chain at each length, in long form.

    Columns: chain, steps, quantity, kind ("exact", "prediction", "bound", "simulation"), source (theorem or
    coupling), value, low, high (a bracket or 3 standard errors; equal to value otherwise).

    Quantities: ``sequence_tv``; ``disagreement`` (1 - S_n; simulated for every coupling); ``marginal_tv``
    of the context; ``step_tv`` teacher-forced and ``free_step_tv`` free-running (order 1).

    Raises
    ------
    ValueError
        If a chain is unknown or ``noise`` is negative.
    """
    if noise < 0 or min(lengths, default=0) < 1:
        raise ValueError(f"noise {noise}, lengths {list(lengths)}; required: at least 0, at least 1")
    rows = []
    for number, name in enumerate(chains):
        build = lookup("chain", name, CHAINS)
        chain = build(noise, torch.Generator().manual_seed(seed))
        rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(number,)))
        for row in (
            *_exact(chain, lengths),
            *_laws(chain, lengths),
            *_simulated(chain, lengths, samples, rng),
        ):
            rows.append({"chain": name, **row})
    return pd.DataFrame(rows)


def _row(
    steps: int, quantity: str, kind: str, source: str, value: float, low: float | None = None,
    high: float | None = None,
) -> dict[str, object]:  # fmt: skip
    return {
        "steps": steps, "quantity": quantity, "kind": kind, "source": source, "value": value,
        "low": value if low is None else low, "high": value if high is None else high,
    }  # fmt: skip


def _exact(chain: SoftmaxChain, lengths: Sequence[int]) -> Iterator[dict[str, object]]:
    longest = max(lengths)
    lower, upper = sequence_tv_bracket(chain, longest)
    curves = {
        ("disagreement", "maximal"): 1 - chain.survival(longest),
        ("disagreement", "shared-gumbel"): 1 - chain.gumbel_survival(longest),
        ("disagreement", "independent"): 1 - chain.independent_survival(longest),
        ("marginal_tv", "chain"): chain.marginal_tv(longest),
        ("step_tv", "chain"): chain.step_tv(longest),
    }
    if chain.order == 1:
        curves["free_step_tv", "G8"] = chain.free_running(_discrepancy(chain), longest)[0]
    for n in lengths:
        low, high = float(lower[n - 1]), float(upper[n - 1])
        yield _row(n, "sequence_tv", "exact", "dynamic program", (low + high) / 2, low, high)
        for (quantity, source), curve in curves.items():
            yield _row(n, quantity, "exact", source, float(curve[n - 1]))


def _discrepancy(chain: SoftmaxChain) -> torch.Tensor:
    """Total variation between the next token of the dense model in x and of the perturbed one in y."""
    return (chain.p[:, None, :] - chain.q[None, :, :]).abs().sum(-1) / 2


def _laws(chain: SoftmaxChain, lengths: Sequence[int]) -> Iterator[dict[str, object]]:
    """Every formula of family G that is about these quantities, and the sharp worst case J2."""
    oscillation = float((chain.log_ratio.amax(-1) - chain.log_ratio.amin(-1)).max())
    _, dense, _ = chain.matrices()
    step_tv = float((chain.p - chain.q).abs().sum(-1).max() / 2)
    longest = max(lengths)
    _, worst = worst_case_tv(oscillation, longest)
    saturation = markov.marginal_tv_bound(step_tv, markov.dobrushin(dense), longest)
    kl, tv = chain.path_kl(longest), chain.step_tv(longest).cumsum(0)
    agreement, affinity = chain.survival(longest), chain.path_bc(longest)
    for n in lengths:
        known = {
            "steps": float(n), "oscillation": oscillation, "step_tv": step_tv, "survival": float(agreement[n
            - 1]), "kl_total": float(kl[n - 1]), "sequence_kl": float(kl[n - 1]), "tv_total": float(tv[n -
            1]), "sequence_affinity": float(affinity[n - 1]),
        }  # fmt: skip
        yield from _formulas(n, known)
        yield _row(n, "sequence_tv", "bound", "J2", float(worst[n]))
        yield _row(n, "marginal_tv", "bound", "G7", float(saturation[n]))


def _formulas(n: int, known: dict[str, float]) -> Iterator[dict[str, object]]:
    for theorem in (*catalogue.family("G"), catalogue["J2"]):
        if theorem.status is Status.FALSE:
            continue
        for claim in theorem.claims:
            needed = set(claim.columns) - {"sequence_tv", "survival"}
            if not needed <= set(known):
                continue
            if claim.quantity == survival and claim.lower is not None:
                yield _row(n, "disagreement", "bound", theorem.id, 1 - float(claim.lower(**known)))
            for quantity, name in ((sequence_tv, "sequence_tv"), (1 - survival, "disagreement")):
                if claim.quantity == quantity:
                    yield from _sides(claim, n, name, theorem.id, known)


def _sides(
    claim: Claim, n: int, quantity: str, source: str, known: dict[str, float]
) -> Iterator[dict[str, object]]:
    """What a claim says from above, unless it says it of every pair (TV <= 1), and its prediction."""
    if claim.upper is not None and claim.upper.symbols:
        yield _row(n, quantity, "bound", source, float(claim.upper(**known)))
    if claim.estimate is not None:
        yield _row(n, quantity, "prediction", source, float(claim.estimate(**known)))


def _simulated(
    chain: SoftmaxChain, lengths: Sequence[int], samples: int, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    longest = max(lengths)
    for coupling in COUPLINGS:
        decoded = decode(chain, coupling, samples, longest, rng)
        agreement = decoded.survival()
        for n in lengths:
            value = 1 - float(agreement[n - 1])
            error = SPREAD * (value * (1 - value) / samples) ** 0.5
            yield _row(n, "disagreement", "simulation", coupling, value, value - error, value + error)
        if coupling == "maximal" and chain.order == 1:
            before = [
                np.insert(t[:, :-1], 0, chain.start, axis=1) for t in (decoded.dense, decoded.perturbed)
            ]
            seen = _discrepancy(chain).numpy()[before[0], before[1]]
            for n in lengths:
                value, error = (
                    float(seen[:, n - 1].mean()),
                    SPREAD * float(seen[:, n - 1].std()) / samples**0.5,
                )
                yield _row(n, "free_step_tv", "simulation", coupling, value, value - error, value + error)


COLUMNS = {
    "TV\nexact": ("sequence_tv", "exact", None),
    "TV\nlaw": ("sequence_tv", "prediction", "G13"),
    "TV\nbound": ("sequence_tv", "bound", None),
    "diff.\nexact": ("disagreement", "exact", "maximal"),
    "diff.\nlaw": ("disagreement", "prediction", None),
    "diff.\nbound": ("disagreement", "bound", None),
    "diff.\nsim.": ("disagreement", "simulation", "maximal"),
    "diff.\nGumb.": ("disagreement", "simulation", "shared-gumbel"),
    "diff.\nindep": ("disagreement", "simulation", "independent"),
    "next\ndense": ("step_tv", "exact", None),
    "next\nown": ("free_step_tv", "exact", None),
    "next\nnone": ("marginal_tv", "exact", None),
}
"""Columns of the lesson: quantity, kind and source; of several bounds the best."""
EXPLANATION = """\
n     number of tokens; "law" is a prediction, "bound" the best proved bound
TV    total variation of the models' laws of n tokens: grows like sqrt(n)
diff. chance that two coupled texts differ: grows like n; tokens are drawn by the
      best coupling, from one Gumbel noise, or independently
next  total variation of the laws of token n: both models read the dense text,
      each reads its own text, or no text is given (what one token shows)
"""


def lesson_table(frame: pd.DataFrame) -> Group:
    """One table per chain: what the catalogue predicts and guarantees, what is exact, what was simulated."""
    tables = []
    for name in frame["chain"].unique():
        words = (CHAINS[name].__doc__ or name).splitlines()[0].replace("``", "")
        table = Table(title=f"{name}: {words}", box=SIMPLE_HEAD, padding=0)
        for heading in ("\nn", *COLUMNS):
            table.add_column(heading, justify="right", no_wrap=True)
        for n in sorted(frame["steps"].unique()):
            here = frame[(frame["chain"] == name) & (frame["steps"] == n)]
            table.add_row(str(n), *(_least(here, *column) for column in COLUMNS.values()))
        tables.append(table)
    return Group(*tables, EXPLANATION)


def _least(frame: pd.DataFrame, quantity: str, kind: str, source: str | None = None) -> str:
    """Smallest value of a kind: for bounds the best one."""
    rows = frame[(frame["quantity"] == quantity) & (frame["kind"] == kind)]
    if source is not None:
        rows = rows[rows["source"] == source]
    return "-" if rows.empty else f"{rows['value'].min():.3f}"


LINES = {
    "sequence_tv": (
        ("exact", None, "k-", "exact"),
        ("prediction", None, "C0--", "law"),
        ("bound", None, "C3:", "bound"),
    ),
    "disagreement": (
        ("exact", "independent", "-", "independent"),
        ("exact", "shared-gumbel", "C1-.", "shared Gumbel noise"),
        ("exact", "maximal", "k-", "best coupling, exact"),
        ("prediction", None, "C0--", "law"),
        ("bound", None, "C3:", "bound"),
        ("simulation", "maximal", "C2o", "simulated"),
    ),
    "step_tv": (("exact", None, "k-", "both read the dense text"),),
    "free_step_tv": (
        ("exact", None, "C4-", "each reads its own text"),
        ("simulation", None, "C2o", "the same, simulated"),
    ),
    "marginal_tv": (
        ("exact", None, "-", "without a text"),
        ("bound", None, "C3:", "bound, without a text"),
    ),
}
"""Per quantity the curves of the picture: kind, source, style, name."""
COLOURS = {"independent": "0.8", "without a text": "0.6"}
PANELS = {
    "total variation\nof whole texts": ("sequence_tv",),
    "chance that\nthe texts differ": ("disagreement",),
    "total variation\nof the next token": ("step_tv", "free_step_tv", "marginal_tv"),
}


def lesson_figure(frame: pd.DataFrame) -> Figure:
    """Whole texts, coupled texts and the next token against length, one column of panels per chain."""
    names = list(frame["chain"].unique())
    figure = Figure(figsize=(2.6 * len(names) + 2.2, 7.0), layout="constrained")
    axes = figure.subplots(len(PANELS), len(names), sharex=True, sharey=True, squeeze=False)
    for column, name in enumerate(names):
        axes[0, column].set_title(name)
        axes[-1, column].set_xlabel("tokens")
        for axis, quantities in zip(axes[:, column], PANELS.values(), strict=True):
            for quantity in quantities:
                _curves(axis, frame[(frame["chain"] == name) & (frame["quantity"] == quantity)], quantity)
            axis.set_xscale("log", base=2)
            axis.set_ylim(0, 1.02)
    for axis, words in zip(axes[:, 0], PANELS, strict=True):
        axis.set_ylabel(words)
    for row in axes:
        named = {
            label: line for axis in row for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        row[-1].legend(named.values(), named, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _curves(axis: Axes, rows: pd.DataFrame, quantity: str) -> None:
    for kind, source, style, label in LINES[quantity]:
        part = rows[rows["kind"] == kind]
        if source is not None:
            part = part[part["source"] == source]
        curve = part.groupby("steps")["value"].min()
        if len(curve):
            (line,) = axis.plot(curve.index, curve.to_numpy(), style, label=label, markersize=3)
            line.set_color(COLOURS.get(label, line.get_color()))
