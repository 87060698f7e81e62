"""Throughput of the sweep, speed-up by a second worker, memory: reported, not asserted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sim.logits.draws import Families, draw
from sim.reducers import Tally
from sim.sweeps.held import held_claims, hold
from sim.sweeps.plan import FLAT_COST, VOCABULARIES, allot, blocks, unit_generator, unit_rows
from sim.sweeps.sweep import sweep

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
    """Four equal blocks by one worker and by two, both warm; the start of the workers on its own."""
    vocabulary = 64
    block = blocks({vocabulary: 10**8})[0].draws

    def seconds(draws: int, workers: int, name: str) -> float:
        start = time.perf_counter()
        sweep(draws, 0, (vocabulary,), workers=workers, folder=tmp_path / name)
        return time.perf_counter() - start

    seconds(4096, 1, "first")
    started = seconds(block + 4096, 2, "start") - seconds(block, 1, "block")
    one, two = seconds(4 * block, 1, "one"), seconds(4 * block, 2, "two")
    print(f"{4 * block:,} draws: 1 worker {one:.1f} s, 2 workers {two:.1f} s, speed-up {one / two:.2f}")
    print(f"start of the first pair of workers {started:.1f} s, paid once per run")


def test_memory_of_a_run_with_two_workers(tmp_path: Path) -> None:
    """Memory of all processes of a run, shared pages counted once (proportional set size, Linux only)."""
    arguments = ("--draws", "60000", "--workers", "2", "--out", str(tmp_path / "sweep.json"))
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", "sweep", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak: list[float] = []
    while process.poll() is None:
        peak = max(peak, [_megabytes(pid) for pid in _family(process.pid)], key=sum)
        time.sleep(0.2)
    assert process.returncode == 0
    parts = " + ".join(f"{part:.0f}" for part in peak)
    print(f"peak memory of all processes {sum(peak):.0f} MiB = {parts} (required: 1024)")


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = [
            int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(member for child in children for member in _family(child))]


def _megabytes(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
