"""Samples of draws for figures: tightness of every bound, and every estimate against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sim.logits.draws import Families, draw
from sim.sweeps.held import held_claims
from sim.sweeps.plan import unit_generator
from theory.arrays import Array
from theory.bounds.best_interval import best_interval
from theory.bounds.check import check
from theory.drift.measure import measure
from theory.drift.record import Drift
from theory.formulas.claims import Claim
from theory.statements.catalogue import catalogue
from theory.theorems.theorem import column

VOCABULARIES = (2, 16, 256, 4096)


def bounds_and_witnesses(
    seed: int, draws: int = 60, vocabularies: Sequence[int] = VOCABULARIES
) -> pd.DataFrame:
    """Tightness of every bound against R, for random draws and for the witnesses.

    ``draws`` rows per vocabulary and pair of families. Columns: claim, theorem, side, vocabulary,
    oscillation, tightness (quantity/upper or lower/quantity), witness (bool).
    """
    labels: list[tuple[str, str, str, int, bool]] = []
    oscillations, ratios = [], []
    for vocabulary, perturbation, drift in _batches(seed, draws, vocabularies):
        checks = check(drift)
        for held in held_claims():
            if not held.bounded or held.claim.exact:
                continue
            for side, ratio in _ratios(held.claim, drift):
                # As in the sweep: no draw that float64 cannot judge; what rounding pushed past 1 is 1.
                sound = ~checks[held.key].violated.numpy() & np.isfinite(ratio)
                oscillations.append(drift.oscillation.numpy()[sound])
                ratios.append(np.minimum(ratio[sound], 1.0))
                label = (held.key, held.theorem.id, side, vocabulary, perturbation == "witness")
                labels += [label] * int(sound.sum())
    frame = pd.DataFrame(labels, columns=["claim", "theorem", "side", "vocabulary", "witness"])
    frame["oscillation"], frame["tightness"] = np.concatenate(oscillations), np.concatenate(ratios)
    return frame


def estimate_error(seed: int, draws: int = 60, vocabularies: Sequence[int] = VOCABULARIES) -> pd.DataFrame:
    """Every estimate of the catalogue against the truth and against the guaranteed interval (C9).

    Columns: theorem, quantity, vocabulary, oscillation, entropy, truth, estimate, lower, upper (the best
    interval; NaN for quantities that have none).
    """
    frames = []
    for vocabulary, _, drift in _batches(seed, draws, vocabularies):
        intervals = {name: best_interval(drift, name) for name in ("cosdist_p", "kl")}
        for theorem in catalogue:
            if theorem.estimate is None or theorem.quantity is None or not theorem.claims[0].measurable:
                continue
            interval = intervals.get(theorem.quantity)
            frame = pd.DataFrame(
                {
                    "oscillation": drift.oscillation.numpy(),
                    "entropy": drift.entropy.numpy(),
                    "truth": column(drift, theorem.quantity).numpy(),
                    "estimate": theorem.approximate(drift).numpy(),
                    "lower": np.nan if interval is None else np.asarray(interval.lower),
                    "upper": np.nan if interval is None else np.asarray(interval.upper),
                }
            )
            frame[["theorem", "quantity", "vocabulary"]] = theorem.id, theorem.quantity, vocabulary
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _batches(seed: int, draws: int, vocabularies: Sequence[int]) -> Iterator[tuple[int, str, Drift]]:
    families = Families()
    for vocabulary in vocabularies:
        for unit in range(len(families.pairs())):
            rows = draw(unit_generator(seed, vocabulary, unit), unit, draws, vocabulary, families)
            yield vocabulary, rows.perturbation, measure(rows.logits, rows.perturbed, rows.temperature)


def _ratios(claim: Claim, drift: Drift) -> Iterator[tuple[str, Array]]:
    values = {name: column(drift, name).numpy() for name in claim.columns}
    with np.errstate(all="ignore"):
        quantity = claim.measured(**values)
        if claim.upper is not None:
            yield "upper", quantity / claim.upper(**values)
        if claim.lower is not None:
            yield "lower", claim.lower(**values) / quantity
