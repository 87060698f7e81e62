"""The streamed sweep: draw, measure, hold against the catalogue, remember little; resumable and order-free.

Every block of units becomes one small checkpoint file. Whoever finds a block without a file may run it: a
worker process, another machine of a torchrun, or a second start after a kill. The merge reads the files in
one fixed order, so the report is the same to the last bit however the blocks were spread.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import sympy as sp
import torch

from sim.logits.draws import Families, draw
from sim.reducers import Tally
from sim.sweeps.held import held_claims, hold
from sim.sweeps.plan import VOCABULARIES, Block, allot, blocks, unit_generator
from sim.sweeps.report import SweepReport
from sim.sweeps.workers import return_freed_memory, unordered
from theory.files import atomic_path
from theory.fingerprint import fingerprint
from theory.ranks import ranks
from theory.terminal.console import say

Progress = Callable[[Block], None]


def sweep(
    draws: int,
    seed: int,
    vocabularies: Sequence[int] = VOCABULARIES,
    families: Families | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Hold at least ``draws`` random perturbations against every theorem.

    Parameters
    ----------
    draws
        Number of draws in total, spread over ``vocabularies`` by ``sim.sweeps.plan.allot``.
    seed
        Non-negative integer; report and draws are a function of it, of ``draws`` and of the other settings,
        and not of ``workers``.
    vocabularies
        Vocabulary sizes, each at least 2.
    families
        Base logits and perturbations to draw from; all by default.
    workers
        Processes on this machine. Under torchrun or ``accelerate launch`` each rank has its own workers and
        takes its share of the blocks; ``folder`` must then be shared.
    folder
        Where checkpoints live; a second call with the same settings continues from them. Temporary by
        default.
    progress
        Called with every block that is done; blocks of other ranks count when all are done.

    Raises
    ------
    ValueError
        If ``draws``, ``vocabularies``, ``seed`` or ``workers`` is out of range.
    """
    families = families or Families()
    if seed < 0 or workers < 1:
        raise ValueError(f"seed is {seed} and workers is {workers}; required: seed >= 0, workers >= 1")
    plan = blocks(allot(draws, vocabularies))
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(folder or temporary) / _fingerprint(plan, seed, families)
        state.mkdir(parents=True, exist_ok=True)
        mine = ranks()
        rank, world = mine.index, mine.count
        show = progress or (lambda block: None)
        missing = [block for block in plan[rank::world] if not _whole(block, state)]
        for block in plan[rank::world]:
            if block not in missing:
                show(block)
        for block in _run(missing, seed, families, state, workers):
            show(block)
        mine.gather(None)  # all blocks are there when every rank has come so far
        for other in set(range(world)) - {rank}:
            for block in plan[other::world]:
                show(block)
        return _merge(plan, seed, families, state)


def planned_draws(draws: int, vocabularies: Sequence[int] = VOCABULARIES) -> int:
    """The number of draws that ``sweep`` makes, at least ``draws``."""
    return sum(allot(draws, vocabularies).values())


def _run(plan: Sequence[Block], seed: int, families: Families, state: Path, workers: int) -> Iterator[Block]:
    run = partial(run_block, seed=seed, families=families, state=state)
    if workers == 1 or len(plan) < 2:
        yield from map(run, plan)
    else:
        yield from unordered(run, plan, workers)


def run_block(block: Block, seed: int, families: Families, state: Path) -> Block:
    """Run one block and write its checkpoint: the tally, beside it the violations if any."""
    # One thread per process: a reduction's rounding, and so the report, must not depend on the machine's
    # cores.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        tally, found = Tally.empty(len(held_claims())), []
        for unit, rows in block.units():
            rng = unit_generator(seed, block.vocabulary, unit)
            for record in hold(tally, draw(rng, unit, rows, block.vocabulary, families)):
                found.append({**record, "unit": unit})
    finally:
        torch.set_num_threads(threads)
    if found:
        with atomic_path(state / f"{block.name}.violations.json") as partial:
            partial.write_text(json.dumps(found))
    tally.save(state / block.name)
    return_freed_memory()
    return block


def _whole(block: Block, state: Path) -> bool:
    """Whether a block's checkpoint is there and undamaged (every array in it has a checksum)."""
    path, notes = state / block.name, state / f"{block.name}.violations.json"
    if not path.exists():
        return False
    try:
        Tally.load(path)
        if notes.exists():
            json.loads(notes.read_bytes())
    except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error, NotImplementedError):
        say(f"{path} is damaged and will be made again")
        return False
    return True


def _merge(plan: Sequence[Block], seed: int, families: Families, state: Path) -> SweepReport:
    tallies: dict[int, Tally] = {}
    found: list[dict[str, object]] = []
    for block in sorted(plan, key=lambda b: (b.vocabulary, b.first)):
        tally = Tally.load(state / block.name)
        known = tallies.get(block.vocabulary)
        tallies[block.vocabulary] = tally if known is None else known.merge(tally)
        notes = state / f"{block.name}.violations.json"
        if notes.exists():
            found += json.loads(notes.read_text())
    draws = {size: sum(b.draws for b in plan if b.vocabulary == size) for size in tallies}
    return SweepReport(seed, draws, families, tallies, tuple(found))


def _fingerprint(plan: Sequence[Block], seed: int, families: Families) -> str:
    """Name of the checkpoint folder: settings, formulas, code; a changed formula starts afresh."""
    formulas = [[held.key, *_formulas(held.claim)] for held in held_claims()]
    made_by = [fingerprint("sim.sweeps.held"), *(version(name) for name in ("torch", "numpy"))]
    settings = [seed, asdict(families), [asdict(block) for block in plan], formulas, made_by]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


def _formulas(claim: object) -> list[str]:
    sides = [getattr(claim, side) for side in ("lower", "upper", "estimate")]
    return ["" if side is None else sp.srepr(side.expression) for side in sides]
