"""Throughput of the sweep, speed-up by a second worker, memory: reported, not asserted."""

import resource
import time
from pathlib import Path

import pytest
import torch

from sim.draws import Families, draw
from sim.held import held_claims, hold
from sim.plan import FLAT_COST, VOCABULARIES, allot, unit_generator, unit_rows
from sim.reducers import Tally
from sim.sweep import sweep

pytestmark = pytest.mark.benchmark


def seconds_per_draw(vocabulary: int, units: int = 6) -> float:
    families, tally = Families(), Tally.empty(len(held_claims()))
    rows = min(unit_rows(vocabulary), 1024)
    batches = [
        draw(unit_generator(0, vocabulary, 9 * u), 9 * u, rows, vocabulary, families) for u in range(units)
    ]
    hold(tally, batches[0])
    start = time.process_time()
    for batch in batches:
        hold(tally, batch)
    return (time.process_time() - start) / (units * rows)


def test_cost_per_draw_and_time_of_the_full_run() -> None:
    torch.set_num_threads(1)
    total = 0.0
    allotment = allot(10**8)
    for vocabulary in VOCABULARIES:
        cost = seconds_per_draw(vocabulary)
        total += cost * allotment[vocabulary]
        relative = 1e6 * cost / (FLAT_COST + vocabulary)
        print(
            f"V={vocabulary:>6}: {1e6 * cost:10.1f} us per draw ({relative:.2f} per allotted cost), "
            f"{allotment[vocabulary]:>11,} of 1e8 draws"
        )
    print(f"1e8 draws: {total / 3600:.2f} core hours")


def test_speed_up_by_a_second_worker(tmp_path: Path) -> None:
    wall = []
    for workers in (1, 2):
        start = time.perf_counter()
        sweep(400_000, 0, (2, 3, 4, 16), workers=workers, folder=tmp_path / str(workers))
        wall.append(time.perf_counter() - start)
    print(f"1 worker {wall[0]:.1f} s, 2 workers {wall[1]:.1f} s, speed-up {wall[0] / wall[1]:.2f}")


def test_memory_of_the_largest_vocabulary() -> None:
    for unit in range(0, 60, 7):
        hold(
            Tally.empty(len(held_claims())),
            draw(unit_generator(0, 262144, unit), unit, 1, 262144, Families()),
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process {peak:.0f} MiB")
