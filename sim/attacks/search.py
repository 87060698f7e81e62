"""Search for the worst case of a theorem: how close to its bound, or beyond it, can a quantity be driven?

Every claim is attacked in the first world of ``sim.attacks.worlds`` that gives values to all its symbols.
Random starts, and for pairs of distributions the theorem's witnesses, climb the logarithm of the tightness at
a fixed oscillation; Nelder-Mead polishes the best point of a small world, as many bounds have kinks. What
is found on pairs is measured by ``theory.measure`` and a ratio above 1 is judged in high precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from mpmath import mp
from rich.table import Table

from sim.attacks.ascent import Starts, Target, climb, height, polish, size_of, tensors
from sim.attacks.worlds import DRIFT, World, world_of
from sim.attacks.worlds.world import with_range
from sim.exact import TOLERANCE, ExactDraw, exact_tightness
from sim.logits.base import log_uniform
from sim.logits.witnesses import embed, logit_witnesses, witness_pair
from theory.arrays import Array
from theory.bounds.check import claims_on_drift
from theory.drift.measure import measure
from theory.formulas.claims import Claim
from theory.statements.catalogue import catalogue
from theory.terminal.tables import plain_table
from theory.theorems.theorem import Status, Theorem, Witness, column
from theory.theorems.verify import witness_slack

OSCILLATIONS = (0.01, 50.0)
"""Budgets of the random starts; the differentiable forms resolve what lies between."""
ENTRIES = 2**16
"""Numbers per batch of starts; large worlds get fewer starts."""
MOST_STARTS = 48
LEAST_STARTS = 4
POLISHED_PARAMETERS = 32
POLISHED_ENOUGH = 1 - 1e-9
ROUNDING = 1e-9
"""Excess over 1 that float64 explains, in worlds that have no judge in high precision."""

Progress = Callable[[str], None]


class NothingToAttackError(ValueError):
    """A theorem without an inequality that a search could break; the message says why."""


def targets(theorem: Theorem) -> list[Target]:
    """Both sides of every inequality of a theorem that some world gives values to.

    Raises
    ------
    NothingToAttackError
        If there is none; the message says why.
    """
    found = [
        Target(key, claim, bound.side, theorem.attained(number, bound.side))
        for number, (key, claim) in enumerate(_keyed(theorem))
        if not claim.exact and world_of(claim) is not None
        for bound in claim.bounds
    ]
    if not found:
        raise NothingToAttackError(f"theorem {theorem.id} ({theorem.name}) {_reason(theorem)}")
    return found


def _keyed(theorem: Theorem) -> list[tuple[str, Claim]]:
    """Every claim with the key that ``theory.check`` gives it; others are numbered."""
    if theorem.status in (Status.FALSE, Status.ASYMPTOTIC):
        return []
    known = {id(claim): key for key, claim in claims_on_drift(theorem)}
    return [
        (known.get(id(claim), f"{theorem.id}[{number}].{claim.name}"), claim)
        for number, claim in enumerate(theorem.claims)
    ]


def _reason(theorem: Theorem) -> str:
    if theorem.status is Status.FALSE:
        return f"is false: its counterexample is printed by `python -m theory show {theorem.id}`."
    if theorem.status is Status.ASYMPTOTIC:
        return "is an estimate, which bounds nothing."
    if theorem.family not in "EF" and any(claim.bounds and not claim.exact for claim in theorem.claims):
        return f"is about numbers that no world draws: `python -m theory verify {theorem.id}` tries it."
    if any(claim.bounds and not claim.exact for claim in theorem.claims):
        return "bounds means or tails over random noise: `python -m sim curves` lays it beside measured ones."
    if theorem.status is Status.EXACT:
        return f"is exact, so nothing lies between the two sides; see `python -m theory verify {theorem.id}`."
    return f"states no bound as one formula: `python -m theory verify {theorem.id}` tries it."


def attack(
    name: str,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    steps: int = 300,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Best tightness found per claim, side and size of the world.

    Parameters
    ----------
    name
        Id or name of a theorem.
    sizes
        Sizes of the worlds, at least 2 (for pairs of distributions the vocabulary); each world's own list by
        default, and sizes beyond it are skipped.
    steps
        Gradient steps from each start; for Nelder-Mead as many evaluations per parameter.

    Returns
    -------
    DataFrame
        theorem, claim, side, sharp (a witness attains this side), size (0: the witness alone, evaluated in
        high precision where it is no pair of logits), start ("random" or "witness"), method, oscillation,
        tightness, and ``excess`` = tightness - 1 (positive means a violation).

    Raises
    ------
    NothingToAttackError
        If the theorem has no inequality to attack.
    """
    theorem = catalogue[name]
    if min(sizes or (2,)) < 2 or steps < 1:
        raise ValueError(f"sizes {list(sizes or ())}, steps {steps}; required: at least 2, at least 1")
    rows = []
    for number, target in enumerate(targets(theorem)):
        world = world_of(target.claim)
        assert world is not None
        rows += [_row(theorem, target, 0, found) for found in _stated_witness(theorem, target, world)]
        for size in _sizes(world, sizes):
            if progress:
                progress(f"{target.key} {target.side}, size {size}")
            rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(number, size)))
            found = max(_candidates(theorem, target, world, size, rng, steps), key=lambda f: f.tightness)
            rows.append(_row(theorem, target, size, found))
    return pd.DataFrame(rows)


def _sizes(world: World, wanted: Sequence[int] | None) -> list[int]:
    if wanted is None:
        return list(world.sizes)
    return [size for size in wanted if min(world.sizes) <= size <= max(world.sizes)] or [min(world.sizes)]


@dataclass(frozen=True)
class _Found:
    start: str
    method: str
    oscillation: float
    tightness: float


def _row(theorem: Theorem, target: Target, size: int, found: _Found) -> dict[str, object]:
    return {
        "theorem": theorem.id, "claim": target.key, "side": target.side, "sharp": target.sharp,
        "size": size, "start": found.start, "method": found.method, "oscillation": found.oscillation,
        "tightness": found.tightness, "excess": found.tightness - 1,
    }  # fmt: skip


def _stated_witness(theorem: Theorem, target: Target, world: World) -> Iterator[_Found]:
    """The best of the witnesses that are given by their symbols' values: no world can start from them."""
    slacks = [
        witness_slack(theorem, witness)
        for witness in theorem.witnesses
        if theorem.claims[witness.claim] is target.claim and witness.side == target.side
    ]
    if slacks and world is not DRIFT:
        yield _Found("witness", "exact", float("nan"), 1 - min(slacks))


def _candidates(
    theorem: Theorem, target: Target, world: World, size: int, rng: np.random.Generator, steps: int
) -> Iterator[_Found]:
    starts = {"random": _random_starts(world, size, rng)}
    if world is DRIFT:
        starts["witness"] = _witness_starts(theorem, size)
    best: tuple[float, str, Starts] | None = None
    for start, points in starts.items():
        if len(points.oscillation) == 0:
            continue
        for method, moved in (("none", points), ("gradient", climb(world, target, points, steps))):
            tightness = np.exp(_measured(target, world, moved))
            k = int(np.argmax(tightness))
            here = moved.row(k)
            yield _found(target, world, start, method, here, float(tightness[k]))
            if best is None or tightness[k] > best[0]:
                best = float(tightness[k]), start, here
    if best and size_of(best[2]) <= POLISHED_PARAMETERS and best[0] < POLISHED_ENOUGH:
        moved = polish(world, target, best[2], steps * size_of(best[2]))
        tightness = np.exp(_measured(target, world, moved))
        yield _found(target, world, best[1], "nelder-mead", moved, float(tightness[0]))


def _found(target: Target, world: World, start: str, method: str, point: Starts, tightness: float) -> _Found:
    if tightness > 1:
        tightness = 1 + _excess(target, world, point, tightness)
    return _Found(start, method, float(point.oscillation[0]), tightness)


def _measured(target: Target, world: World, points: Starts) -> Array:
    """log-tightness; of pairs of distributions as ``theory`` measures them."""
    if world is not DRIFT:
        return height(world, target, points)
    z, delta = _logits(points)
    drift = measure(torch.from_numpy(z), torch.from_numpy(z + delta))
    return target.log_tightness({name: column(drift, name).numpy() for name in target.claim.columns})


def _logits(points: Starts) -> tuple[Array, Array]:
    free = tensors(points.free)
    return points.free["z"], with_range(free["delta"], points.given.oscillation).numpy()


def _excess(target: Target, world: World, point: Starts, tightness: float) -> float:
    """Tightness - 1 of a point where float64 reports more than 1."""
    if world is not DRIFT:
        return tightness - 1 if tightness > 1 + ROUNDING else 0.0
    z, delta = (rows[0] for rows in _logits(point))
    draw = ExactDraw(z.tolist(), (z + delta).tolist(), 1.0)
    with mp.workdps(draw.digits):
        excess = exact_tightness(target.claim, target.side, draw) - 1
        return 0.0 if abs(excess) < TOLERANCE else float(excess)


def _random_starts(world: World, size: int, rng: np.random.Generator) -> Starts:
    one = sum(value.size for value in world.start(np.random.default_rng(0), 1, size).values())
    rows = max(LEAST_STARTS, min(MOST_STARTS, ENTRIES // one))
    free = world.start(rng, rows, size)
    return Starts(free, log_uniform(rng, *OSCILLATIONS, rows)[:, 0], rng.uniform(0.02, 0.98, rows))


def _witness_starts(theorem: Theorem, vocabulary: int) -> Starts:
    pairs = [
        embed(*pair, vocabulary)
        for witness in logit_witnesses([theorem])
        for pair in _in_range(witness)
        if len(pair[0]) <= vocabulary
    ]
    z = np.array([pair[0] for pair in pairs]).reshape(-1, vocabulary)
    delta = np.array([pair[1] for pair in pairs]).reshape(-1, vocabulary)
    span = np.ptp(delta, axis=-1) if len(pairs) else np.empty(0)
    return Starts({"z": z, "delta": delta}, span, np.full(len(pairs), 0.5))


def _in_range(witness: Witness) -> list[tuple[Array, Array]]:
    """Witnesses at their own parameters, or at the smallest budget if all of those are out of range."""
    for parameters in (map(float, witness.parameters), (OSCILLATIONS[0],)):
        pairs = [witness_pair(witness, parameter) for parameter in parameters]
        inside = [pair for pair in pairs if OSCILLATIONS[0] <= np.ptp(pair[1]) <= OSCILLATIONS[1]]
        if inside:
            return inside
    return []


def attack_all(
    sizes: Sequence[int] | None = None, seed: int = 0, steps: int = 300, progress: Progress | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """``attack`` on the whole catalogue; theorems with nothing to attack answer with their sentence."""
    frames, silent = [], {}
    for theorem in catalogue:
        try:
            frames.append(attack(theorem.id, sizes, seed, steps, progress))
        except NothingToAttackError as reason:
            silent[theorem.id] = str(reason)
    return pd.concat(frames, ignore_index=True), silent


def attack_table(frame: pd.DataFrame, seed: int) -> Table:
    """What fits 80 columns: ``theorem`` is part of ``claim``, and ``excess`` decides the exit code."""
    shown = frame.drop(columns=["theorem", "excess"])
    title = f"largest quantity/upper or lower/quantity found, seed {seed}"
    table = plain_table(*shown.columns, title=title, whole=len(shown.columns))
    for row in shown.to_dict(orient="records"):
        table.add_row(*(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()))
    return table
