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
from matplotlib.figure import Figure
from rich.console import Group
from rich.table import Table

from sim.chains import CHAINS, COUPLINGS, SoftmaxChain, decode, sequence_tv_bracket
from theory import markov
from theory.families import catalogue
from theory.names import lookup
from theory.worst_case import worst_case_tv

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
    survival, affinity = chain.survival(longest), chain.path_bc(longest)
    for n in lengths:
        known = {
            "steps": float(n), "oscillation": oscillation, "step_tv": step_tv, "survival": float(survival[n
            - 1]), "kl_total": float(kl[n - 1]), "sequence_kl": float(kl[n - 1]), "tv_total": float(tv[n -
            1]), "sequence_affinity": float(affinity[n - 1]),
        }  # fmt: skip
        yield from _formulas(n, known)
        yield _row(n, "sequence_tv", "bound", "J2", float(worst[n]))
        yield _row(n, "marginal_tv", "bound", "G7", float(saturation[n]))


def _formulas(n: int, known: dict[str, float]) -> Iterator[dict[str, object]]:
    for theorem in (*catalogue.family("G"), catalogue["J2"]):
        if theorem.status == "false":
            continue
        for claim in theorem.claims:
            needed = set(claim.columns) - {"sequence_tv", "survival"}
            if claim.name == "sequence_tv" and needed | {"survival"} <= set(known):
                if claim.upper is not None and claim.columns != ("sequence_tv",):
                    yield _row(n, "sequence_tv", "bound", theorem.id, float(claim.upper(**known)))
                if claim.estimate is not None:
                    yield _row(n, "sequence_tv", "prediction", theorem.id, float(claim.estimate(**known)))
            if claim.name == "survival" and needed <= set(known) and claim.lower is not None:
                yield _row(n, "disagreement", "bound", theorem.id, 1 - float(claim.lower(**known)))
            if claim.name == "1 - survival" and needed <= set(known):
                for kind, side in (("bound", claim.upper), ("prediction", claim.estimate)):
                    if side is not None:
                        yield _row(n, "disagreement", kind, theorem.id, float(side(**known)))


def _simulated(
    chain: SoftmaxChain, lengths: Sequence[int], samples: int, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    longest = max(lengths)
    for coupling in COUPLINGS:
        decoded = decode(chain, coupling, samples, longest, rng)
        survival = decoded.survival()
        for n in lengths:
            value = 1 - float(survival[n - 1])
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


def lesson_table(frame: pd.DataFrame) -> Group:
    """One table per chain: what the catalogue predicts and guarantees, what is exact, what was simulated."""
    tables = []
    for name in frame["chain"].unique():
        table = Table(title=f"{name}: {CHAINS[name].__doc__.splitlines()[0]}")  # type: ignore[union-attr]
        for heading in (
            "tokens", "TV exact", "TV predicted", "TV bound", "differ exact", "predicted", "bound",
            "simulated", "Gumbel", "independent",
        ):  # fmt: skip
            table.add_column(heading, justify="right")
        for n in sorted(frame["steps"].unique()):
            here = frame[(frame["chain"] == name) & (frame["steps"] == n)]
            table.add_row(
                str(n),
                _least(here, "sequence_tv", "exact"), _least(here, "sequence_tv", "prediction", "G13"),
                _least(here, "sequence_tv", "bound"), _least(here, "disagreement", "exact", "maximal"),
                _least(here, "disagreement", "prediction"), _least(here, "disagreement", "bound"),
                *(_least(here, "disagreement", "simulation", c)
                  for c in ("maximal", "shared-gumbel", "independent")),
            )  # fmt: skip
        tables.append(table)
    return Group(*tables)


def _least(frame: pd.DataFrame, quantity: str, kind: str, source: str | None = None) -> str:
    """Smallest value of a kind: for bounds the best one."""
    rows = frame[(frame["quantity"] == quantity) & (frame["kind"] == kind)]
    if source is not None:
        rows = rows[rows["source"] == source]
    return "-" if rows.empty else f"{rows['value'].min():.4f}"


def lesson_figure(frame: pd.DataFrame) -> Figure:
    """Sequence TV and disagreement against length for each chain: exact, predicted, bounded, simulated."""
    names = list(frame["chain"].unique())
    figure = Figure(figsize=(3.2 * len(names), 5.6), layout="constrained")
    axes = figure.subplots(2, len(names), sharex=True, sharey=True, squeeze=False)
    styles = {"exact": "k-", "prediction": "C0--", "bound": "C3:", "simulation": "C2o"}
    for column, name in enumerate(names):
        for row, quantity in enumerate(("sequence_tv", "disagreement")):
            axis = axes[row, column]
            part = frame[(frame["chain"] == name) & (frame["quantity"] == quantity)]
            if quantity == "disagreement":
                part = part[part["source"].isin(["maximal"]) | part["kind"].isin(["prediction", "bound"])]
            for kind, style in styles.items():
                curve = part[part["kind"] == kind].groupby("steps")["value"].min()
                if len(curve):
                    axis.plot(curve.index, curve.to_numpy(), style, label=kind, markersize=3)
            axis.set_xscale("log", base=2)
            axis.set_ylim(0, 1.02)
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("tokens")
    axes[0, 0].set_ylabel("total variation of sequences")
    axes[1, 0].set_ylabel("chance that the texts differ")
    axes[0, 0].legend(frameon=False)
    return figure
