"""Where the softmax amplifies and where it damps, and relative to what: entropy x temperature x noise.

The amplification is the ratio of cosine distances ``(1 - cos(p, q)) / (1 - cos(x, x'))`` with x the hidden
state, the raw logits, or the centred logits. Saturation is visible: for a confident p the numerator
vanishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from rich.console import Group
from rich.table import Table
from scipy.optimize import brentq
from torch import Tensor

from theory.arrays import Array
from theory.drift.measure import measure
from theory.drift.record import Drift
from theory.drift.vectors import measure_vectors
from theory.effects.amplification import expected_amplification
from theory.terminal.console import styled
from theory.terminal.tables import plain_table

WIDTH = 64
ENTROPY_SHARES = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99)
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
NOISES = (0.01, 0.1, 1.0)
OFFSET = 10.0


def regime_map(
    seed: int,
    draws: int = 200,
    vocabulary: int = 512,
    shares: Sequence[float] = ENTROPY_SHARES,
    temperatures: Sequence[float] = TEMPERATURES,
    noises: Sequence[float] = NOISES,
) -> pd.DataFrame:
    """One row per (entropy, temperature, noise).

    A random head ``W`` of width 64 makes logits ``z = s W h``; the sharpness ``s`` is chosen so that p at T
    = 1 has the wanted share of the largest entropy log V. The noise moves ``h`` by ``noise`` times its
    length in a random direction. Raw logits carry a common offset, as language-model heads do.

    Columns: entropy_share, entropy (of p at this T, nats), temperature, noise; means over draws of
    cosdist_p, cosdist_h, cosdist_z, cosdist_z_centred, kl, oscillation; amplification_h, amplification_z
    and amplification_z_centred (ratios of the means) and the same with _median (medians of the ratios: a
    confident p is damped in most draws, and amplified in the few that change its top token);
    predicted_z_centred (second order, noise on z: E3).

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, or ``vocabulary`` is below 5.
    """
    if vocabulary < 5 or not all(0 < share < 1 for share in shares):
        raise ValueError(
            f"vocabulary {vocabulary}, shares {list(shares)}; required: at least 5, between 0 and 1"
        )
    rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(vocabulary,)))
    head = rng.standard_normal((vocabulary, WIDTH)) / WIDTH**0.5
    hidden = rng.standard_normal(WIDTH)
    directions = rng.standard_normal((draws, WIDTH))
    directions *= np.linalg.norm(hidden) / np.linalg.norm(directions, axis=1, keepdims=True)
    rows = []
    for share in shares:
        sharpness = _sharpness(head @ hidden, share)
        for noise in noises:
            moved = hidden + noise * directions
            z = torch.from_numpy(OFFSET + sharpness * (head @ hidden))
            changed = torch.from_numpy(OFFSET + sharpness * (moved @ head.T))
            states = torch.from_numpy(hidden).expand(draws, -1)
            cosdist_h = measure_vectors(states, torch.from_numpy(moved)).cosdist
            for temperature in temperatures:
                drift = measure(z.expand(draws, -1), changed, temperature)
                predicted = float(expected_amplification(z, temperature, centred=True))
                rows.append({
                    "entropy_share": share, "temperature": temperature, "noise": noise,
                    **_means(drift, cosdist_h), "predicted_z_centred": predicted,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _sharpness(logits: Array, share: float) -> float:
    """Factor s at which softmax(s * logits) has the given share of the largest entropy."""

    def excess(log_factor: float) -> float:
        log_p = torch.log_softmax(torch.from_numpy(np.exp(log_factor) * logits), -1)
        return float(-(log_p.exp() * log_p).sum()) - share * float(np.log(len(logits)))

    log_factor: float = brentq(excess, -12.0, 12.0)
    return float(np.exp(log_factor))


def _means(drift: Drift, cosdist_h: Tensor) -> dict[str, float]:
    names = ("cosdist_p", "cosdist_z", "cosdist_z_centred", "kl", "oscillation", "entropy")
    means = {name: float(getattr(drift, name).mean()) for name in names}
    bases = {"h": cosdist_h, "z": drift.cosdist_z, "z_centred": drift.cosdist_z_centred}
    for name, base in bases.items():
        means[f"amplification_{name}"] = float(drift.cosdist_p.mean() / base.mean())
        means[f"amplification_{name}_median"] = float((drift.cosdist_p / base).median())
    return means | {"cosdist_h": float(cosdist_h.mean())}


BASES = {"h": "the hidden state", "z": "raw logits", "z_centred": "centred logits"}
"""What the change of the probabilities is compared with."""


def regime_tables(frame: pd.DataFrame) -> Group:
    """Entropy against temperature, one table per base and noise: mean amplification (median of the draws).

    Numbers above 1, where the softmax amplifies, are bold.
    """
    return Group(*_tables(frame))


def _tables(frame: pd.DataFrame) -> Iterator[Table]:
    for base, words in BASES.items():
        for noise, part in frame.groupby("noise"):
            title = f"1 - cos of probabilities over 1 - cos of {words}, noise {noise:g} of |h|"
            table = plain_table("H(p)/log V", title=title)
            for temperature in sorted(part["temperature"].unique()):
                table.add_column(f"T = {temperature:g}", justify="right", overflow="fold")
            for share, row in part.groupby("entropy_share"):
                cells = row.sort_values("temperature")
                pairs = zip(
                    cells[f"amplification_{base}"], cells[f"amplification_{base}_median"], strict=True
                )
                table.add_row(
                    f"{share:g}", *(styled(f"{_number(mean)} ({_number(median)})") for mean, median in pairs)
                )
            yield table


def _number(value: float) -> str:
    return f"[bold]{value:.3g}[/bold]" if value > 1 else f"{value:.3g}"
