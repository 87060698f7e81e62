"""Predicted means under random noise against simulated ones, with confidence intervals (E2, E3, F1 to F8).

The formulas are the catalogue's: every claim of family F whose symbols this run knows is evaluated, the exact
integrals of F3 come from ``theory.expectations``. Nothing here knows a formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
import torch

from sim.families import BASES
from sim.reducers import Array
from theory.drift import Drift
from theory.expectations import expected_cosdist, expected_kl, moments
from theory.families import catalogue
from theory.measure import measure
from theory.names import lookup
from theory.theorem import Claim

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
    jeffreys_excess: float
    """(mean of J - tau^2 (1 - |q|^2)) in standard errors: normal with mean 0 for Gaussian noise (F2)."""


def predicted_curves(
    seed: int,
    draws: int = 2000,
    settings: Sequence[tuple[str, int]] = SETTINGS,
    noises: Sequence[float] = NOISES,
    distributions: Sequence[str] = tuple(DISTRIBUTIONS),
    temperature: float = 1.0,
) -> pd.DataFrame:
    """One row per law and setting.

    Columns: base, vocabulary, temperature, entropy, distribution, noise, theorem, kind ("exact", "estimate"
    or "bound"), quantity, predicted (NaN for a bound), lower, upper, measured, low and high (3 standard
    errors), jeffreys_excess (the F2 self-test of the run, in standard errors; NaN unless Gaussian).

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
    for number, (base, vocabulary) in enumerate(settings):
        for distribution in distributions:
            for step, noise in enumerate(noises):
                lookup("distribution", distribution, DISTRIBUTIONS)
                key = (number, list(DISTRIBUTIONS).index(distribution), step)
                rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
                z = _base(base, vocabulary, seed)
                frozen = lookup("distribution", distribution, DISTRIBUTIONS)(noise)
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
    parts, gini_q = [], []
    rows = max(1, min(draws, ROWS_AT_ONCE // len(z)))
    for start in range(0, draws, rows):
        shape = (min(rows, draws - start), len(z))
        change = torch.from_numpy(temperature * frozen.rvs(size=shape, random_state=rng))
        logits = torch.from_numpy(z).expand(shape)
        parts.append(measure(logits, logits + change, temperature))
        gini_q.append(torch.softmax((logits + change) / temperature, -1).square().sum(-1).numpy())
    drift, gini = Drift.cat(parts), np.concatenate(gini_q)
    samples = {
        "mean_kl": drift.kl.numpy(),
        "mean_cosdist": drift.cosdist_p.numpy(),
        "mean_log_cos": -np.log1p(-drift.cosdist_p.numpy()),
        "mean_bc": 1 - drift.hellinger_sq.numpy(),
        "mean_tv": drift.tv.numpy(),
        "mean_var_p": drift.var_p.numpy(),
        "mean_jeffreys": (drift.kl + drift.kl_reverse).numpy(),
        "mean_gini_q": gini,
    }
    excess = samples["mean_jeffreys"] - noise**2 * (1 - gini)
    known = {name: float(values.mean()) for name, values in samples.items()}
    errors = {name: float(values.std(ddof=1)) / draws**0.5 for name, values in samples.items()}
    squares = (samples["mean_var_p"] - known["mean_var_p"]) ** 2
    known["var_var_p"] = float(squares.mean())
    if light_tails:
        errors["var_var_p"] = float(squares.std()) / draws**0.5
    known |= moments(p, "p") | moments(p**2 / (p**2).sum(), "r")
    known |= {
        "noise": noise,
        "kurtosis": float(frozen.stats(moments="k")) + 3,
        "vocabulary": float(len(z)),
        "entropy": float(drift.entropy[0]),
        "self_gini": float(((p - p**2) ** 2).sum()),
        "p_max": float(p.max()),
    }
    deviation = float(excess.std(ddof=1)) / draws**0.5
    return Run(known, errors, float(excess.mean()) / deviation if deviation else 0.0), p


def _laws(run: Run, p: Array, frozen: Any, distribution: str) -> Iterator[dict[str, object]]:
    for name, value in (("mean_kl", expected_kl(p, frozen)), ("mean_cosdist", expected_cosdist(p, frozen))):
        yield _row("F3", "exact", name, run, value, value, value)
    values = run.known | _only_for(distribution, run.known["noise"])
    for theorem in catalogue.family("F"):
        if theorem.id in GAUSSIAN_ONLY and distribution != "gaussian":
            continue
        for claim in theorem.claims:
            if claim.name in run.errors and set(claim.columns) <= set(values):
                yield _claim_row(theorem.id, claim, run, values)


GAUSSIAN_ONLY = ("F2", "F4", "F5", "F6", "F7")


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
        "theorem": theorem, "kind": kind, "quantity": quantity.removeprefix("mean_"), "predicted": predicted,
        "lower": lower, "upper": upper, "measured": mean,
        "low": mean - SPREAD * error, "high": mean + SPREAD * error,
    }  # fmt: skip
