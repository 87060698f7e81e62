"""The sweep: allotment, independence of the split, resumption, and that it would see a false theorem."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.command_line import main
from sim.exact import ExactDraw, violated
from sim.logits.draws import ALL_NAMES, Draws, Families, draw
from sim.reducers import Tally, merge_moments, quantile
from sim.sweeps import held
from sim.sweeps.plan import VOCABULARIES, allot, blocks, unit_generator, unit_rows
from sim.sweeps.sweep import sweep
from theory.bounds import check as checking
from theory.drift.measure import measure
from theory.formulas.claims import at_most
from theory.formulas.symbols import oscillation, tv
from theory.instances.instance import DIGITS, Instance
from theory.statements.catalogue import catalogue

SMALL = (2, 3, 5, 16)


@given(st.integers(11, 10**9))
def test_allotment_reaches_the_total_and_starves_no_size(draws: int) -> None:
    allotment = allot(draws)
    assert draws <= sum(allotment.values()) <= draws + len(VOCABULARIES) + 0.12 * draws
    assert min(allotment.values()) >= min(10_000, draws // 100)
    assert list(allotment.values()) == sorted(allotment.values(), reverse=True)


def test_the_largest_vocabulary_gets_ten_thousand_draws_of_a_hundred_million() -> None:
    assert allot(10**8)[262144] >= 10_000


@given(st.integers(20, 10**5))
def test_blocks_cover_every_draw_once(draws: int) -> None:
    allotment = allot(draws, SMALL)
    for size in SMALL:
        units = [u for b in blocks(allotment) if b.vocabulary == size for u in b.units()]
        assert sorted(u for u, _ in units) == list(range(len(units)))
        assert sum(rows for _, rows in units) == allotment[size]
        assert all(rows <= unit_rows(size) for _, rows in units)


def test_a_million_draws_break_no_theorem() -> None:
    report = sweep(1_000_000, seed=1, vocabularies=(2, 3), workers=2)
    frame = report.frame()
    assert sum(report.draws.values()) >= 1_000_000
    assert report.violations == ()
    assert (frame["violations"] == 0).all()
    sharp = frame[frame["status"] == "sharp"]
    tightness = 1 - sharp[["slack_upper", "slack_lower"]].min(axis=1)
    assert (tightness.groupby(sharp["theorem"]).max() > 0.9).all()


def test_large_vocabularies_break_no_theorem() -> None:
    report = sweep(200, seed=2, vocabularies=(1024, 16384))
    assert report.violations == ()


def test_report_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    one = sweep(8_000, seed=3, vocabularies=SMALL, workers=1, folder=tmp_path / "one").summary()
    two = sweep(8_000, seed=3, vocabularies=SMALL, workers=2, folder=tmp_path / "two").summary()
    assert json.dumps(one) == json.dumps(two)


def test_two_ranks_of_torchrun_write_the_report_of_one_process(tmp_path: Path) -> None:
    out = tmp_path / "sweep.json"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    arguments = ["sweep", "--draws", "3000", "--vocabularies", "2,3,1024", "--seed", "3", "--out", str(out)]
    command = [sys.executable, *launcher, "-m", "sim", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("draws, seed 3") == 1
    alone = sweep(3000, seed=3, vocabularies=(2, 3, 1024))
    alone.save(tmp_path / "alone.json")
    assert out.read_bytes() == (tmp_path / "alone.json").read_bytes()


def test_a_row_counts_as_unmoved_only_if_p_is_q_exactly() -> None:
    z = torch.tensor([[1, 2, 7], [1, 2, 7], [0.1, 0.7, 1e3], [2**-60, 0, 0]], dtype=torch.float64)
    shifted = z + torch.tensor(
        [[3.0], [3.0], [1e-3], [0.0]], dtype=torch.float64
    )  # the third rounds unevenly
    shifted[1, 0] = torch.nextafter(shifted[1, 0], shifted[1, 1])
    shifted[3] = 1.0  # the differences are equal in float64, not in truth
    draws = Draws(z, shifted, 1.0, "file", "common-shift")
    exact = [held.exact_row(draws, row).column("oscillation") == 0 for row in range(4)]
    assert held.unmoved(draws).tolist() == exact == [True, False, False, False]


def test_report_depends_on_the_seed() -> None:
    one, two = (sweep(2_000, seed=seed, vocabularies=(2,)).summary() for seed in (0, 1))
    assert json.dumps(one["claims"]) != json.dumps(two["claims"])


def test_a_killed_sweep_resumes_to_the_same_report(tmp_path: Path) -> None:
    arguments = ["sweep", "--draws", "2e4", "--vocabularies", "2,3,4,1024", "--seed", "7"]

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sim", *arguments, "--out", str(out)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    killed = tmp_path / "killed.json"
    process = start(killed)
    parts = tmp_path / "killed.json.parts"
    while process.poll() is None and not list(parts.glob("*/*.npz")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    survivors = {path: path.stat().st_mtime_ns for path in parts.glob("*/*.npz")}
    assert start(killed).wait() == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in survivors.items())
    assert start(tmp_path / "whole.json").wait() == 0
    assert killed.read_text() == (tmp_path / "whole.json").read_text()


def test_a_false_theorem_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """TV <= 0.9 tanh(R/4): every witness row breaks it, and high precision confirms it."""
    honest = catalogue["B1"]
    false = replace(honest, claims=(at_most(tv, 0.9 * honest.claims[0].upper.expression),))
    row = held.Held("B1", false, false.claims[0], True)
    monkeypatch.setattr(held, "held_claims", lambda: (row,))
    monkeypatch.setattr(held, "check", lambda drift: checking.check(drift, (false,)))
    tally = Tally.empty(1)
    z = torch.tensor([[-0.5, 0.5]], dtype=torch.float64)
    records = held.hold(tally, Draws(z, z.flip(-1), 1.0, "none", "swap"))
    assert tally.violations[0] == 1
    assert records[0]["claim"] == "B1"


def test_what_rounding_alone_breaks_is_no_violation() -> None:
    """Equality cases: float64 may see a negative slack, high precision does not."""
    z = np.array([-0.35, 0.35])
    draw_ = ExactDraw(z.tolist(), z[::-1].tolist(), 1.0)
    assert not any(violated(row.claim, draw_) for row in held.held_claims() if row.bounded)
    assert violated(at_most(tv, oscillation / 5), draw_)


@given(st.integers(0, 2**31), st.sampled_from(ALL_NAMES), st.sampled_from((2, 3, 7)))
def test_high_precision_columns_match_measure(seed: int, name: str, vocabulary: int) -> None:
    families = Families(perturbations=(name,))
    rows = draw(np.random.default_rng(seed), seed, 2, vocabulary, families)
    drift = measure(rows.logits, rows.perturbed, rows.temperature)
    for row in range(2):
        exact = held.exact_row(rows, row)
        for column in ("kl", "kl_reverse", "tv", "cosdist_p", "var_r", "var_w", "oscillation", "chi2"):
            with mpmath.workdps(exact.digits):
                truth = float(exact.column(column))
            value = float(getattr(drift, column)[row])
            if np.isfinite(truth) and truth > 1e-290:
                assert value == pytest.approx(truth, rel=1e-10)


def test_the_judge_agrees_with_the_definitions_of_theory() -> None:
    z, change = [0.25, -1.25, 2.0], [0.5, -0.25, 1.75]  # exact in binary
    exact = ExactDraw(z, [a + b for a, b in zip(z, change, strict=True)], 1.0)
    with mpmath.workdps(DIGITS):
        instance = Instance(z, change)
        for name in ("kl", "js", "hellinger_sq", "var_g", "low_r", "gini_r", "orthogonal_sq", "margin"):
            assert abs(exact.column(name) - instance.column(name)) < 1e-25


@pytest.mark.parametrize("base", Families().bases)
@pytest.mark.parametrize("perturbation", Families().perturbations)
@pytest.mark.parametrize("vocabulary", [2, 9])
def test_every_family_gives_finite_reproducible_logits(base: str, perturbation: str, vocabulary: int) -> None:
    families = Families((base,), (perturbation,))
    first, second = (draw(unit_generator(0, vocabulary, 0), 0, 5, vocabulary, families) for _ in range(2))
    assert first.logits.shape == first.perturbed.shape == (5, vocabulary)
    assert torch.isfinite(first.logits).all()
    assert torch.isfinite(first.perturbed).all()
    assert torch.equal(first.perturbed, second.perturbed)


def test_logits_of_a_file_join_the_bases(tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    np.save(path, np.random.default_rng(0).normal(size=(4, 30)))
    families = Families(("flat",), ("gaussian",), str(path))
    assert families.pairs() == [("flat", "gaussian"), ("file", "gaussian")]
    assert draw(np.random.default_rng(0), 1, 3, 100, families).logits.shape == (3, 100)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=4, max_size=40), st.integers(1, 3))
def test_moments_merge_to_those_of_the_whole(pairs: list[tuple[float, float]], cut: int) -> None:
    values = np.array(pairs)

    def moments(rows: np.ndarray) -> np.ndarray:
        x, y = rows.T
        dx, dy = x - x.mean(), y - y.mean()
        return np.array([len(x), x.mean(), y.mean(), dx @ dx, dy @ dy, dx @ dy])

    merged = merge_moments(moments(values[:cut]), moments(values[cut:]))
    np.testing.assert_allclose(merged, moments(values), atol=1e-9)


def test_quantiles_come_from_exact_counts() -> None:
    edges = np.linspace(0, 1, 11)
    counts = np.array([0, 0, 5, 0, 0, 0, 0, 0, 5, 0])
    assert quantile(counts, edges, 0.5) == pytest.approx(0.3)
    assert quantile(counts, edges, 0.51) == pytest.approx(0.9)
    assert np.isnan(quantile(0 * counts, edges, 0.5))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--bases", "gausian"], "gaussian"),
        (["--perturbations", "wittness"], "witness"),
        (["--draws", "3"], "draws"),
        (["--vocabularies", "1,2"], "vocabularies"),
        (["--workers", "0"], "workers"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    names: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["sim", "sweep", "--out", str(tmp_path / "x.json"), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert names in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:200], lambda data: data[:90] + b"????" + data[94:]]
)
def test_a_damaged_checkpoint_is_said_and_made_again(damage, tmp_path: Path, capsys) -> None:
    settings = dict(draws=4000, seed=3, vocabularies=(2, 3), workers=1, folder=tmp_path)
    first = sweep(**settings)
    part = sorted(tmp_path.rglob("*.npz"))[0]
    part.write_bytes(damage(part.read_bytes()))
    assert sweep(**settings).frame().equals(first.frame())
    assert "damaged" in capsys.readouterr().err
    sweep(**settings)
    assert "damaged" not in capsys.readouterr().err
