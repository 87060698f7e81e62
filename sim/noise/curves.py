"""Predicted means and tails under random noise against simulated ones, with confidence intervals.

Theorems E2, E3 and F1 to F8. The formulas are the catalogue's: every claim of families E and F about a mean
whose symbols this run knows is evaluated, the exact integrals of F3 come from
``theory.effects.expectations``, and ``sim.noise.tails`` counts how often the concentration bounds F6 and F7
are passed. Nothing here knows a formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
import torch
from rich.table import Table

from sim.logits import BASES
from sim.noise.tails import tail_rows
from theory.arrays import Array
from theory.drift.measure import measure
from theory.drift.record import Drift
from theory.drift.vectors import measure_vectors
from theory.effects.expectations import expected_cosdist, expected_kl, moments
from theory.effects.retrieval import angle
from theory.formulas.claims import Claim
from theory.names import lookup
from theory.statements.catalogue import catalogue
from theory.terminal.tables import plain_table

TEMPERATURES = (0.5, 1.0, 2.0)
NOISES = (0.03, 0.1, 0.3, 1.0, 2.0)
SETTINGS = (
    ("flat", 16),
    ("flat", 4096),
    ("gaussian", 64),
    ("gaussian", 4096),
    ("zipf", 1024),
    ("peaked", 64),
)
SPREAD = 3.0
"""Standard errors of the confidence intervals: 99.7 %."""
ROWS_AT_ONCE = 2**20

DISTRIBUTIONS = {
    "gaussian": lambda noise: scipy.stats.norm(scale=noise),
    "uniform": lambda noise: scipy.stats.uniform(-noise * 3**0.5, 2 * noise * 3**0.5),
    "laplace": lambda noise: scipy.stats.laplace(scale=noise / 2**0.5),
    "student-t": lambda noise: scipy.stats.t(df=5, scale=noise * 0.6**0.5),
}
"""Noise of standard deviation ``noise`` on every logit over T, as frozen ``scipy.stats`` distributions."""


@dataclass(frozen=True)
class Run:
    """Means over the noise and their standard errors, by the symbols' names in the catalogue."""

    known: dict[str, float]
    errors: dict[str, float]
    samples: dict[str, Array]
    jeffreys_excess: float
    """(mean of J - tau^2 (1 - |q|^2)) in standard errors: normal with mean 0 for Gaussian noise (F2)."""


def predicted_curves(
    seed: int,
    draws: int = 2000,
    settings: Sequence[tuple[str, int]] = SETTINGS,
    noises: Sequence[float] = NOISES,
    distributions: Sequence[str] = tuple(DISTRIBUTIONS),
    temperatures: Sequence[float] = TEMPERATURES,
) -> pd.DataFrame:
    """One row per law and setting.

    Columns: base, vocabulary, temperature, entropy, distribution, noise, theorem, kind ("exact", "estimate",
    "bound" of a mean, "tail" for a bound of a probability), quantity, level (where a tail begins; NaN
    otherwise), predicted (NaN for bounds), lower, upper, measured (a mean or a frequency), low and high (3
    standard errors, for frequencies the exact interval of the same confidence), jeffreys_excess (the F2
    self-test of the run, in standard errors; NaN unless Gaussian).

    Parameters
    ----------
    draws
        Noise vectors per setting.
    settings
        (base family, vocabulary) pairs.
    noises
        Standard deviations tau of delta = D/T.

    Raises
    ------
    ValueError
        If a base family or a distribution is unknown.
    """
    rows = []
    grid = product(enumerate(settings), enumerate(temperatures), distributions, enumerate(noises))
    for (number, (base, vocabulary)), (warmth, temperature), distribution, (step, noise) in grid:
        frozen = lookup("distribution", distribution, DISTRIBUTIONS)(noise)
        key = (number, warmth, list(DISTRIBUTIONS).index(distribution), step)
        rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
        z = _base(base, vocabulary, seed)
        # The error of a mean fourth power needs eighth moments, which Student's t does not have.
        run, p = _run(z, frozen, noise, draws, temperature, rng, distribution != "student-t")
        setting = {
            "base": base, "vocabulary": vocabulary, "temperature": temperature,
            "entropy": run.known["entropy"], "distribution": distribution, "noise": noise,
            "jeffreys_excess": run.jeffreys_excess if distribution == "gaussian" else np.nan,
        }  # fmt: skip
        rows += [{**setting, **law} for law in _laws(run, p, frozen, distribution)]
    return pd.DataFrame(rows)


def _base(name: str, vocabulary: int, seed: int) -> Array:
    rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(vocabulary,)))
    row: Array = lookup("base family", name, BASES)(rng, 1, vocabulary)[0]
    return row


def _run(
    z: Array,
    frozen: Any,
    noise: float,
    draws: int,
    temperature: float,
    rng: np.random.Generator,
    light_tails: bool,
) -> tuple[Run, Array]:
    p = torch.softmax(torch.from_numpy(z / temperature), -1).numpy()
    samples, entropy = _samples(z, frozen, draws, temperature, rng)
    known = {name: float(values.mean()) for name, values in samples.items()}
    errors = {name: float(values.std(ddof=1)) / draws**0.5 for name, values in samples.items()}
    squares = (samples["mean_var_p"] - known["mean_var_p"]) ** 2
    known["var_var_p"] = float(squares.mean())
    if light_tails:
        errors["var_var_p"] = float(squares.std()) / draws**0.5
    known |= _symbols_of_law(z, p) | {
        "temperature": temperature,
        "noise": noise,
        "kurtosis": float(frozen.stats(moments="k")) + 3,
        "entropy": entropy,
    }
    excess = samples["mean_jeffreys"] - noise**2 * (1 - samples["mean_gini_q"])
    deviation = float(excess.std(ddof=1)) / draws**0.5
    return Run(known, errors, samples, float(excess.mean()) / deviation if deviation else 0.0), p


def _samples(
    z: Array, frozen: Any, draws: int, temperature: float, rng: np.random.Generator
) -> tuple[dict[str, Array], float]:
    """Each drift's quantities over all draws, ``(draws,)``, and the entropy of p."""
    parts, gini_q, across = [], [], []
    centred = torch.from_numpy(z - z.mean())
    rows = max(1, min(draws, ROWS_AT_ONCE // len(z)))
    for start in range(0, draws, rows):
        shape = (min(rows, draws - start), len(z))
        change = torch.from_numpy(temperature * frozen.rvs(size=shape, random_state=rng))
        logits = torch.from_numpy(z).expand(shape)
        parts.append(measure(logits, logits + change, temperature))
        gini_q.append(torch.softmax((logits + change) / temperature, -1).square().sum(-1).numpy())
        change = change - change.mean(-1, keepdim=True)
        across.append(measure_vectors(centred.expand(shape), centred + change).orthogonal_sq.numpy())
    drift = Drift.cat(parts)
    samples = _quantities(drift) | {"mean_gini_q": np.concatenate(gini_q)}
    if float(centred.abs().max()) > 0:
        samples["mean_amplification_centred"] = drift.var_r.numpy() / np.concatenate(across)
    return samples, float(drift.entropy[0])


def _quantities(drift: Drift) -> dict[str, Array]:
    return {
        "mean_kl": drift.kl.numpy(),
        "mean_cosdist": drift.cosdist_p.numpy(),
        "mean_log_cos": -np.log1p(-drift.cosdist_p.numpy()),
        "mean_bc": 1 - drift.hellinger_sq.numpy(),
        "mean_tv": drift.tv.numpy(),
        "mean_var_p": drift.var_p.numpy(),
        "mean_jeffreys": (drift.kl + drift.kl_reverse).numpy(),
        # to second order, as E2 and E3 speak of it
        "mean_amplification": (drift.var_r / drift.orthogonal_sq).numpy(),
        "sqrt_kl": drift.kl.sqrt().numpy(),
        "angle": angle(drift.cosdist_p).numpy(),
        "arccos_bc": angle(drift.hellinger_sq).numpy(),
        "oscillation": drift.oscillation.numpy(),
    }


def _symbols_of_law(z: Array, p: Array) -> dict[str, float]:
    """What the formulas know of the dense logits."""
    r, centred = p**2 / (p**2).sum(), torch.from_numpy(z - z.mean())
    return {
        **moments(p, "p"),
        **moments(r, "r"),
        "norm_sq": float(z @ z),
        "norm_sq_centred": float(centred @ centred),
        "spread_z": float(r @ z**2 - (r @ z) ** 2),
        "vocabulary": float(len(z)),
        "self_gini": float(((p - p**2) ** 2).sum()),
        "p_max": float(p.max()),
    }


def _laws(run: Run, p: Array, frozen: Any, distribution: str) -> Iterator[dict[str, object]]:
    for name, value in (("mean_kl", expected_kl(p, frozen)), ("mean_cosdist", expected_cosdist(p, frozen))):
        yield _row("F3", "exact", name, run, value, value, value)
    values = run.known | _only_for(distribution, run.known["noise"])
    for theorem in (*catalogue.family("E"), *catalogue.family("F")):
        if theorem.id in GAUSSIAN_ONLY and distribution != "gaussian":
            continue
        for claim in theorem.claims:
            if claim.name in MEANS & set(run.errors) and set(claim.columns) <= set(values):
                yield _claim_row(theorem.id, claim, run, values)
    if distribution == "gaussian":
        yield from tail_rows(run.samples, values)


GAUSSIAN_ONLY = ("E2", "E3", "F2", "F4", "F5")
MEANS = {
    *("mean_kl", "mean_cosdist", "mean_log_cos", "mean_bc", "mean_tv", "mean_jeffreys"),
    *("mean_var_p", "var_var_p", "mean_amplification", "mean_amplification_centred"),
}
"""Quantities that theorems predict; the other samples have tails only."""


def _only_for(distribution: str, noise: float) -> dict[str, float]:
    """Symbols that only one family of noise has."""
    if distribution == "uniform":
        return {"half_width": noise * 3**0.5}
    if distribution == "laplace":
        return {"laplace_scale": noise / 2**0.5}
    return {}


def _claim_row(theorem: str, claim: Claim, run: Run, values: dict[str, float]) -> dict[str, object]:
    lower, upper, guess = (
        float("nan") if side is None else float(side(**values))
        for side in (claim.lower, claim.upper, claim.estimate)
    )
    kind = "exact" if claim.exact else "bound" if claim.estimate is None else "estimate"
    return _row(theorem, kind, claim.name, run, lower if claim.exact else guess, lower, upper)


def _row(
    theorem: str, kind: str, quantity: str, run: Run, predicted: float, lower: float, upper: float
) -> dict[str, object]:
    mean, error = run.known[quantity], run.errors[quantity]
    return {
        "theorem": theorem, "kind": kind, "quantity": quantity.removeprefix("mean_"), "level": float("nan"),
        "predicted": predicted, "lower": lower, "upper": upper, "measured": mean,
        "low": mean - SPREAD * error, "high": mean + SPREAD * error,
    }  # fmt: skip


def curves_table(frame: pd.DataFrame) -> Table:
    """How each law fared over all runs.

    For exact laws the largest deviation in standard errors, for estimates the median and largest relative
    error, for bounds and tails in how many runs they lie beyond the confidence interval.
    """
    table = plain_table(
        "theorem", "kind", "quantity", "runs", "result", title="predicted against measured", whole=4
    )
    for (theorem, kind, quantity), rows in frame.groupby(["theorem", "kind", "quantity"], sort=False):
        table.add_row(str(theorem), str(kind), str(quantity), str(len(rows)), _result(str(kind), rows))
    worst = frame["jeffreys_excess"].abs().max()
    table.add_row("F2", "self-test", "jeffreys", "", f"largest deviation {worst:.1f} standard errors")
    return table


def _result(kind: str, rows: pd.DataFrame) -> str:
    if kind == "exact":
        error = (rows["high"] - rows["low"]) / (2 * SPREAD)
        deviation = ((rows["predicted"] - rows["measured"]).abs() / error)[error > 1e-12 * rows["measured"]]
        return f"largest deviation {deviation.max():.1f} standard errors"
    beyond = int(((rows["upper"] < rows["low"]) | (rows["lower"] > rows["high"])).sum())
    if kind != "estimate":
        return f"{beyond} beyond the bound"
    relative = (rows["predicted"] / rows["measured"] - 1).abs()
    return f"relative error {relative.median():.1e} (largest {relative.max():.1e}), {beyond} beyond a bound"
